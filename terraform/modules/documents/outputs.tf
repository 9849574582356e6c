output "bucket" {
  description = "Name of the documents bucket."
  value       = module.bucket.name
}

output "bucket_arn" {
  description = "ARN of the documents bucket."
  value       = module.bucket.arn
}

output "role_arns" {
  description = "Visibility -> ARN of the role with which API Gateway reads documents of that visibility."
  value       = { for visibility, role in aws_iam_role.reader : visibility => role.arn }

  # The roles must have their policies before a route uses them. Without its policy, a role gets a 403 from S3, and the
  # API turns that into a 404, so every document would seem to be missing.
  depends_on = [aws_iam_role_policy.reader]
}

output "role_policies" {
  description = "IAM policies of the roles that read documents, for tests."
  value       = local.role_policies
}

output "bucket_policy" {
  description = "Policy of the documents bucket, for tests."
  value       = module.bucket.policy
}

output "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with its objects, for tests."
  value       = module.bucket.force_destroy
}

output "regional_domain_name" {
  description = "Host name of the documents bucket in its Region, for a CloudFront origin."
  value       = module.bucket.regional_domain_name
}
