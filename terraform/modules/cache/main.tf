# The item cache of one Region: ElastiCache Serverless for Valkey, ElastiCache nodes, or DynamoDB Accelerator.
#
# A cache may be lost at any time, because it holds nothing that DynamoDB doesn't have. If Terraform replaces a cache,
# it deletes the old one first, since both have the same name. For these minutes `read` finds no cache and reads
# DynamoDB, and the new cache is cold. An on-demand table takes twice the reads of its busiest time so far. So replace
# a cache that answers most reads at a quiet hour. A change of the engine is gentler: Terraform makes the new cache,
# moves the functions to it, and then deletes the old one.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix

  serverless = var.cache.serverless
  nodes      = var.cache.nodes
  dax        = var.cache.dax
  valkey     = local.dax == null

  # Names of ElastiCache and DAX have no two hyphens in a row. DAX allows 20 characters.
  id         = replace(var.name, "/-+/", "-")
  cache_name = "${local.id}-cache"

  # Valkey's port on ElastiCache, and DAX's port for TLS. Terraform doesn't set Valkey's, because it is the default.
  port = local.valkey ? 6379 : 9111
}

resource "aws_security_group" "this" {
  name        = "${var.name}-cache"
  description = "Item cache of ${var.name}"
  vpc_id      = var.network.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "functions" {
  security_group_id            = aws_security_group.this.id
  description                  = "From the functions"
  referenced_security_group_id = var.network.functions_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "functions" {
  security_group_id            = var.network.functions_group_id
  description                  = "To the item cache"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}
