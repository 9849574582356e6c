output "name" {
  description = "Name of the change stream, composed before the stream exists."
  value       = local.stream_name
}

output "arn" {
  description = "ARN of the change stream, composed before the stream exists, so that policies needn't wait for it."
  value       = local.stream_arn
}

output "archive" {
  description = <<-EOT
    Name of the Firehose stream that archives the changes. Terraform knows it only when that stream exists.
  EOT
  value       = aws_kinesis_firehose_delivery_stream.archive.name
}

output "policies" {
  description = "IAM policies of the role that writes the archive, for tests."
  value       = { archive = local.archive_policy, archive_trust = local.archive_trust_policy }
}
