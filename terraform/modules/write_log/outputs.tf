output "bucket" {
  description = "Name of the write-log bucket."
  value       = module.bucket.name
}

output "bucket_arn" {
  description = "ARN of the write-log bucket."
  value       = module.bucket.arn
}

output "delivery_stream" {
  description = "Name of the Firehose stream."
  value       = aws_kinesis_firehose_delivery_stream.this.name
}

output "delivery_stream_arn" {
  description = "ARN of the Firehose stream."
  value       = aws_kinesis_firehose_delivery_stream.this.arn
}

output "queue_arn" {
  description = "ARN of the apply queue, composed before the queue exists, so that policies needn't wait for the queue."
  value       = local.queue_arn
}

output "event_source_arn" {
  description = "ARN of the apply queue once it exists, for the event source mapping."
  value       = aws_sqs_queue.apply.arn
}

output "queue_url" {
  description = "URL of the apply queue once it exists."
  value       = aws_sqs_queue.apply.url
}

output "queue_url_ahead" {
  description = "URL of the apply queue, composed before it exists, so that functions' settings needn't wait for it."
  value       = local.queue_url
}

output "dead_letter_url" {
  description = "URL of the dead-letter queue of the apply queue."
  value       = aws_sqs_queue.dead_letters.url
}

output "policies" {
  description = "The policies of bucket, queues and Firehose, for tests."
  value = {
    bucket         = module.bucket.policy
    firehose       = local.firehose_policy
    firehose_trust = local.firehose_trust_policy
    apply_queue    = local.queue_policies["apply"]
    dead_letters   = local.queue_policies["dead_letters"]
  }
}

output "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with its objects, for tests."
  value       = module.bucket.force_destroy
}

output "visibility_timeout_seconds" {
  description = "Seconds for which SQS hides a received notification, for tests."
  value       = aws_sqs_queue.apply.visibility_timeout_seconds
}

output "freshness_alarm_seconds" {
  description = "Age in seconds of undelivered records above which the alarm fires, for tests; null without alarms."
  value       = one(aws_cloudwatch_metric_alarm.delivery_freshness[*].threshold)
}
