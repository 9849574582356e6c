output "bucket" {
  description = "Name of the write-log bucket."
  value       = module.bucket.name
}

output "bucket_arn" {
  description = "ARN of the write-log bucket."
  value       = module.bucket.arn
}

output "delivery_stream" {
  description = "Name of the Firehose stream to which `write` sends accepted changes."
  value       = module.firehose.name
}

output "delivery_stream_arn" {
  description = "ARN of the Firehose stream to which `write` sends accepted changes."
  value       = module.firehose.arn
}

output "delivery_role_arn" {
  description = "ARN of the role with which Firehose writes to the bucket."
  value       = module.firehose.role_arn
}

output "queues" {
  description = "Name of each queue -> its URL and ARN. Terraform knows them only when the queues exist."
  value = {
    apply              = { url = aws_sqs_queue.apply.url, arn = aws_sqs_queue.apply.arn }
    apply_dead_letters = { url = aws_sqs_queue.dead_letters.url, arn = aws_sqs_queue.dead_letters.arn }
  }
}

output "queue_arn" {
  description = "ARN of the apply queue, composed before the queue exists, so that policies needn't wait for the queue."
  value       = local.queue_arn
}

output "event_source_arn" {
  description = "ARN of the apply queue for the event source mapping. Terraform knows it only when the queue exists."
  value       = aws_sqs_queue.apply.arn
}

output "queue_url" {
  description = "URL of the apply queue. Terraform knows it only when the queue exists."
  value       = aws_sqs_queue.apply.url
}

output "queue_url_ahead" {
  description = <<-EOT
    URL of the apply queue, composed before the queue exists, so that the functions' settings needn't wait for it.
  EOT
  value       = local.queue_url
}

output "dead_letter_url" {
  description = "URL of the dead-letter queue that belongs to the apply queue."
  value       = aws_sqs_queue.dead_letters.url
}

output "policies" {
  description = "Policies of the bucket, the queues and the Firehose stream, for tests."
  value = {
    bucket         = module.bucket.policy
    firehose       = module.firehose.policies.delivery
    firehose_trust = module.firehose.policies.trust
    apply_queue    = local.apply_queue_policy
    dead_letters   = local.dead_letters_policy
  }
}

output "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with its objects, for tests."
  value       = module.bucket.force_destroy
}

output "visibility_timeout_seconds" {
  description = "Seconds for which SQS hides a message of the apply queue after `apply` has received it, for tests."
  value       = aws_sqs_queue.apply.visibility_timeout_seconds
}

output "freshness_alarm_seconds" {
  description = <<-EOT
    Age in seconds of undelivered records above which the alarm `delivery_freshness` fires, for tests; null without
    alarms.
  EOT
  value       = one([for alarms in module.alarms[*].alarms : alarms["delivery_freshness"].threshold])
}
