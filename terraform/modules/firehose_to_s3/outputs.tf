output "name" {
  description = "Name of the Firehose stream. Terraform knows it only when the stream exists."
  value       = aws_kinesis_firehose_delivery_stream.this.name
}

output "arn" {
  description = "ARN of the Firehose stream."
  value       = aws_kinesis_firehose_delivery_stream.this.arn
}

output "role_arn" {
  description = "ARN of the role with which Firehose writes to the bucket."
  value       = aws_iam_role.this.arn
}

output "log_group" {
  description = "Name of the log group in which Firehose says why a delivery failed."
  value       = aws_cloudwatch_log_group.this.name
}

output "policies" {
  description = "IAM policies of the role with which Firehose writes to the bucket, for tests."
  value       = { delivery = local.policy, trust = local.trust_policy }
}

output "stream" {
  description = "The Firehose stream with all its attributes, for tests."
  value       = aws_kinesis_firehose_delivery_stream.this
}
