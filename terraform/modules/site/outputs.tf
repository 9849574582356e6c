output "bucket" {
  description = "Name of the bucket. Resources that use it wait for its policy."
  value       = module.bucket.name
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = module.bucket.arn
}

output "bucket_regional_domain_name" {
  description = "Host name of the bucket in its Region, for the distribution's origin. It doesn't wait for the policy."
  value       = module.bucket.regional_domain_name
}

output "content_security_policy" {
  description = "The Content-Security-Policy that the distribution must send with the site's files."
  value       = local.content_security_policy
}

output "config" {
  description = "The text of config.json."
  value       = local.config
}

output "files" {
  description = "Key of each file -> its content type and Cache-Control, for tests."
  value = {
    for object in concat(values(aws_s3_object.asset), [aws_s3_object.page, aws_s3_object.config]) :
    object.key => { type = object.content_type, cache_control = object.cache_control }
  }
}

output "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with its objects, for tests."
  value       = module.bucket.force_destroy
}
