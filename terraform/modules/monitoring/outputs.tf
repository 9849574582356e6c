output "topic_arn" {
  description = "SNS topic that the stack's alarms in this Region notify."
  value       = aws_sns_topic.alarms.arn
}

output "policies" {
  description = "The topic's policy, for tests."
  value       = { topic = local.topic_policy }
}

output "dashboard" {
  description = "The dashboard as JSON text, for tests."
  value       = local.dashboard
}
