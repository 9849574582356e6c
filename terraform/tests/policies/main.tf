# Lists what IAM policies have in common, so that the tests can compare it. It creates nothing.
variable "policies" {
  description = "The policies as JSON text. Action and Resource of each statement are lists."
  type        = list(string)
}

locals {
  statements = [for policy in var.policies : jsondecode(policy).Statement]
  sids       = [for statements in local.statements : statements[*].Sid]
}

output "wildcard_actions" {
  description = "The actions that contain a wildcard."
  value       = [for action in flatten(flatten(local.statements)[*].Action) : action if strcontains(action, "*")]
}

output "sids_without_limit" {
  description = "The Sids of the statements whose resources are limited by nothing."
  value       = toset([for statement in flatten(local.statements) : statement.Sid if contains(statement.Resource, "*")])
}

output "repeated_sids" {
  description = "The Sids of policies in which a Sid is there twice."
  value       = [for sids in local.sids : sids if length(distinct(sids)) < length(sids)]
}
