output "topic_arn" {
  description = "ARN of the SNS topic that the stack's pages in this Region notify."
  value       = module.topic.arn
}

output "ticket_topic_arn" {
  description = "ARN of the SNS topic that the stack's tickets in this Region notify."
  value       = module.ticket_topic.arn
}

output "alarm_actions" {
  description = "Severity -> ARNs of the SNS topics that its alarms notify."
  value       = local.alarm_actions
}

output "policies" {
  description = "Policies of the SNS topics, for tests."
  value       = { topic = module.topic.policy, ticket_topic = module.ticket_topic.policy }
}

output "topic" {
  description = "The topic's key and subscriptions, for tests."
  value       = { kms_key = module.topic.kms_key, subscriptions = module.topic.subscriptions }
}

output "ticket_topic" {
  description = "The key and the subscriptions of the topic of tickets, for tests."
  value       = { kms_key = module.ticket_topic.kms_key, subscriptions = module.ticket_topic.subscriptions }
}

output "dashboard" {
  description = "Body of the dashboard as JSON text, for tests."
  value       = local.dashboard
}

output "alarms" {
  description = "Name of each alarm -> the alarm with all its attributes, for tests."
  value = {
    for alarm in concat(
      values(module.staleness.alarms),
      values(module.source_quarantine.alarms),
      values(module.list_doubtful.alarms),
      values(module.overlap_missed.alarms),
      values(module.breaker_open.alarms),
      values(module.sweep_refused.alarms),
      values(module.region_behind.alarms),
      values(module.apply_alarms.alarms),
      values(module.topic.alarms),
      values(module.ticket_topic.alarms),
    ) : alarm.alarm_name => alarm
  }
}
