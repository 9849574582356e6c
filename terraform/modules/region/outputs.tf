output "api_id" {
  description = "Id of the REST API."
  value       = module.api.id
}

output "api_url" {
  description = "Base URL of the API without its stage."
  value       = trimsuffix(module.api.invoke_url, "/${module.api.stage_name}")
}

output "api" {
  description = "Id of the REST API, and the OpenAPI document that Terraform imports into it, as JSON text."
  value       = { id = module.api.id, document = module.api.document }
}

output "routes" {
  description = "Every route of the API as \"METHOD /path\", without the stage."
  value       = module.api.routes
}

output "documents_bucket" {
  description = "Name of the bucket with this Region's published documents."
  value       = module.documents.bucket
}

output "write_log_bucket" {
  description = "Name of the bucket with this Region's write log."
  value       = module.write_log.bucket
}

output "write_log" {
  description = "Name and ARN of the write-log bucket, for modules that store other objects in it."
  value       = { name = module.write_log.bucket, arn = module.write_log.bucket_arn }
}

output "documents" {
  description = "This Region's documents bucket and its KMS key, for modules that also publish documents."
  value = {
    region      = local.region
    bucket      = module.documents.bucket
    arn         = module.documents.bucket_arn
    kms_key_arn = var.kms_key_arn
  }
}

output "apply" {
  description = "ARN of the alias of `apply`, and the name of the function."
  value       = { arn = module.function["apply"].arn, function_name = module.function["apply"].function_name }
}

output "layer_arn" {
  description = "ARN of the Lambda layer with the libraries that several functions share."
  value       = aws_lambda_layer_version.this.arn
}

output "delivery_alarm_seconds" {
  description = "Age in seconds above which a record that Firehose hasn't delivered to S3 counts as late."
  value       = local.pending_seconds
}

output "delivery_stream" {
  description = "Name of the Firehose stream to which `write` sends accepted changes."
  value       = module.write_log.delivery_stream
}

output "apply_queue_url" {
  description = "URL of the apply queue, in which S3 announces new write-log objects to `apply`."
  value       = module.write_log.queue_url
}

output "apply_dead_letter_url" {
  description = "URL of the dead-letter queue that belongs to the apply queue."
  value       = module.write_log.dead_letter_url
}

output "route_table" {
  description = "The routes that module api gets, for module contract and for tests."
  value       = local.routes
}

output "settings" {
  description = "Each function's settings as JSON text, for tests."
  value       = local.settings
}

output "functions" {
  description = "Each function's zip, layers and environment variables, for tests."
  value       = { for key, function in module.function : key => function.runs }
}

locals {
  function_policies = merge(
    { for key, function in module.function : key => function.policy },
    { for function in module.backend_auth : "backend_auth" => function.policy },
  )
}

output "policies" {
  description = "Every policy of this Region as JSON text, for tests."
  value = {
    functions        = local.function_policies
    api              = module.api.policy
    write_log        = module.write_log.policies
    document_readers = module.documents.role_policies
    documents_bucket = module.documents.bucket_policy
  }
}

output "force_destroy" {
  description = "Whether `terraform destroy` deletes buckets with their objects, for tests."
  value       = { write_log = module.write_log.force_destroy, documents = module.documents.force_destroy }
}

output "freshness_alarm_seconds" {
  description = <<-EOT
    Age in seconds of undelivered records above which the alarm `delivery_freshness` fires, for tests; null without
    alarms.
  EOT
  value       = module.write_log.freshness_alarm_seconds
}

output "backend_api_keys" {
  description = "Backend name -> the value of its API key."
  value       = { for name, key in aws_api_gateway_api_key.backend : name => key.value }
  sensitive   = true
}
