# The variables of the stack, which main.tf passes on to modules/readplane. That module has their types, defaults, rules
# and full descriptions; docs/variables.md lists them. A variable that is null or not set gets the module's default. The
# type `any` keeps a value as it was written, so that the module's own type applies to it.

# --- The stack

variable "name" {
  description = "Stack name, the prefix of AWS resource names. See docs/variables.md#name."
  type        = string
  default     = null
}

variable "region" {
  description = "Primary AWS Region. See docs/variables.md#region."
  type        = string
}

variable "replica_region" {
  description = "Second AWS Region; null means that the stack has one Region. See docs/variables.md#replica_region."
  type        = string
  default     = null
}

variable "customer_managed_key" {
  description = "Encrypt with customer managed KMS keys. See docs/variables.md#customer_managed_key."
  type        = bool
  default     = null
}

variable "deletion_protection" {
  description = "Refuse to delete what holds data. See docs/variables.md#deletion_protection."
  type        = bool
  default     = null
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the logs. See docs/variables.md#log_retention_days."
  type        = number
  default     = null
}

# --- What clients read and write

variable "collections" {
  description = "Collections and their settings. See docs/variables.md#collections."
  type        = any
}

variable "sources" {
  description = "Back offices that `poll` polls. See docs/variables.md#sources."
  type        = any
  default     = null
}

variable "backends" {
  description = "Back offices that clients reach through the API. See docs/variables.md#backends."
  type        = any
  default     = null
}

variable "backend_api_keys" {
  description = "API keys that the callers of backends already have. See docs/variables.md#backend_api_keys."
  type        = any
  sensitive   = true
  default     = null
}

variable "sign_in" {
  description = "How users sign in with Cognito. See docs/variables.md#sign_in."
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
  description = "Web origins whose scripts may call the API. See docs/variables.md#cors_origins."
  type        = any
  default     = null
}

variable "cors_headers" {
  description = "Request headers that scripts may send. See docs/variables.md#cors_headers."
  type        = any
  default     = null
}

variable "cache_size" {
  description = "Size of the API's cache cluster in GB, as text. See docs/variables.md#cache_size."
  type        = string
  default     = null
}

variable "throttle" {
  description = "Request limit of each method of the API. See docs/variables.md#throttle."
  type        = any
  default     = null
}

variable "documents_integration" {
  description = "How the API gets documents from the documents bucket. See docs/variables.md#documents_integration."
  type        = string
  default     = null
}

variable "manage_account_logging" {
  description = "Manage the role with which API Gateway writes logs. See docs/variables.md#manage_account_logging."
  type        = bool
  default     = null
}

variable "api_base_url" {
  description = "Base URL of the API on an emulator. See docs/variables.md#api_base_url."
  type        = string
  default     = null
}

# --- How changes flow

variable "write_log" {
  description = "Buffering, storage and processing of the write log. See docs/variables.md#write_log."
  type        = any
  default     = null
}

variable "horizon_days" {
  description = "Days for which tombstones are kept. See docs/variables.md#horizon_days."
  type        = number
  default     = null
}

variable "change_stream" {
  description = "The Kinesis stream from `poll` to `apply`. See docs/variables.md#change_stream."
  type        = any
  default     = null
}

variable "poll" {
  description = "Network in which `poll` runs. See docs/variables.md#poll."
  type        = any
  default     = null
}

# --- Functions

variable "functions" {
  description = "Memory, timeout and concurrency of each function. See docs/variables.md#functions."
  type        = any
  default     = null
}

variable "account_concurrency_quota" {
  description = "The account's quota of concurrent Lambda executions. See docs/variables.md#account_concurrency_quota."
  type        = number
  default     = null
}

variable "dist" {
  description = "Folder with the zips that `make build` creates. See docs/variables.md#dist."
  type        = string
  default     = "../dist" # the same paths as ever, because a new path would make new versions of the layers
}

variable "hot_zip" {
  description = "Path of the zip of `read`, `write` and `apply`. See docs/variables.md#hot_zip."
  type        = string
  default     = null
}

variable "functions_zip" {
  description = "Path of the zip of the other functions. See docs/variables.md#functions_zip."
  type        = string
  default     = null
}

variable "layer_zip" {
  description = "Path of the zip of the shared Lambda layer. See docs/variables.md#layer_zip."
  type        = string
  default     = null
}

variable "poll_layer_zip" {
  description = "Path of the zip of the Lambda layer of `poll`. See docs/variables.md#poll_layer_zip."
  type        = string
  default     = null
}

variable "aws_client" {
  description = "Client library with which functions call AWS. See docs/variables.md#aws_client."
  type        = string
  default     = null
}

variable "architecture" {
  description = "Processor architecture of the functions. See docs/variables.md#architecture."
  type        = string
  default     = null
}

# --- Alarms

variable "alarms" {
  description = "Create alarms, their SNS topic and a dashboard. See docs/variables.md#alarms."
  type        = bool
  default     = null
}

variable "alarm_actions" {
  description = "SNS topics that the primary Region's alarms notify too. See docs/variables.md#alarm_actions."
  type        = any
  default     = null
}

variable "replica_alarm_actions" {
  description = "SNS topics that the replica Region's alarms notify too. See docs/variables.md#replica_alarm_actions."
  type        = any
  default     = null
}

variable "notify" {
  description = "People whom the alarms notify. See docs/variables.md#notify."
  type        = any
  default     = null
}

# --- Emulators

variable "emulator" {
  description = "Settings of the stack for an emulator. See docs/variables.md#emulator."
  type        = any
  default     = null
}

# --- The AWS provider. Only providers.tf uses these two variables.

variable "tags" {
  description = "Tags of every AWS resource, in addition to the tags Project and Stack."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "emulator_provider" {
  description = "Settings of the AWS provider for an emulator, under the provider's own names. Leave them out on AWS."
  type = object({
    s3_use_path_style           = optional(bool, false) # name the bucket in the path, not in the host
    skip_credentials_validation = optional(bool, false) # don't ask STS whether the credentials are valid
    skip_metadata_api_check     = optional(bool, false) # don't ask EC2's instance metadata for credentials
    skip_region_validation      = optional(bool, false) # accept names of Regions that AWS doesn't have
  })
  default  = {}
  nullable = false
}
