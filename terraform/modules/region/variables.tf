variable "name" {
  description = "Stack name."
  type        = string
}

variable "code" {
  description = <<-EOT
    The zips, their processor architecture, and the client library with which the functions of hot_zip call AWS. With
    s3, Lambda reads the zips from a bucket in this Region: keys holds the object's key for each zip's path.
  EOT
  type = object({
    hot_zip       = string
    functions_zip = string
    layer_zip     = string
    # The layer with the PostgreSQL driver; null without a database.
    database_layer_zip = optional(string)
    dax_layer_zip      = optional(string)

    s3           = optional(object({ bucket = string, keys = map(string) }))
    architecture = string
    aws_client   = string
  })
}

variable "kms_key_arn" {
  description = "ARN of this Region's customer managed key; null means keys that AWS owns."
  type        = string
}

variable "has_key" {
  description = "Whether there is a key. A plan that makes the key knows this, but not yet its ARN."
  type        = bool
}

variable "identity" {
  description = "How users sign in: the user pool, its clients, and the scopes that protected API methods accept."
  type = object({
    user_pool_arn = string
    client_ids    = list(string)
    scopes        = object({ read = list(string), write = list(string) })
  })
}

variable "items" {
  description = <<-EOT
    The live items table in this Region. second is the table beside it, whose role is building or former; null means
    that there is none.
  EOT
  type = object({
    name       = string
    arn        = string
    stream_arn = string
    index_name = string
    generation = optional(string, "1")
    second = optional(object({
      name       = string
      arn        = string
      stream_arn = string
      generation = string
      role       = string
    }))
  })
}

variable "collections" {
  description = "Collection name -> the settings of the collection, which module readplane has validated."
  type = map(object({
    read         = string
    read_changes = optional(number, 0)
    retired      = optional(bool, false)
    write_groups = list(string)
    schema       = optional(string)
    cache_ttl    = number
    edge_ttl     = optional(number)
    throttle     = optional(object({ rate = number, burst = number }))
    relational = optional(object({
      fields = map(object({ type = string, pointer = string }))
      sort   = list(string)
      search = optional(object({ fields = list(string), language = string }))
    }))
  }))
}

variable "sources" {
  description = "Source name -> the collection that the source feeds, and its staleness budget in seconds."
  type        = map(object({ collection = string, staleness_budget = number }))
  default     = {}
}

variable "change_stream_arn" {
  description = <<-EOT
    ARN of the change stream that `apply-stream` reads; null without sources, and null in the replica Region, which
    doesn't poll.
  EOT
  type        = string
  default     = null
}

variable "api" {
  description = "Settings of the API."
  type = object({
    endpoint_type       = string
    cors_origins        = list(string)
    cors_headers        = optional(list(string), [])
    cache_size          = optional(string)
    throttle            = object({ rate = number, burst = number })
    open_throttle       = optional(object({ rate = number, burst = number }))
    method_metrics      = optional(bool, false)
    escape_method_paths = optional(bool, true)
  })
}

variable "domain" {
  description = "Domain name of the API in this Region; null means that the API has only its own address."
  type = object({
    name             = string
    certificate_arn  = string
    hosted_zone_id   = optional(string)
    default_endpoint = optional(bool, true)
    regional_name    = optional(string)
  })
  default = null
}

variable "health_check" {
  description = <<-EOT
    The switch in another Region by which an operator leads clients away from this Region's API; null without a health
    check of the domain.
  EOT
  type        = object({ alarm_name = string, alarm_region = string, settings = string })
  default     = null
}

variable "documents_integration" {
  description = <<-EOT
    How the API gets documents from their bucket: s3 (API Gateway reads them itself) or lambda (`read` does).
  EOT
  type        = string
}

variable "functions" {
  description = "Memory, timeout and concurrency of each function. `apply-stream` stands under the name apply_stream."
  type = map(object({
    memory_mb            = number
    timeout_seconds      = number
    reserved_concurrency = optional(number)
    snap_start           = optional(bool, false)
  }))
}

variable "republish" {
  description = "Any other number than before publishes a new version of every function of this Region."
  type        = number
  default     = 0
}

variable "release" {
  description = <<-EOT
    The alias that CodeDeploy moves, and whether clients call it; null means that the functions have none.
  EOT
  type        = object({ alias = string, called = bool })
  default     = null
}

variable "account_concurrency_quota" {
  description = "The account's quota of concurrent executions in this Region; null means that Terraform reads it."
  type        = number
  default     = null
}

variable "write_log" {
  description = <<-EOT
    Buffering of Firehose, ages at which log objects move to cheaper storage classes, and the concurrency of `apply`.
  EOT
  type = object({
    buffering_seconds      = number
    buffering_megabytes    = number
    infrequent_access_days = number
    glacier_instant_days   = number
    apply_concurrency      = number
  })
}

variable "horizon_days" {
  description = "Days for which tombstones are kept and `apply` accepts late changes."
  type        = number
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the logs of this Region."
  type        = number
}

variable "access_log_bucket" {
  description = "Name of the bucket that gets S3's log of the requests to this module's buckets; null means none."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete buckets that hold objects."
  type        = bool
}

variable "alarms" {
  description = "Create the alarms of this Region."
  type        = bool
}

variable "probe" {
  description = <<-EOT
    What a function requests every minute: the path of a document, at the URL of the API with its stage and, if has_edge
    is true, at that of the edge. A null path means the document of a source. null means that no function calls the API.
  EOT
  type        = object({ api_url = string, has_edge = bool, edge_url = string, path = string })
  default     = null
}

variable "alarm_actions" {
  description = "Severity -> ARNs of the SNS topics that its alarms notify. They must be in this Region."
  type        = object({ page = list(string), ticket = list(string) })
}

variable "tls_only" {
  description = "Refuse plain HTTP. Set it to false only for an emulator that speaks no TLS."
  type        = bool
}

variable "roles" {
  description = "Path and permissions boundary of every IAM role that this module creates."
  type        = object({ path = string, permissions_boundary = optional(string) })
  default     = { path = "/" }
}

variable "edge_arns" {
  description = "ARNs of the CloudFront distributions that may read this Region's documents."
  type        = list(string)
  default     = []
}

variable "origin" {
  description = <<-EOT
    How the edge reaches this Region's API; null without an edge. generations: the secrets that the API accepts, as keys
    of origin_secrets. locked: the API refuses every call without one of them.
  EOT
  type        = object({ generations = list(string), locked = bool })
  default     = null
}

variable "origin_secrets" {
  description = "Generation -> the secret that CloudFront sends to the API."
  type        = map(string)
  default     = {}
  sensitive   = true
}
