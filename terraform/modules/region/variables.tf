variable "name" {
  description = "Stack name."
  type        = string
}

variable "code" {
  description = "The zips, their processor architecture, and how the functions of hot_zip call AWS."
  type = object({
    hot_zip       = string
    functions_zip = string
    layer_zip     = string
    architecture  = string
    aws_client    = string
  })
}

variable "kms_key_arn" {
  description = "This Region's customer managed key; null means keys that AWS owns."
  type        = string
}

variable "identity" {
  description = "Sign-in: the user pool, its clients, and the scopes that protected methods accept."
  type = object({
    user_pool_arn = string
    client_ids    = list(string)
    scopes        = object({ read = list(string), write = list(string) })
  })
}

variable "items" {
  description = "The items table in this Region."
  type        = object({ name = string, arn = string, stream_arn = string, index_name = string })
}

variable "collections" {
  description = "The collections, validated by the root module."
  type = map(object({
    read         = string
    write_groups = list(string)
    schema       = optional(string)
    cache_ttl    = number
    throttle     = optional(object({ rate = number, burst = number }))
  }))
}

variable "sources" {
  description = "Source name -> the collection that the source feeds, and its staleness budget in seconds."
  type        = map(object({ collection = string, staleness_budget = number }))
  default     = {}
}

variable "change_stream_arn" {
  description = "ARN of the change stream; null without sources, and null in the Region that doesn't poll."
  type        = string
  default     = null
}

variable "api" {
  description = "Settings of the API."
  type = object({
    endpoint_type          = string
    cors_origins           = list(string)
    cache_size             = optional(string)
    throttle               = object({ rate = number, burst = number })
    manage_account_logging = bool
    escape_method_paths    = optional(bool, true)
  })
}

variable "documents_integration" {
  description = "Who reads documents from their bucket: s3 (API Gateway itself) or lambda (`read`)."
  type        = string
}

variable "functions" {
  description = "Memory, timeout and concurrency of each function."
  type = map(object({
    memory_mb            = number
    timeout_seconds      = number
    reserved_concurrency = optional(number)
    snap_start           = optional(bool, false)
  }))
}

variable "write_log" {
  description = "Firehose's buffering, the storage classes of log objects, and the concurrency of `apply`."
  type = object({
    buffering_seconds      = number
    buffering_megabytes    = number
    infrequent_access_days = number
    glacier_instant_days   = number
    apply_concurrency      = number
  })
}

variable "horizon_days" {
  description = "Days for which tombstones are kept and late changes are accepted."
  type        = number
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete buckets that hold objects."
  type        = bool
}

variable "alarms" {
  description = "Create the alarms."
  type        = bool
}

variable "alarm_actions" {
  description = "SNS topics that alarms notify; they must be in this Region."
  type        = list(string)
}

variable "tls_only" {
  description = "Refuse plain HTTP. Set it to false only for an emulator that speaks no TLS."
  type        = bool
}
