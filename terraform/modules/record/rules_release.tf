# The alias that CodeDeploy moves (module function). It must exist as long as anything calls it, and Terraform deletes a
# resource before it changes what depended on it. So the alias stays when deployments are switched off. If they are
# switched on again, there is a new alias with the next number, because the old one points to an old version.
locals {
  # What the last apply began is at least as new as what the last complete apply left.
  earlier_release = try(coalesce(local.begun.release, local.left.release), null)

  # After an apply that failed halfway, some callers may still call the alias, so its number stays.
  release_unused = try(!local.left.release.called, false) && local.left.release == local.begun.release

  release_number = try(local.earlier_release.number, 1) + (var.canary && local.release_unused ? 1 : 0)
  release = var.canary || local.earlier_release != null ? {
    number = local.release_number
    called = var.canary
  } : null
}

output "release" {
  description = <<-EOT
    The number of the alias that CodeDeploy moves, and whether clients call it, for the next record; null if there was
    never one.
  EOT
  value       = local.release
}

output "released_alias" {
  description = "The alias that CodeDeploy moves, and whether clients call it; null if there was never one."
  value = local.release == null ? null : {
    alias  = "released-${local.release.number}"
    called = local.release.called
  }
}
