# Each variable with its default. The outputs that are more than a variable stand in derived.tf.
#
# `make docs` writes this file from the files variables_*.tf of modules/settings.

output "name" {
  description = "Stack name."
  value       = var.name
}

output "region" {
  description = "Primary AWS Region of the stack."
  value       = var.region
}

output "replica" {
  description = "The second AWS Region, which also accepts reads and writes."
  value       = var.replica
}

output "replica_region" {
  description = "Deprecated: write replica = { region = … } instead."
  value       = var.replica_region
}

output "customer_managed_key" {
  description = "Which keys encrypt the stack's data."
  value       = var.customer_managed_key
}

output "kms_keys" {
  description = "Customer managed keys that exist already, which the stack uses instead of making its own."
  value       = var.kms_keys
}

output "deletion_protection" {
  description = "Refuse to delete the stack."
  value       = var.deletion_protection
}

output "log_retention_days" {
  description = "Days for which CloudWatch keeps the logs of the stack."
  value       = var.log_retention_days
}

output "emulator" {
  description = "What an emulator does differently from AWS."
  value       = var.emulator
}

output "collections" {
  description = "Collection name -> the settings of the collection."
  value       = var.collections
}

output "groups" {
  description = "The user groups of the stack."
  value       = var.groups
}

output "sources" {
  description = "Source name -> the back office to poll, its schedule, and the collection that the source feeds."
  value       = var.sources
}

output "change_stream" {
  description = "The Kinesis stream that carries changes from `poll` to `apply-stream`."
  value       = var.change_stream
}

output "poll" {
  description = "The Regions and the networks in which `poll` runs."
  value       = var.poll
}

output "backends" {
  description = "Backend name -> a back office that clients reach under /v1/backends/<name>/."
  value       = var.backends
}

output "backend_api_keys" {
  description = "API keys that callers already have: \"<backend>/<caller>/<key>\" -> the value of that key."
  value       = var.backend_api_keys
  sensitive   = true
}

output "sign_in" {
  description = "How users sign in with Cognito, and for how long."
  value       = var.sign_in
}

output "endpoint_type" {
  description = "Endpoint type of the API."
  value       = var.endpoint_type
}

output "cors_origins" {
  description = "Web origins whose scripts may call the API from a browser."
  value       = var.cors_origins
}

output "cors_headers" {
  description = "Request headers that scripts from cors_origins may send, besides those that the API itself reads."
  value       = var.cors_headers
}

output "cache_size" {
  description = <<-EOT
    Size of the API's cache cluster in GB, as text; null means no cluster, so that API Gateway caches nothing.
  EOT
  value       = var.cache_size
}

output "throttle" {
  description = "Request limit of each method of the API."
  value       = var.throttle
}

output "open_throttle" {
  description = <<-EOT
    Request limit of each method that anybody may call, without a token or an API key: reads of public collections, the
    freshness of their sources, and /health.
  EOT
  value       = var.open_throttle
}

output "method_metrics" {
  description = "Send CloudWatch metrics of each method, in addition to those of the whole API, which are free."
  value       = var.method_metrics
}

output "documents_integration" {
  description = "How the API gets documents from the documents bucket."
  value       = var.documents_integration
}

output "manage_account_logging" {
  description = "Deprecated: the next version removes this variable."
  value       = var.manage_account_logging
}

output "api_base_url" {
  description = "Base URL of the API on an emulator, with {api_id} in place of the API's id; null means AWS's own URL."
  value       = var.api_base_url
}

output "write_log" {
  description = "Buffering, storage and processing of the write log."
  value       = var.write_log
}

output "horizon_days" {
  description = "Days for which the tombstone of a deleted item is kept."
  value       = var.horizon_days
}

output "functions" {
  description = "Memory, timeout and concurrency of each function."
  value       = var.functions
}

output "account_concurrency_quota" {
  description = <<-EOT
    The AWS account's quota of concurrent Lambda executions per Region, which limits what functions can reserve.
  EOT
  value       = var.account_concurrency_quota
}

output "republish" {
  description = <<-EOT
    Raise this number to publish a new version of every function although nothing else changes: for example because AWS
    could not make the SnapStart snapshot of a version.
  EOT
  value       = var.republish
}

output "code_buckets" {
  description = <<-EOT
    S3 buckets with the zips, instead of the local files: one bucket in each Region, because Lambda takes code only from
    its own Region.
  EOT
  value       = var.code_buckets
}

output "dist" {
  description = "Path of the folder with the zips of the functions and Lambda layers, which `make build` creates."
  value       = var.dist
}

output "hot_zip" {
  description = "Path of the zip with the code of `read`, `write` and `apply`."
  value       = var.hot_zip
}

output "functions_zip" {
  description = "Path of the zip with the code of `publish`, `poll`, `query`, `feed` and `backend_auth`."
  value       = var.functions_zip
}

output "layer_zip" {
  description = "Path of the zip of the Lambda layer that several functions share."
  value       = var.layer_zip
}

output "edge_auth_zip" {
  description = "Path of the zip with the code of `edge_auth`, which CloudFront runs."
  value       = var.edge_auth_zip
}

output "poll_layer_zip" {
  description = "Path of the zip of the Lambda layer that only `poll` uses."
  value       = var.poll_layer_zip
}

output "database_layer_zip" {
  description = "Path of the zip of the Lambda layer with the PostgreSQL driver, which `query` and `feed` use."
  value       = var.database_layer_zip
}

output "dax_layer_zip" {
  description = <<-EOT
    Path of the zip of the Lambda layer with the client of DynamoDB Accelerator, which `read` uses with cache.dax.
  EOT
  value       = var.dax_layer_zip
}

output "aws_client" {
  description = "Client library with which `read`, `write` and `apply` call AWS."
  value       = var.aws_client
}

output "architecture" {
  description = "Processor architecture of the functions."
  value       = var.architecture
}

output "alarms" {
  description = <<-EOT
    Create the alarms (0.10 $ a month for each of their metrics), the SNS topics that they notify, and a dashboard.
  EOT
  value       = var.alarms
}

output "alarm_actions" {
  description = "ARNs of SNS topics that the primary Region's pages notify, in addition to the stack's own topic."
  value       = var.alarm_actions
}

output "replica_alarm_actions" {
  description = "ARNs of SNS topics that the replica Region's pages notify, in addition to the stack's own topic."
  value       = var.replica_alarm_actions
}

output "notify" {
  description = "People whom pages notify, in addition to the SNS topics in alarm_actions."
  value       = var.notify
}

output "probe" {
  description = <<-EOT
    A function that calls each Region's API every minute, so that an alarm fires although no client can call.
  EOT
  value       = var.probe
}

output "tickets" {
  description = "Whom tickets notify: the alarms that can wait until the next working day."
  value       = var.tickets
}

output "budget" {
  description = <<-EOT
    A monthly budget of AWS Budgets, which sends e-mails when 80 % of it is spent, and when AWS expects the month to end
    above it.
  EOT
  value       = var.budget
}

output "roles" {
  description = "Path and permissions boundary of every IAM role of the stack."
  value       = var.roles
}

output "user_pool" {
  description = "A Cognito user pool that you already have, in region; null means that the stack creates its own."
  value       = var.user_pool
}

output "access_log_buckets" {
  description = "Buckets that get S3's access logs of the stack's buckets, one in each Region, in the stack's account."
  value       = var.access_log_buckets
}

output "domains" {
  description = "A domain name of yours for the API in each Region."
  value       = var.domains
}

output "cache" {
  description = "A cache of items in each Region, which `read` asks before DynamoDB."
  value       = var.cache
}

output "deploy" {
  description = "How a new version of the functions reaches clients."
  value       = var.deploy
}

output "edge" {
  description = <<-EOT
    A CloudFront distribution that serves documents, the API and the web client from the edge location nearest to the
    client.
  EOT
  value       = var.edge
}

output "edge_base_url" {
  description = <<-EOT
    Base URL at which an emulator serves the edge; null means the distribution's own address or edge.domain.
  EOT
  value       = var.edge_base_url
}

output "api_failover" {
  description = <<-EOT
    Let Route 53 lead clients away from a Region whose API doesn't answer, within three minutes, and let an operator do
    the same by a switch in the other Region.
  EOT
  value       = var.api_failover
}

output "firewall" {
  description = "A web ACL of AWS WAF for the edge; null means none."
  value       = var.firewall
}

output "identity_pool" {
  description = <<-EOT
    Give users of the mobile client AWS credentials with which they read their own documents straight from S3, by a
    Cognito identity pool.
  EOT
  value       = var.identity_pool
}

output "items" {
  description = "The generations of the items table."
  value       = var.items
}

output "network" {
  description = <<-EOT
    The VPC of each Region in which functions reach the private stores: `read` the cache, `query` the database, and
    `feed` both.
  EOT
  value       = var.network
}

output "relational" {
  description = "A PostgreSQL database in each Region, from which clients list collections with filter, sort and q."
  value       = var.relational
}

output "store_passwords" {
  description = "Passwords of external stores, by use."
  value       = var.store_passwords
  sensitive   = true
}

# Each variable with objects in its type, with every attribute that the type has.
locals {
  typed = {
    replica            = var.replica
    kms_keys           = var.kms_keys
    emulator           = var.emulator
    collections        = var.collections
    sources            = var.sources
    change_stream      = var.change_stream
    poll               = var.poll
    backends           = var.backends
    sign_in            = var.sign_in
    throttle           = var.throttle
    open_throttle      = var.open_throttle
    write_log          = var.write_log
    functions          = var.functions
    code_buckets       = var.code_buckets
    notify             = var.notify
    probe              = var.probe
    tickets            = var.tickets
    budget             = var.budget
    roles              = var.roles
    user_pool          = var.user_pool
    access_log_buckets = var.access_log_buckets
    domains            = var.domains
    cache              = var.cache
    deploy             = var.deploy
    edge               = var.edge
    firewall           = var.firewall
    items              = var.items
    network            = var.network
    relational         = var.relational
  }
}
