output "policies" {
  description = "IAM policies of the role that writes the heartbeat, for tests."
  value       = { write = local.policy, trust = local.trust_policy }
}

output "input" {
  description = "The parameters with which EventBridge Scheduler calls DynamoDB, as JSON text, for tests."
  value       = local.input
}
