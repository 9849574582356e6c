output "api_id" {
  description = "Id of the REST API."
  value       = module.api.id
}

output "api_url" {
  description = "Base URL of the API without its stage."
  value       = trimsuffix(module.api.invoke_url, "/${module.api.stage_name}")
}

output "routes" {
  description = "METHOD /path of every route."
  value       = module.api.routes
}

output "documents_bucket" {
  description = "Bucket of the published documents."
  value       = module.documents.bucket
}

output "write_log_bucket" {
  description = "Bucket of the write log."
  value       = module.write_log.bucket
}

output "write_log" {
  description = "The same bucket, for what else is kept in it."
  value       = { name = module.write_log.bucket, arn = module.write_log.bucket_arn }
}

output "documents" {
  description = "Where the Region's documents are, for what else publishes there."
  value       = { region = local.region, bucket = module.documents.bucket, arn = module.documents.bucket_arn, kms_key_arn = var.kms_key_arn }
}

output "apply" {
  description = "The function that folds changes in: its alias and its name."
  value       = { arn = module.function["apply"].arn, function_name = module.function["apply"].function_name }
}

output "layer_arn" {
  description = "The layer of what the functions need beyond the runtime."
  value       = aws_lambda_layer_version.this.arn
}

output "delivery_alarm_seconds" {
  description = "Age at which a record that Firehose hasn't delivered is late."
  value       = local.pending_seconds
}

output "delivery_stream" {
  description = "Firehose stream that accepts changes."
  value       = module.write_log.delivery_stream
}

output "apply_queue_url" {
  description = "Queue of new write-log objects."
  value       = module.write_log.queue_url
}

output "apply_dead_letter_url" {
  description = "Its dead-letter queue."
  value       = module.write_log.dead_letter_url
}

output "route_table" {
  description = "The routes as given to the API, for tests."
  value       = local.routes
}

output "settings" {
  description = "Each function's settings as JSON text, for tests."
  value       = local.settings
}

output "functions" {
  description = "What each function runs, for tests."
  value       = { for key, function in module.function : key => function.runs }
}

output "policies" {
  description = "Every policy of the Region as JSON text, for tests."
  value = {
    functions        = merge({ for key, function in module.function : key => function.policy }, { for function in module.backend_auth : "backend_auth" => function.policy })
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
  description = "Age of undelivered records that raises the alarm, for tests; null without alarms."
  value       = module.write_log.freshness_alarm_seconds
}

output "backend_api_keys" {
  description = "Back office -> the value of its API key."
  value       = { for name, key in aws_api_gateway_api_key.backend : name => key.value }
  sensitive   = true
}
