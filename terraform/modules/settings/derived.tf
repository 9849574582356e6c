# What other modules need and what follows from the variables.

output "zips" {
  description = "Paths of the zips with the code of the functions and layers."
  value       = local.zips
}

output "zip_objects" {
  description = <<-EOT
    `primary`, `replica` and `edge` -> the bucket with the zips, and for each zip's path the key of its object; null
    means local zips.
  EOT
  value       = local.zip_objects
}

output "source_settings" {
  description = "Source name -> the source's settings as JSON text."
  value       = local.source_settings
}

output "replica_source_settings" {
  description = "Source name -> the source's settings as JSON text, for `poll` in the replica Region."
  value       = local.replica_source_settings
}

output "source_secrets" {
  description = <<-EOT
    `primary` and `replica` -> source name -> the ARN of each of its secrets in that Region, and of the secret's key
    (null: AWS manages the key).
  EOT
  value       = local.source_secrets
}

output "regions" {
  description = "The Regions in use: primary, and replica (null without a replica)."
  value       = { primary = var.region, replica = local.replica_region }
}

output "named_replica_region" {
  description = "The Region that the settings name for the replica, whether the replica is enabled or not; else null."
  value       = local.named_replica_region
}

output "protected" {
  description = <<-EOT
    Whether Terraform refuses to delete the stack, the replica, the change stream with checkpoints, and the database of
    each Region.
  EOT
  value = {
    stack            = var.deletion_protection
    replica          = local.replica_protected
    change_stream    = local.change_stream_protected
    database         = local.database_protected.primary
    replica_database = local.database_protected.replica
  }
}

output "keys" {
  description = <<-EOT
    Which key encrypts the data of each Region: `aws` (keys that AWS owns), `own` (a key that the stack makes) or the
    ARN of an existing key; null for the replica Region without a replica.
  EOT
  value       = local.keys
}

output "live_collections" {
  description = "Collection name -> the settings of the collection, of those that aren't retired."
  value       = local.live_collections
}

output "open_limit" {
  description = "Request limit of each API method that anybody may call."
  value       = local.open_limit
}

output "budget_emails" {
  description = "Whom the budget notifies; empty without a budget."
  value       = local.budget_emails
}

output "cached_collections" {
  description = "Names of the collections whose items the cache may hold, retired ones included."
  value       = keys(local.cached_collections)
}

locals {
  # How many batches `feed` may handle at once, of both stores together.
  feed_concurrency = try(var.cache.feed_concurrency, 0) + try(var.relational.feed_concurrency, 0)
}

# The rule stands here, because Terraform takes rules of variables that read each other for a cycle.
output "feed_concurrency" {
  description = "How many batches of changes `feed` may handle at once, of both stores together."
  value       = local.feed_concurrency

  # With less, Lambda would throttle deliveries of the queues, and SQS counts each as a failure. Two executions are for
  # the commands of operators.
  precondition {
    condition     = coalesce(var.functions.feed.reserved_concurrency, 10000) >= local.feed_concurrency + 2
    error_message = <<-EOT
      Set functions.feed.reserved_concurrency to at least the sum of cache.feed_concurrency, relational.feed_concurrency
      and 2, or to null.
    EOT
  }
}
