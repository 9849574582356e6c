locals {
  # Where the functions find a cache of Valkey. A serverless cache has one name for all its nodes. The primary endpoint
  # of a replication group follows the primary node.
  address = (
    local.serverless != null
    ? try(aws_elasticache_serverless_cache.this[0].endpoint[0].address, null)
    : try(aws_elasticache_replication_group.this[0].primary_endpoint_address, null)
  )

  kind = local.serverless != null ? "serverlesscache" : "replicationgroup"

  cache_arn = "arn:${local.partition}:elasticache:${local.region}:${local.account_id}:${local.kind}:${local.cache_name}"
  user_arns = { for function, user in local.users : function => (
    "arn:${local.partition}:elasticache:${local.region}:${local.account_id}:user:${user}"
  ) }
}

output "connection" {
  description = <<-EOT
    How functions reach the cache: the engine (`valkey` or `dax`), and for Valkey host, port, the name that IAM tokens
    contain, and the user of each function; for DAX its endpoint and the seconds for which it keeps an item.
  EOT
  value = {
    engine      = local.valkey ? "valkey" : "dax"
    host        = local.valkey ? local.address : null
    port        = local.valkey ? local.port : null
    tls         = local.valkey ? true : null
    iam_name    = local.valkey ? local.cache_name : null
    serverless  = local.valkey ? local.serverless != null : null
    users       = local.users
    endpoint    = local.valkey ? null : "daxs://${aws_dax_cluster.this[0].cluster_address}"
    ttl_seconds = try(local.dax.ttl_seconds, null)
  }

  # A function that starts with these settings must be able to sign in and to reach the cache.
  depends_on = [
    aws_vpc_security_group_ingress_rule.functions,
    aws_vpc_security_group_egress_rule.functions,
  ]
}

output "statements" {
  description = "Function -> the policy statements with which it may use the cache: `read`, and `feed` with Valkey."
  value = merge(
    { for function, arn in local.user_arns : function => [{
      Sid      = "ConnectToCache"
      Action   = ["elasticache:Connect"]
      Resource = [local.cache_arn, arn]
    }] },
    local.valkey ? {} : { read = [{
      Sid      = "ReadThroughCache"
      Action   = ["dax:GetItem"]
      Resource = [local.dax_arn]
    }] },
  )
}

output "widgets" {
  description = "A row of the dashboard: title, metrics and statistic of each widget."
  value       = local.widgets
}

output "policies" {
  description = "Policies of the role with which DAX reads DynamoDB, for tests."
  value       = { dax = local.dax_policy, dax_trust = local.dax_trust_policy }
}

output "access" {
  description = "What the cache's users may do, for tests; null for DAX."
  value       = local.valkey ? local.access : null
}
