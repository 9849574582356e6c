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
  value       = module.archive.name
}

output "archive_role_arn" {
  description = "ARN of the role with which Firehose writes the archive."
  value       = module.archive.role_arn
}

output "policies" {
  description = "IAM policies of the role that writes the archive, for tests."
  value       = { archive = module.archive.policies.delivery, archive_trust = module.archive.policies.trust }
}
