output "name" {
  description = "Name of the bucket. Resources that use it wait until the bucket is encrypted and has versions."
  value       = aws_s3_bucket.this.id
  depends_on = [
    aws_s3_bucket_policy.this,
    aws_s3_bucket_versioning.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
  ]
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "regional_domain_name" {
  description = <<-EOT
    Host name of the bucket in its Region, for a CloudFront origin. It waits for nothing but the bucket, because the
    bucket's policy waits for the distribution.
  EOT
  value       = aws_s3_bucket.this.bucket_regional_domain_name
}

output "policy" {
  description = "The bucket policy, for tests."
  value       = local.policy
}

output "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with its objects, for tests."
  value       = aws_s3_bucket.this.force_destroy
}

output "encryption" {
  description = "How S3 encrypts the objects of the bucket, for tests."
  value = one([for rule in aws_s3_bucket_server_side_encryption_configuration.this.rule : {
    algorithm   = rule.apply_server_side_encryption_by_default[0].sse_algorithm
    kms_key_arn = rule.apply_server_side_encryption_by_default[0].kms_master_key_id
    bucket_key  = rule.bucket_key_enabled
  }])
}

output "noncurrent_prefixes" {
  description = "Key prefixes under which S3 deletes old versions, for tests; null means everywhere."
  value       = var.noncurrent_prefixes
}

output "expirations" {
  description = "Key prefix -> age in days at which S3 deletes the objects under the prefix, for tests."
  value       = var.expirations
}
