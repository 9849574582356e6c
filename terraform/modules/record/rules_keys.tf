# Rules for changes of the encryption keys. AWS encrypts only new data with a new key, and some resources stay bound to
# the key with which they were made. So the stack must not lose a key that it has used.
locals {
  recorded_keys = local.recorded.keys

  # A key that the stack has used must stay.
  key_lost = local.recorded_keys != null && try(
    local.recorded_keys.primary != "aws" && local.recorded_keys.primary != var.keys.primary, false
  )

  # The replica's key is fixed, because AWS sets the key of a table's replica only when it makes the replica (the
  # provider replaces the replica), and the replica's deletion fails as long as its table needs it.
  replica_stays = local.recorded_replica != null && !local.replica_moves && var.replica.enabled
  replica_key_changes = local.replica_stays && try(
    coalesce(local.recorded_keys.replica, "aws") != coalesce(var.keys.replica, "aws"), false
  )
  replica_in_the_way = local.replica_stays && !local.key_lost && (
    local.replica_key_changes || try(local.recorded_keys.primary != var.keys.primary, false)
  )
}

output "keys" {
  description = "The keys of the primary and the replica Region for the next record."
  value       = var.keys

  precondition {
    condition     = !local.key_lost
    error_message = <<-EOT
      Set customer_managed_key and kms_keys back to what they were, because the stack's data in ${var.region} is
      encrypted with ${local.key_names[try(local.recorded_keys.primary, "aws")]}. A stack can't change or lose its key:
      write the items into a stack with the other key instead. docs/lifecycle.md has the steps.
    EOT
  }

  precondition {
    condition     = !local.replica_in_the_way
    error_message = <<-EOT
      Remove the replica before you change the keys, and add it again afterwards, because AWS sets the key of a table's
      replica only when it makes the replica. docs/lifecycle.md has the steps.
    EOT
  }
}

locals {
  # How messages name a recorded key.
  key_names = merge(
    { aws = "keys that AWS owns", own = "the key that the stack has made" },
    { for key in compact([try(local.recorded_keys.primary, null)]) : key => key if startswith(key, "arn:") },
  )
}
