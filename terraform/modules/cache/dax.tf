# DynamoDB Accelerator. `read` sends it the reads of single items instead of DynamoDB. Nothing feeds it, so an item in
# it is up to ttl_seconds old. Each node has its own copy, so versions may go back between two reads.
locals {
  dax_arn = "arn:${local.partition}:dax:${local.region}:${local.account_id}:cache/${local.id}"

  # AWS documents no condition with which a service role of DAX could name its cluster.
  dax_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ClusterReads"
      Effect    = "Allow"
      Principal = { Service = "dax.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }]
  })

  # What the cluster may do in DynamoDB. Whoever may use the cluster may do the same through it, so it may only read.
  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/DAX.access-control.html
  dax_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "ReadItems"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable", "dynamodb:GetItem"]
        Resource = var.items_arns
      }],
      var.kms_key_arn == null ? [] : [{
        Sid       = "UseKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.${local.region}.${local.dns_suffix}"] } }
      }],
    )
  })

  # DAX changes no parameter group that a cluster uses, so each TTL has a group of its own.
  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/DAX.cluster-management.html
  dax_parameter_group = "${local.id}-ttl-${try(local.dax.ttl_seconds, 0)}"
}

resource "aws_iam_role" "dax" {
  count = local.dax == null ? 0 : 1

  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-dax"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.dax_trust_policy
}

resource "aws_iam_role_policy" "dax" {
  count = local.dax == null ? 0 : 1

  name   = "read-items"
  role   = aws_iam_role.dax[0].id
  policy = local.dax_policy
}

resource "aws_dax_subnet_group" "this" {
  count = local.dax == null ? 0 : 1

  name        = local.id
  description = "Item cache of ${var.name}"
  subnet_ids  = var.network.subnet_ids
}

resource "aws_dax_parameter_group" "this" {
  count = local.dax == null ? 0 : 1

  name        = local.dax_parameter_group
  description = "Item cache of ${var.name}"

  parameters {
    name  = "record-ttl-millis"
    value = tostring(local.dax.ttl_seconds * 1000)
  }

  # Terraform makes the new group before it deletes the old one, because the cluster uses the old one until then.
  lifecycle {
    create_before_destroy = true
  }
}

# Encrypts what it sends and what it stores, the latter with a key of DAX's own, because DAX takes no other. The number
# of nodes can be changed in place. A change of node type makes a new cluster. A new TTL takes effect on each node when
# it is rebooted (`aws dax reboot-node`). AWS publishes the cluster's name with its certificate.
resource "aws_dax_cluster" "this" {
  count = local.dax == null ? 0 : 1

  cluster_name                     = local.id
  description                      = "Item cache of ${var.name}"
  node_type                        = local.dax.node_type
  replication_factor               = local.dax.nodes
  iam_role_arn                     = aws_iam_role.dax[0].arn
  parameter_group_name             = aws_dax_parameter_group.this[0].name
  subnet_group_name                = aws_dax_subnet_group.this[0].name
  security_group_ids               = [aws_security_group.this.id]
  cluster_endpoint_encryption_type = "TLS"

  server_side_encryption {
    enabled = true
  }

  # The cluster reads DynamoDB as soon as it is there.
  depends_on = [aws_iam_role_policy.dax]
}
