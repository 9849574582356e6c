# The outputs of modules/readplane, under the same names. Its files describe them. The outputs with long documents
# (openapi, api_documents and policies) are left out, because Terraform would print them at the end of every apply.

output "name" {
  description = "Stack name."
  value       = module.readplane.name
}

output "region" {
  description = "Primary Region."
  value       = module.readplane.region
}

output "replica_region" {
  description = "Replica Region; null without a replica."
  value       = module.readplane.replica_region
}

output "api_url" {
  description = "Base URL of the API, without the stage /v1."
  value       = module.readplane.api_url
}

output "replica_api_url" {
  description = "Base URL of the replica Region's API; null without a replica."
  value       = module.readplane.replica_api_url
}

output "api_switches" {
  description = <<-EOT
    Region -> the shell commands that lead clients away from its API (leave) and back (return); empty without
    api_failover. Keep a copy outside the Regions.
  EOT
  value       = module.readplane.api_switches
}

output "edge_url" {
  description = "Base URL of the edge, which serves documents, the API under /v1 and the web client; null without one."
  value       = module.readplane.edge_url
}

output "edge_id" {
  description = "Id of the edge's CloudFront distribution; null without an edge."
  value       = module.readplane.edge_id
}

output "edge_domain_name" {
  description = "Host name of the edge's distribution, to which a DNS record of edge.domain leads; null without one."
  value       = module.readplane.edge_domain_name
}

output "edge_function" {
  description = "The function `edge_auth`: its name, version, parameter and role; null without an edge."
  value       = module.readplane.edge_function
}

output "routes" {
  description = "Every route of the API as \"METHOD /path\", without the stage /v1."
  value       = module.readplane.routes
}

output "openapi_uri" {
  description = <<-EOT
    S3 URI of the API's public contract, an OpenAPI 3.1 document with the JSON Schemas of the collections. Read it with
    `aws s3 cp "$(terraform output -raw openapi_uri)" -`.
  EOT
  value       = module.readplane.openapi_uri
}

output "api_document_uris" {
  description = <<-EOT
    Region -> the id of its REST API, and the S3 URI of the OpenAPI document that Terraform has imported into it.
  EOT
  value       = module.readplane.api_document_uris
}

output "primary" {
  description = <<-EOT
    What the stack has in the primary Region: its API (id, stage, domain), functions, queues, buckets, streams, items
    table, KMS key, alarm topic and roles, with names and ARNs.
  EOT
  value       = module.readplane.primary
}

output "replica" {
  description = "The same as primary, for the replica Region; null without a replica."
  value       = module.readplane.replica
}

output "user_pool_id" {
  description = "Id of the Cognito user pool."
  value       = module.readplane.user_pool_id
}

output "user_pool_arn" {
  description = "ARN of the Cognito user pool."
  value       = module.readplane.user_pool_arn
}

output "web_client_id" {
  description = "Cognito client id of the web application."
  value       = module.readplane.web_client_id
}

output "mobile_client_id" {
  description = "Cognito client id of the mobile application."
  value       = module.readplane.mobile_client_id
}

output "client_ids" {
  description = <<-EOT
    Cognito client ids whose access tokens `read` and `write` accept: the stack's own, and those in user_pool.
  EOT
  value       = module.readplane.client_ids
}

output "identity_pool_id" {
  description = "Id of the Cognito identity pool; null without one."
  value       = module.readplane.identity_pool_id
}

output "sign_in_url" {
  description = "URL of Cognito's hosted sign-in page."
  value       = module.readplane.sign_in_url
}

output "items_table" {
  description = "Name of the live items table. It is the same in every Region."
  value       = module.readplane.items_table
}

output "items_generations" {
  description = <<-EOT
    Generations of the items tables: the live one, and the one that is being made or was live before (null without).
  EOT
  value       = module.readplane.items_generations
}

output "second_items_table" {
  description = <<-EOT
    Name of the items table beside the live one, which is being made or was live before; null without one. It is the
    same in every Region.
  EOT
  value       = module.readplane.second_items_table
}

output "documents_bucket" {
  description = "Name of the bucket with the primary Region's published documents."
  value       = module.readplane.documents_bucket
}

output "replica_documents_bucket" {
  description = "Name of the bucket with the replica Region's published documents; null without a replica."
  value       = module.readplane.replica_documents_bucket
}

output "write_log_bucket" {
  description = "Name of the bucket with the primary Region's write log."
  value       = module.readplane.write_log_bucket
}

output "replica_write_log_bucket" {
  description = "Name of the bucket with the replica Region's write log; null without a replica."
  value       = module.readplane.replica_write_log_bucket
}

output "delivery_stream" {
  description = "Name of the primary Region's Firehose stream, to which `write` sends accepted changes."
  value       = module.readplane.delivery_stream
}

output "apply_queue_url" {
  description = "URL of the primary Region's apply queue, in which S3 announces new write-log objects to `apply`."
  value       = module.readplane.apply_queue_url
}

output "apply_dead_letter_url" {
  description = "URL of the dead-letter queue that belongs to the primary Region's apply queue."
  value       = module.readplane.apply_dead_letter_url
}

output "checkpoints_table" {
  description = "Name of the table that holds the checkpoint of each source; null without sources."
  value       = module.readplane.checkpoints_table
}

output "change_stream" {
  description = <<-EOT
    Name of the change stream, the Kinesis stream that carries changes from `poll` to `apply-stream`; null without
    sources.
  EOT
  value       = module.readplane.change_stream
}

output "poll_function" {
  description = "Name of the `poll` function; null without sources."
  value       = module.readplane.poll_function
}

output "replica_checkpoints_table" {
  description = <<-EOT
    Name of the replica Region's table with the checkpoint of each source; null if that Region can't poll.
  EOT
  value       = module.readplane.replica_checkpoints_table
}

output "replica_change_stream" {
  description = "Name of the replica Region's change stream; null if that Region can't poll."
  value       = module.readplane.replica_change_stream
}

output "replica_poll_function" {
  description = "Name of the `poll` function in the replica Region; null if that Region can't poll."
  value       = module.readplane.replica_poll_function
}

output "sources" {
  description = <<-EOT
    Source name -> its mode, collection, schedule and staleness budget (seconds), and the failures in a row that open
    its breaker. Its other settings are only in the state and in the object that `poll` reads.
  EOT
  value       = module.readplane.sources
}

output "backends" {
  description = <<-EOT
    Backend name -> its base URL, and whether callers need an API key (output backend_api_keys has the keys).
  EOT
  value       = module.readplane.backends
}

output "backend_api_keys" {
  description = <<-EOT
    API keys of the backends' callers, which are the same in both Regions: "<backend>/<caller>/<key>" -> the value. The
    key `first` of the caller `default` has the backend's name alone.
  EOT
  value       = module.readplane.backend_api_keys
  sensitive   = true
}

output "alarm_topic_arn" {
  description = "ARN of the SNS topic that the primary Region's pages notify; null without alarms."
  value       = module.readplane.alarm_topic_arn
}

output "replica_alarm_topic_arn" {
  description = <<-EOT
    ARN of the SNS topic that the replica Region's pages notify; null without a replica or without alarms.
  EOT
  value       = module.readplane.replica_alarm_topic_arn
}

output "ticket_topic_arn" {
  description = "ARN of the SNS topic that the primary Region's tickets notify; null without alarms."
  value       = module.readplane.ticket_topic_arn
}

output "replica_ticket_topic_arn" {
  description = <<-EOT
    ARN of the SNS topic that the replica Region's tickets notify; null without a replica or without alarms.
  EOT
  value       = module.readplane.replica_ticket_topic_arn
}

output "kms_key_statements" {
  description = "Region -> the statements that the policy of its customer managed key contains, as JSON text."
  value       = module.readplane.kms_key_statements
}

output "database_setup" {
  description = <<-EOT
    Region -> what makes the role that migrates its database, once: the cluster, the secret of its administrator, the
    database and the statement. Empty without relational.aurora.
  EOT
  value       = module.readplane.database_setup
}

output "feed_queues" {
  description = <<-EOT
    `primary` and `replica` -> store (`cache`, `database`) -> URL and ARN of its queue, and the URL of its dead-letter
    queue. Empty without private stores.
  EOT
  value       = module.readplane.feed_queues
}

output "deployments" {
  description = <<-EOT
    Region -> its CodeDeploy application, and for each function the deployment group, the alias that clients call, and
    the alarms that roll a deployment back. Empty without deploy.canary.
  EOT
  value       = module.readplane.deployments
}
