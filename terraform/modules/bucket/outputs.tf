output "name" {
  description = "Name of the bucket. Resources that use it wait until the bucket refuses public access and plain HTTP."
  value       = aws_s3_bucket.this.id
  depends_on  = [aws_s3_bucket_policy.this]
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "policy" {
  description = "The bucket policy, for tests."
  value       = local.policy
}

output "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with its objects, for tests."
  value       = aws_s3_bucket.this.force_destroy
}
