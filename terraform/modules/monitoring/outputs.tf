output "topic_arn" {
  description = "ARN of the SNS topic that the stack's alarms in this Region notify."
  value       = aws_sns_topic.alarms.arn
}

output "policies" {
  description = "Policy of the SNS topic, for tests."
  value       = { topic = local.topic_policy }
}

output "dashboard" {
  description = "Body of the dashboard as JSON text, for tests."
  value       = local.dashboard
}
