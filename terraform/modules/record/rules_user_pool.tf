# Rule for a change of the user pool. The users are in the pool, and no other pool can take them over with their
# passwords.
locals {
  recorded_user_pool = local.recorded.user_pool

  user_pool_changes = try(local.recorded_user_pool != null && local.recorded_user_pool != var.user_pool, false)

  # How the message names the recorded pool.
  pool_of_users = local.recorded_user_pool == "own" ? "the pool that the stack has made" : local.recorded_user_pool
}

output "user_pool" {
  description = "The user pool for the next record."
  value       = var.user_pool

  precondition {
    condition     = !local.user_pool_changes
    error_message = <<-EOT
      Set user_pool back to what it was, because the users of this stack are in ${coalesce(local.pool_of_users, "-")}.
      A stack can't change its pool: start a stack with the other pool instead. docs/lifecycle.md has the steps.
    EOT
  }
}
