output "arn" {
  description = "ARN of the SNS topic."
  value       = aws_sns_topic.alarms.arn
}

output "name" {
  description = "Name of the SNS topic."
  value       = aws_sns_topic.alarms.name
}

output "policy" {
  description = "Policy of the SNS topic, for tests."
  value       = local.topic_policy
}

output "alarms" {
  description = "Key -> the alarm on the topic's deliveries, for tests."
  value       = module.alarms.alarms
}

output "kms_key" {
  description = "The key that encrypts the topic, for tests; null without one."
  value       = aws_sns_topic.alarms.kms_master_key_id
}

output "subscriptions" {
  description = "E-mail address or phone number -> the protocol and the topic of its subscription, for tests."
  value = {
    for endpoint, subscription in merge(aws_sns_topic_subscription.email, aws_sns_topic_subscription.phone) :
    endpoint => { protocol = subscription.protocol, topic_arn = subscription.topic_arn }
  }
}
