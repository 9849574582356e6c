# The variables of the stack. modules/settings has their types, defaults, rules and full descriptions; docs/variables.md
# lists them. A variable that is null or not set gets its default. The type `any` keeps a value as it was written, so
# that modules/settings can refuse an attribute that doesn't exist.
#
# `make docs` writes this file from the files variables_*.tf of modules/settings.

# --- Stack

variable "name" {
  description = "Stack name. See docs/variables.md#name."
  type        = string
  default     = null
}

variable "region" {
  description = "Primary AWS Region of the stack. See docs/variables.md#region."
  type        = string
}

variable "replica" {
  description = "The second AWS Region, which also accepts reads and writes. See docs/variables.md#replica."
  type        = any
  default     = null
}

variable "replica_region" {
  description = "Deprecated: write replica = { region = … } instead. See docs/variables.md#replica_region."
  type        = string
  default     = null
}

variable "customer_managed_key" {
  description = "Which keys encrypt the stack's data. See docs/variables.md#customer_managed_key."
  type        = bool
  default     = null
}

variable "kms_keys" {
  description = <<-EOT
    Customer managed keys that exist already, which the stack uses instead of making its own. See
    docs/variables.md#kms_keys.
  EOT
  type        = any
  default     = null
}

variable "deletion_protection" {
  description = "Refuse to delete the stack. See docs/variables.md#deletion_protection."
  type        = bool
  default     = null
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the logs of the stack. See docs/variables.md#log_retention_days."
  type        = number
  default     = null
}

variable "emulator" {
  description = "What an emulator does differently from AWS. See docs/variables.md#emulator."
  type        = any
  default     = null
}

# --- Collections

variable "collections" {
  description = "Collection name -> the settings of the collection. See docs/variables.md#collections."
  type        = any
}

variable "groups" {
  description = "The user groups of the stack. See docs/variables.md#groups."
  type        = any
  default     = null
}

# --- Sources

variable "sources" {
  description = <<-EOT
    Source name -> the back office to poll, its schedule, and the collection that the source feeds. See
    docs/variables.md#sources.
  EOT
  type        = any
  default     = null
}

variable "change_stream" {
  description = <<-EOT
    The Kinesis stream that carries changes from `poll` to `apply-stream`. See docs/variables.md#change_stream.
  EOT
  type        = any
  default     = null
}

variable "poll" {
  description = "The Regions and the networks in which `poll` runs. See docs/variables.md#poll."
  type        = any
  default     = null
}

# --- Backends

variable "backends" {
  description = <<-EOT
    Backend name -> a back office that clients reach under /v1/backends/<name>/. See docs/variables.md#backends.
  EOT
  type        = any
  default     = null
}

variable "backend_api_keys" {
  description = <<-EOT
    API keys that callers already have: "<backend>/<caller>/<key>" -> the value of that key. See
    docs/variables.md#backend_api_keys.
  EOT
  type        = any
  sensitive   = true
  default     = null
}

# --- Sign in

variable "sign_in" {
  description = "How users sign in with Cognito, and for how long. See docs/variables.md#sign_in."
  type        = any
  default     = null
}

# --- The API

variable "endpoint_type" {
  description = "Endpoint type of the API. See docs/variables.md#endpoint_type."
  type        = string
  default     = null
}

variable "cors_origins" {
  description = "Web origins whose scripts may call the API from a browser. See docs/variables.md#cors_origins."
  type        = any
  default     = null
}

variable "cors_headers" {
  description = <<-EOT
    Request headers that scripts from cors_origins may send, besides those that the API itself reads. See
    docs/variables.md#cors_headers.
  EOT
  type        = any
  default     = null
}

variable "cache_size" {
  description = <<-EOT
    Size of the API's cache cluster in GB, as text; null means no cluster, so that API Gateway caches nothing. See
    docs/variables.md#cache_size.
  EOT
  type        = string
  default     = null
}

variable "throttle" {
  description = "Request limit of each method of the API. See docs/variables.md#throttle."
  type        = any
  default     = null
}

variable "open_throttle" {
  description = <<-EOT
    Request limit of each method that anybody may call, without a token or an API key: reads of public collections, the
    freshness of their sources, and /health. See docs/variables.md#open_throttle.
  EOT
  type        = any
  default     = null
}

variable "method_metrics" {
  description = <<-EOT
    Send CloudWatch metrics of each method, in addition to those of the whole API, which are free. See
    docs/variables.md#method_metrics.
  EOT
  type        = bool
  default     = null
}

variable "documents_integration" {
  description = "How the API gets documents from the documents bucket. See docs/variables.md#documents_integration."
  type        = string
  default     = null
}

variable "manage_account_logging" {
  description = "Deprecated: the next version removes this variable. See docs/variables.md#manage_account_logging."
  type        = bool
  default     = null
}

variable "api_base_url" {
  description = <<-EOT
    Base URL of the API on an emulator, with {api_id} in place of the API's id; null means AWS's own URL. See
    docs/variables.md#api_base_url.
  EOT
  type        = string
  default     = null
}

# --- Write log

variable "write_log" {
  description = "Buffering, storage and processing of the write log. See docs/variables.md#write_log."
  type        = any
  default     = null
}

variable "horizon_days" {
  description = "Days for which the tombstone of a deleted item is kept. See docs/variables.md#horizon_days."
  type        = number
  default     = null
}

# --- Functions

variable "functions" {
  description = "Memory, timeout and concurrency of each function. See docs/variables.md#functions."
  type        = any
  default     = null
}

variable "account_concurrency_quota" {
  description = <<-EOT
    The AWS account's quota of concurrent Lambda executions per Region, which limits what functions can reserve. See
    docs/variables.md#account_concurrency_quota.
  EOT
  type        = number
  default     = null
}

variable "republish" {
  description = <<-EOT
    Raise this number to publish a new version of every function although nothing else changes: for example because AWS
    could not make the SnapStart snapshot of a version. See docs/variables.md#republish.
  EOT
  type        = number
  default     = null
}

variable "code_buckets" {
  description = <<-EOT
    S3 buckets with the zips, instead of the local files: one bucket in each Region, because Lambda takes code only from
    its own Region. See docs/variables.md#code_buckets.
  EOT
  type        = any
  default     = null
}

variable "dist" {
  description = <<-EOT
    Path of the folder with the zips of the functions and Lambda layers, which `make build` creates. See
    docs/variables.md#dist.
  EOT
  type        = string
  default     = null
}

variable "hot_zip" {
  description = "Path of the zip with the code of `read`, `write` and `apply`. See docs/variables.md#hot_zip."
  type        = string
  default     = null
}

variable "functions_zip" {
  description = <<-EOT
    Path of the zip with the code of `publish`, `poll`, `query`, `feed` and `backend_auth`. See
    docs/variables.md#functions_zip.
  EOT
  type        = string
  default     = null
}

variable "layer_zip" {
  description = "Path of the zip of the Lambda layer that several functions share. See docs/variables.md#layer_zip."
  type        = string
  default     = null
}

variable "edge_auth_zip" {
  description = <<-EOT
    Path of the zip with the code of `edge_auth`, which CloudFront runs. See docs/variables.md#edge_auth_zip.
  EOT
  type        = string
  default     = null
}

variable "poll_layer_zip" {
  description = "Path of the zip of the Lambda layer that only `poll` uses. See docs/variables.md#poll_layer_zip."
  type        = string
  default     = null
}

variable "database_layer_zip" {
  description = <<-EOT
    Path of the zip of the Lambda layer with the PostgreSQL driver, which `query` and `feed` use. See
    docs/variables.md#database_layer_zip.
  EOT
  type        = string
  default     = null
}

variable "dax_layer_zip" {
  description = <<-EOT
    Path of the zip of the Lambda layer with the client of DynamoDB Accelerator, which `read` uses with cache.dax. See
    docs/variables.md#dax_layer_zip.
  EOT
  type        = string
  default     = null
}

variable "aws_client" {
  description = "Client library with which `read`, `write` and `apply` call AWS. See docs/variables.md#aws_client."
  type        = string
  default     = null
}

variable "architecture" {
  description = "Processor architecture of the functions. See docs/variables.md#architecture."
  type        = string
  default     = null
}

# --- Monitoring

variable "alarms" {
  description = <<-EOT
    Create the alarms (0.10 $ a month for each of their metrics), the SNS topics that they notify, and a dashboard. See
    docs/variables.md#alarms.
  EOT
  type        = bool
  default     = null
}

variable "alarm_actions" {
  description = <<-EOT
    ARNs of SNS topics that the primary Region's pages notify, in addition to the stack's own topic. See
    docs/variables.md#alarm_actions.
  EOT
  type        = any
  default     = null
}

variable "replica_alarm_actions" {
  description = <<-EOT
    ARNs of SNS topics that the replica Region's pages notify, in addition to the stack's own topic. See
    docs/variables.md#replica_alarm_actions.
  EOT
  type        = any
  default     = null
}

variable "notify" {
  description = <<-EOT
    People whom pages notify, in addition to the SNS topics in alarm_actions. See docs/variables.md#notify.
  EOT
  type        = any
  default     = null
}

variable "probe" {
  description = <<-EOT
    A function that calls each Region's API every minute, so that an alarm fires although no client can call. See
    docs/variables.md#probe.
  EOT
  type        = any
  default     = null
}

variable "tickets" {
  description = <<-EOT
    Whom tickets notify: the alarms that can wait until the next working day. See docs/variables.md#tickets.
  EOT
  type        = any
  default     = null
}

# --- Costs

variable "budget" {
  description = <<-EOT
    A monthly budget of AWS Budgets, which sends e-mails when 80 % of it is spent, and when AWS expects the month to end
    above it. See docs/variables.md#budget.
  EOT
  type        = any
  default     = null
}

# --- Account

variable "roles" {
  description = "Path and permissions boundary of every IAM role of the stack. See docs/variables.md#roles."
  type        = any
  default     = null
}

variable "user_pool" {
  description = <<-EOT
    A Cognito user pool that you already have, in region; null means that the stack creates its own. See
    docs/variables.md#user_pool.
  EOT
  type        = any
  default     = null
}

variable "access_log_buckets" {
  description = <<-EOT
    Buckets that get S3's access logs of the stack's buckets, one in each Region, in the stack's account. See
    docs/variables.md#access_log_buckets.
  EOT
  type        = any
  default     = null
}

variable "domains" {
  description = "A domain name of yours for the API in each Region. See docs/variables.md#domains."
  type        = any
  default     = null
}

# --- Cache

variable "cache" {
  description = "A cache of items in each Region, which `read` asks before DynamoDB. See docs/variables.md#cache."
  type        = any
  default     = null
}

# --- Deploy

variable "deploy" {
  description = "How a new version of the functions reaches clients. See docs/variables.md#deploy."
  type        = any
  default     = null
}

# --- Edge

variable "edge" {
  description = <<-EOT
    A CloudFront distribution that serves documents, the API and the web client from the edge location nearest to the
    client. See docs/variables.md#edge.
  EOT
  type        = any
  default     = null
}

variable "edge_base_url" {
  description = <<-EOT
    Base URL at which an emulator serves the edge; null means the distribution's own address or edge.domain. See
    docs/variables.md#edge_base_url.
  EOT
  type        = string
  default     = null
}

# --- Failover

variable "api_failover" {
  description = <<-EOT
    Let Route 53 lead clients away from a Region whose API doesn't answer, within three minutes, and let an operator do
    the same by a switch in the other Region. See docs/variables.md#api_failover.
  EOT
  type        = bool
  default     = null
}

# --- Firewall

variable "firewall" {
  description = "A web ACL of AWS WAF for the edge; null means none. See docs/variables.md#firewall."
  type        = any
  default     = null
}

# --- Identity pool

variable "identity_pool" {
  description = <<-EOT
    Give users of the mobile client AWS credentials with which they read their own documents straight from S3, by a
    Cognito identity pool. See docs/variables.md#identity_pool.
  EOT
  type        = bool
  default     = null
}

# --- Items

variable "items" {
  description = "The generations of the items table. See docs/variables.md#items."
  type        = any
  default     = null
}

# --- Network

variable "network" {
  description = <<-EOT
    The VPC of each Region in which functions reach the private stores: `read` the cache, `query` the database, and
    `feed` both. See docs/variables.md#network.
  EOT
  type        = any
  default     = null
}

# --- Relational

variable "relational" {
  description = <<-EOT
    A PostgreSQL database in each Region, from which clients list collections with filter, sort and q. See
    docs/variables.md#relational.
  EOT
  type        = any
  default     = null
}

# --- Stores

variable "store_passwords" {
  description = "Passwords of external stores, by use. See docs/variables.md#store_passwords."
  type        = any
  sensitive   = true
  default     = null
}
