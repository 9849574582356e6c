# An RDS Proxy between `query` and the readers. It shares a few connections to the database among many executions of
# `query`. `feed` has few connections anyway, so it connects to the writer itself, and so does `migrate`.
#
# The proxy lets IAM decide who connects as `query`, and signs in to the database with the password in the secret. Until
# version 6 of the AWS provider, a proxy can't sign in to the database with IAM too.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy-iam-setup.html
locals {
  has_proxy = var.proxy == null ? 0 : 1

  proxy_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ProxyReadsSecret"
      Effect    = "Allow"
      Principal = { Service = "rds.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })

  proxy_secret_statements = [for arn in compact([try(var.proxy.secret_arn, null)]) : {
    Sid      = "ReadSecret"
    Effect   = "Allow"
    Action   = ["secretsmanager:GetSecretValue"]
    Resource = [arn]
  }]
  proxy_key_statements = [for key in compact([try(var.proxy.kms_key_arn, null)]) : {
    Sid       = "DecryptSecret"
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = [key]
    Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${local.region}.${local.dns_suffix}" } }
  }]
  proxy_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.proxy_secret_statements, local.proxy_key_statements)
  })
}

resource "aws_iam_role" "proxy" {
  count = local.has_proxy

  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-database-proxy"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.proxy_trust_policy
}

resource "aws_iam_role_policy" "proxy" {
  count = local.has_proxy

  name   = "database-proxy"
  role   = aws_iam_role.proxy[0].id
  policy = local.proxy_policy
}

resource "aws_db_proxy" "this" {
  count = local.has_proxy

  name                   = local.identifier
  engine_family          = "POSTGRESQL"
  role_arn               = aws_iam_role.proxy[0].arn
  require_tls            = true
  vpc_subnet_ids         = var.network.subnet_ids
  vpc_security_group_ids = [aws_security_group.this.id]

  auth {
    auth_scheme = "SECRETS"
    iam_auth    = "REQUIRED"
    secret_arn  = var.proxy.secret_arn
  }

  depends_on = [aws_iam_role_policy.proxy]
}

# A list waits at most two seconds for a connection, as long as its statement may take.
resource "aws_db_proxy_default_target_group" "this" {
  count = local.has_proxy

  db_proxy_name = aws_db_proxy.this[0].name

  connection_pool_config {
    connection_borrow_timeout = 2
    max_connections_percent   = 50
  }
}

resource "aws_db_proxy_target" "this" {
  count = local.has_proxy

  db_proxy_name         = aws_db_proxy.this[0].name
  target_group_name     = aws_db_proxy_default_target_group.this[0].name
  db_cluster_identifier = aws_rds_cluster.this.cluster_identifier

  # A cluster without an instance can't be a target.
  depends_on = [aws_rds_cluster_instance.writer, aws_rds_cluster_instance.reader]
}

# The proxy's own endpoint leads to the writer, this one to the readers.
resource "aws_db_proxy_endpoint" "readers" {
  count = local.has_proxy

  db_proxy_name          = aws_db_proxy.this[0].name
  db_proxy_endpoint_name = "${local.identifier}-readers"
  target_role            = "READ_ONLY"
  vpc_subnet_ids         = var.network.subnet_ids
  vpc_security_group_ids = [aws_security_group.this.id]
}

# The proxy has the security group of the database, so the group lets its members connect to each other.
resource "aws_vpc_security_group_ingress_rule" "proxy" {
  count = local.has_proxy

  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL from the proxy"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "proxy" {
  count = local.has_proxy

  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL: the proxy to the database"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}
