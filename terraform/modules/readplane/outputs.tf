locals {
  # An emulator's API has a URL of another form than AWS's.
  emulated_url = module.settings.api_base_url
  api_url = local.emulated_url == null ? module.primary.api_url : replace(
    local.emulated_url, "{api_id}", module.primary.api_id
  )

  # `[0].api_url` waits only for that output. A splat would wait for the whole module, and so for the probe, which calls
  # this URL.
  replica_api_url = !local.has_replica ? null : (
    local.emulated_url == null ? module.replica[0].api_url :
    replace(local.emulated_url, "{api_id}", module.replica[0].api_id)
  )

  # Behind a lock, only the edge leads to the API.
  public_api_url = local.lock == "none" ? local.api_url : local.edge_url

  regions = compact([module.settings.region, module.settings.regions.replica])
}

output "name" {
  description = "Stack name."
  value       = module.record.name
}

output "region" {
  description = "Primary Region."
  value       = module.settings.region
}

output "replica_region" {
  description = "Replica Region; null without a replica."
  value       = module.settings.regions.replica
}

output "api_url" {
  description = "Base URL of the API, without the stage /v1: the edge's, if the API refuses calls around the edge."
  value       = local.public_api_url
}

output "replica_api_url" {
  description = <<-EOT
    Base URL of the replica Region's API; null without a replica. It refuses calls around the edge if edge.origin_lock
    says so.
  EOT
  value       = local.replica_api_url
}

output "edge_url" {
  description = "Base URL of the edge, which serves documents, the API under /v1 and the web client; null without one."
  value       = local.has_edge ? local.edge_url : null
}

output "edge_id" {
  description = "Id of the edge's CloudFront distribution; null without an edge."
  value       = one(module.edge[*].id)
}

output "edge_domain_name" {
  description = "Host name of the edge's distribution, to which a DNS record of edge.domain leads; null without one."
  value       = one(module.edge[*].domain_name)
}

output "edge_behaviours" {
  description = "What the edge does with each path, in CloudFront's order, for tests; null without an edge."
  value       = one(module.edge[*].behaviours)
}

output "edge_function" {
  description = "The function `edge_auth`: its name, version, parameter and role; null without an edge."
  value       = one(module.edge[*].function)
}

output "routes" {
  description = "Every route of the API as \"METHOD /path\", without the stage /v1."
  value       = module.primary.routes
}

output "api_documents" {
  description = <<-EOT
    Region -> the id of its REST API, and the OpenAPI document that Terraform imports into it, as JSON text.
  EOT
  value       = zipmap(local.regions, concat([module.primary.api], module.replica[*].api))
}

output "user_pool_id" {
  description = "Id of the Cognito user pool."
  value       = module.identity.user_pool_id
}

output "user_pool_arn" {
  description = "ARN of the Cognito user pool."
  value       = module.identity.user_pool_arn
}

output "web_client_id" {
  description = "Cognito client id of the web application."
  value       = module.identity.web_client_id
}

output "mobile_client_id" {
  description = "Cognito client id of the mobile application."
  value       = module.identity.mobile_client_id
}

output "client_ids" {
  description = <<-EOT
    Cognito client ids whose access tokens `read` and `write` accept: the stack's own, and those in user_pool.
  EOT
  value       = module.identity.client_ids
}

output "sign_in_url" {
  description = "URL of Cognito's hosted sign-in page."
  value       = module.identity.sign_in_url
}

output "documents_bucket" {
  description = "Name of the bucket with the primary Region's published documents."
  value       = module.primary.documents_bucket
}

output "replica_documents_bucket" {
  description = "Name of the bucket with the replica Region's published documents; null without a replica."
  value       = one(module.replica[*].documents_bucket)
}

output "write_log_bucket" {
  description = "Name of the bucket with the primary Region's write log."
  value       = module.primary.write_log_bucket
}

output "replica_write_log_bucket" {
  description = "Name of the bucket with the replica Region's write log; null without a replica."
  value       = one(module.replica[*].write_log_bucket)
}

output "delivery_stream" {
  description = "Name of the primary Region's Firehose stream, to which `write` sends accepted changes."
  value       = module.primary.delivery_stream
}

output "apply_queue_url" {
  description = "URL of the primary Region's apply queue, in which S3 announces new write-log objects to `apply`."
  value       = module.primary.apply_queue_url
}

output "apply_dead_letter_url" {
  description = "URL of the dead-letter queue that belongs to the primary Region's apply queue."
  value       = module.primary.apply_dead_letter_url
}

output "checkpoints_table" {
  description = "Name of the table that holds the checkpoint of each source; null without sources."
  value       = one(module.poll[*].checkpoints_table)
}

output "change_stream" {
  description = <<-EOT
    Name of the change stream, the Kinesis stream that carries changes from `poll` to `apply-stream`; null without
    sources.
  EOT
  value       = one(module.change_stream[*].name)
}

output "poll_function" {
  description = "Name of the `poll` function; null without sources."
  value       = one(module.poll[*].function_name)
}

output "replica_checkpoints_table" {
  description = <<-EOT
    Name of the replica Region's table with the checkpoint of each source; null if that Region can't poll.
  EOT
  value       = one(module.replica_poll[*].checkpoints_table)
}

output "replica_change_stream" {
  description = "Name of the replica Region's change stream; null if that Region can't poll."
  value       = one(module.replica_change_stream[*].name)
}

output "replica_poll_function" {
  description = "Name of the `poll` function in the replica Region; null if that Region can't poll."
  value       = one(module.replica_poll[*].function_name)
}

output "sources" {
  description = <<-EOT
    Source name -> its mode, collection, schedule and staleness budget (seconds), and the failures in a row that open
    its breaker. Its other settings are only in the state and in the object that `poll` reads.
  EOT
  value = { for name, source in module.settings.sources : name => {
    mode             = source.mode
    collection       = source.collection
    schedule         = source.schedule
    staleness_budget = source.staleness_budget
    breaker_failures = source.breaker.failures
  } }
}

output "backends" {
  description = <<-EOT
    Backend name -> its base URL, and whether callers need an API key (output backend_api_keys has the keys).
  EOT
  value = { for name, backend in module.settings.backends : name => {
    url     = "${local.public_api_url}/v1/backends/${name}"
    api_key = backend.api_key
  } }
}

output "backend_api_keys" {
  description = <<-EOT
    API keys of the backends' callers, which are the same in both Regions: "<backend>/<caller>/<key>" -> the value. The
    key `first` of the caller `default` has the backend's name alone.
  EOT
  value       = module.primary.backend_api_keys
  sensitive   = true
}

output "alarm_topic_arn" {
  description = "ARN of the SNS topic that the primary Region's pages notify; null without alarms."
  value       = one(module.monitoring[*].topic_arn)
}

output "replica_alarm_topic_arn" {
  description = <<-EOT
    ARN of the SNS topic that the replica Region's pages notify; null without a replica or without alarms.
  EOT
  value       = one(module.replica_monitoring[*].topic_arn)
}

output "ticket_topic_arn" {
  description = "ARN of the SNS topic that the primary Region's tickets notify; null without alarms."
  value       = one(module.monitoring[*].ticket_topic_arn)
}

output "replica_ticket_topic_arn" {
  description = <<-EOT
    ARN of the SNS topic that the replica Region's tickets notify; null without a replica or without alarms.
  EOT
  value       = one(module.replica_monitoring[*].ticket_topic_arn)
}

output "policies" {
  description = <<-EOT
    Every policy of the primary Region and the key policies of all Regions, as JSON text, for tests and reviews.
  EOT
  value = merge(module.primary.policies, {
    keys          = local.key_policies
    change_stream = one(module.change_stream[*].policies)
    deployment    = one(module.deployment[*].policies)
    poll          = one(module.poll[*].policies)
    alarms        = one(module.monitoring[*].policies)
    edge          = one(module.edge[*].policies)
    firewall_log  = one(module.firewall[*].log_policy)
    edge_topic    = one(module.edge_topic[*].policy)
  })
}
