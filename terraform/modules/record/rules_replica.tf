# Rules for changes of the replica. Terraform destroys a replica with the provider of its Region, so the settings must
# name the Region until the replica is gone.
locals {
  recorded_replica = local.recorded.replica

  replica_moves = local.recorded_replica != null && try(var.replica.region != local.recorded_replica.region, false)
  replica_goes  = !local.replica_moves && local.recorded_replica != null && !var.replica.enabled
  replica_keeps = !(local.replica_goes && try(local.recorded_replica.protected, false))
}

output "replica" {
  description = "The replica for the next record: its Region, and whether it is protected; null without one."
  value       = var.replica.enabled ? { region = var.replica.region, protected = var.replica.protected } : null

  precondition {
    condition     = !local.replica_moves
    error_message = <<-EOT
      Set replica.region to "${try(local.recorded_replica.region, "")}", because the stack has its replica there. To
      remove the replica, keep the Region and set replica.enabled = false. After that apply, remove the variable, or
      name another Region. docs/lifecycle.md has the steps, which begin with draining the replica.
    EOT
  }

  precondition {
    condition     = local.replica_keeps
    error_message = <<-EOT
      Set replica.enabled to true and replica.deletion_protection to false, and run terraform apply. Then remove the
      replica. Drain it first: its write log may hold changes that no other Region has. docs/lifecycle.md has the steps.
    EOT
  }
}
