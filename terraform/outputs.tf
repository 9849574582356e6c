locals {
  api_url = var.api_base_url == null ? module.region.api_url : replace(var.api_base_url, "{api_id}", module.region.api_id)
}

output "name" {
  description = "Stack name."
  value       = var.name
}

output "region" {
  description = "Primary Region."
  value       = var.region
}

output "replica_region" {
  description = "Second Region; null without one."
  value       = var.replica_region
}

output "api_url" {
  description = "Base URL of the API, without the stage /v1."
  value       = local.api_url
}

output "replica_api_url" {
  description = "Base URL of the replica Region's API; null without one."
  value = (
    var.replica_region == null ? null :
    var.api_base_url == null ? module.replica[0].api_url :
    replace(var.api_base_url, "{api_id}", module.replica[0].api_id)
  )
}

output "edge_url" {
  description = "Base URL of the CloudFront distribution; null without one."
  value       = null
}

output "routes" {
  description = "METHOD /path of every route, without the stage."
  value       = module.region.routes
}

output "user_pool_id" {
  description = "Cognito user pool."
  value       = module.identity.user_pool_id
}

output "web_client_id" {
  description = "Client id of the web application."
  value       = module.identity.web_client_id
}

output "mobile_client_id" {
  description = "Client id of the mobile application."
  value       = module.identity.mobile_client_id
}

output "sign_in_url" {
  description = "Hosted sign-in page."
  value       = module.identity.sign_in_url
}

output "items_table" {
  description = "Items table, of the same name in every Region."
  value       = module.items.primary.name
}

output "documents_bucket" {
  description = "Bucket of the published documents."
  value       = module.region.documents_bucket
}

output "replica_documents_bucket" {
  description = "The replica Region's bucket of published documents; null without one."
  value       = one(module.replica[*].documents_bucket)
}

output "write_log_bucket" {
  description = "Bucket of the write log."
  value       = module.region.write_log_bucket
}

output "replica_write_log_bucket" {
  description = "The replica Region's write log; null without one."
  value       = one(module.replica[*].write_log_bucket)
}

output "delivery_stream" {
  description = "Firehose stream that accepts changes."
  value       = module.region.delivery_stream
}

output "apply_queue_url" {
  description = "Queue of new write-log objects."
  value       = module.region.apply_queue_url
}

output "apply_dead_letter_url" {
  description = "Its dead-letter queue."
  value       = module.region.apply_dead_letter_url
}

output "checkpoints_table" {
  description = "Table of how far each source was read; null without sources."
  value       = one(module.sync[*].checkpoints_table)
}

output "change_stream" {
  description = "Kinesis stream of what the back offices changed; null without sources."
  value       = one(module.change_stream[*].name)
}

output "poll_function" {
  description = "Name of the function that polls; null without sources."
  value       = one(module.sync[*].function_name)
}

output "sources" {
  description = "Source -> its schedule's input as JSON text."
  value       = { for name, settings in local.source_settings : name => "{\"source\":${settings},\"sweep\":false}" }
}

output "policies" {
  description = "Every policy of the primary Region and the keys' policies as JSON text, for tests and reviews."
  value = merge(module.region.policies, {
    keys          = local.key_policies
    change_stream = one(module.change_stream[*].policies)
    sync          = one(module.sync[*].policies)
    alarms        = one(module.monitoring[*].policies)
  })
}
