locals {
  # Who connects where. A proxy has an id of its own in IAM's names of database users.
  user_prefix   = "arn:${local.partition}:rds-db:${local.region}:${local.account_id}:dbuser"
  cluster_users = "${local.user_prefix}:${aws_rds_cluster.this.cluster_resource_id}"
  proxy_users   = [for proxy in aws_db_proxy.this : "${local.user_prefix}:${element(split(":", proxy.arn), 6)}"]
  reader_users  = var.proxy == null ? local.cluster_users : one(local.proxy_users)
  reader_host   = var.proxy == null ? aws_rds_cluster.this.reader_endpoint : aws_db_proxy_endpoint.readers[0].endpoint

  server = { port = local.port, name = local.database, iam = true, tls = true }
}

output "connections" {
  description = "How `query` and `feed` connect to the database, as their settings need it."
  value = {
    query = merge(local.server, { host = local.reader_host, user = "query" })
    feed = merge(local.server, {
      host      = aws_rds_cluster.this.endpoint
      user      = "feed"
      owner     = local.owner
      owner_iam = true

      # A proxy signs in as `query` with a password, which PostgreSQL refuses from a role that IAM signs in.
      query_iam = var.proxy == null
    })
  }

  # A connection needs an instance, and not only the cluster.
  depends_on = [aws_rds_cluster_instance.writer, aws_rds_cluster_instance.reader, aws_db_proxy_target.this]
}

output "statements" {
  description = "What the roles of `query` and `feed` must allow, so that they can connect. `feed` also migrates."
  value = {
    query = [{
      Sid      = "ConnectToReaders"
      Action   = ["rds-db:connect"]
      Resource = ["${local.reader_users}/query"]
    }]
    feed = [{
      Sid      = "ConnectToWriter"
      Action   = ["rds-db:connect"]
      Resource = ["${local.cluster_users}/feed", "${local.cluster_users}/${local.owner}"]
    }]
  }
}

locals {
  secret_arn = one(aws_rds_cluster.this.master_user_secret[*].secret_arn)

  # One statement, because the Data API takes no more. The owner makes the other roles and lets IAM sign them in, for
  # which PostgreSQL 16 asks for the admin option.
  setup_sql = join(" ", [
    "DO $$ BEGIN",
    "IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${local.owner}') THEN",
    "CREATE ROLE ${local.owner} LOGIN CREATEROLE; END IF;",
    "GRANT rds_iam TO ${local.owner} WITH ADMIN OPTION;",
    "GRANT CREATE ON DATABASE ${local.database} TO ${local.owner};",
    "END $$",
  ])
}

output "setup" {
  description = <<-EOT
    What makes the role that migrates, once: the cluster, the secret of its administrator, the database, a statement for
    the Data API, and whether the cluster has the Data API. A second run changes nothing.
  EOT
  value = {
    cluster_arn = aws_rds_cluster.this.arn
    secret_arn  = local.secret_arn
    database    = local.database
    sql         = local.setup_sql
    data_api    = var.aurora.data_api
  }
}

output "resources" {
  description = "What a team connects with its own alarms, dashboards and policies."
  value = {
    cluster           = aws_rds_cluster.this.cluster_identifier
    arn               = aws_rds_cluster.this.arn
    resource_id       = aws_rds_cluster.this.cluster_resource_id
    security_group_id = aws_security_group.this.id
  }
}

output "policies" {
  description = "The policies and trust policies of the roles of the proxy and of monitoring as JSON text, for tests."
  value = {
    proxy            = local.proxy_policy
    proxy_trust      = local.proxy_trust_policy
    monitoring       = local.monitoring_policy
    monitoring_trust = local.monitoring_trust_policy
  }
}
