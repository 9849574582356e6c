output "api_id" {
  description = "Id of the REST API."
  value       = module.api.id
}

output "api_url" {
  description = "Base URL of the API without its stage: its domain name, or else the API's own address."
  value = var.domain == null ? trimsuffix(module.api.invoke_url, "/${module.api.stage_name}") : (
    "https://${module.api.domain.name}"
  )
}

output "api" {
  description = "Id of the REST API, and the OpenAPI document that Terraform imports into it, as JSON text."
  value       = { id = module.api.id, document = module.api.document }
}

locals {
  lambda_functions = merge(
    { for key, function in module.function : key => function.function },
    { for function in module.backend_auth : "backend_auth" => function.function },
    { for function in module.probe : "probe" => function.function },
  )
}

output "resources" {
  description = "What a team connects with its own alarms, dashboards, web ACLs and policies in this Region."
  value = {
    region = local.region
    api = {
      id            = module.api.id
      stage_name    = module.api.stage_name
      stage_arn     = module.api.stage_arn
      execution_arn = module.api.execution_arn
      domain        = module.api.domain
    }
    functions = local.lambda_functions
    queues    = module.write_log.queues
    buckets = {
      documents = { name = module.documents.bucket, arn = module.documents.bucket_arn }
      write_log = { name = module.write_log.bucket, arn = module.write_log.bucket_arn }
    }
    delivery_stream = { name = module.write_log.delivery_stream, arn = module.write_log.delivery_stream_arn }
    items_table     = { name = var.items.name, arn = var.items.arn, stream_arn = var.items.stream_arn }
    kms_key_arn     = var.kms_key_arn
    roles = merge(
      { for key, function in local.lambda_functions : key => function.role_arn },
      { for visibility, arn in module.documents.role_arns : "documents_${visibility}" => arn },
      { delivery_stream = module.write_log.delivery_role_arn, daily = aws_iam_role.daily.arn },
      { for role in aws_iam_role.probe : "probe_schedule" => role.arn },
    )
  }
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

output "apply_stream" {
  description = "ARN of the alias of `apply-stream`, and the function's name; null in a Region without a change stream."
  value = !local.reads_stream ? null : {
    arn           = module.function["apply-stream"].arn
    function_name = module.function["apply-stream"].function_name
  }
}

output "layer_arn" {
  description = "ARN of the Lambda layer with the libraries that several functions share."
  value       = aws_lambda_layer_version.this.arn
}

output "database_layer_arn" {
  description = "ARN of the Lambda layer with the PostgreSQL driver; null without a database."
  value       = one(aws_lambda_layer_version.database[*].arn)
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
    { for function in module.probe : "probe" => function.policy },
  )
}

output "policies" {
  description = "Every policy of this Region as JSON text, for tests."
  value = {
    functions        = local.function_policies
    daily            = { policy = local.daily_policy, trust = local.daily_trust_policy }
    probe_schedule   = local.has_probe ? { policy = local.probe_policy, trust = local.probe_trust_policy } : null
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
  description = "Id of an API key -> its value."
  value       = { for name, key in aws_api_gateway_api_key.backend : name => key.value }
  sensitive   = true
}

output "documents_domain_name" {
  description = "Host name of the documents bucket in this Region, for a CloudFront origin."
  value       = module.documents.regional_domain_name
}

output "api_host" {
  description = <<-EOT
    Host name of the API, for a CloudFront origin: its domain name, or else the API's own address. It waits for nothing
    but the API's id, because the functions wait for the sign-in clients, and these for the distribution.
  EOT
  value       = try(var.domain.name, "${module.api.id}.execute-api.${local.region}.${local.dns_suffix}")
}

output "client_alarms" {
  description = "The alarms on what clients see, without the stack name: the parts of the composite alarm `clients`."
  value       = local.parts_of_composite
}
