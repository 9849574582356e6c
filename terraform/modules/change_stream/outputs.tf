output "name" {
  description = "Name of the stream, composed before the stream exists."
  value       = local.stream_name
}

output "arn" {
  description = "ARN of the stream, composed before the stream exists, so that policies needn't wait for it."
  value       = local.stream_arn
}

output "archive" {
  description = "Name of the Firehose stream that archives the changes, once it exists."
  value       = aws_kinesis_firehose_delivery_stream.archive.name
}

output "policies" {
  description = "The archive's policies, for tests."
  value       = { archive = local.archive_policy, archive_trust = local.archive_trust_policy }
}
