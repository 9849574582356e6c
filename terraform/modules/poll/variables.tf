variable "name" {
  description = "Stack name."
  type        = string
}

variable "code" {
  description = <<-EOT
    The zip and layers of `poll`, and the processor architecture of its code. With s3, Lambda reads the zips from a
    bucket: keys holds the object's key for each zip's path.
  EOT
  type = object({
    zip            = string
    layer_arn      = string
    poll_layer_zip = string
    s3             = optional(object({ bucket = string, keys = map(string) }))
    architecture   = string
  })
}

variable "republish" {
  description = "Any other number than before publishes a new version of `poll`."
  type        = number
  default     = 0
}

variable "release" {
  description = <<-EOT
    The alias that CodeDeploy moves, and whether clients call it; null means that the function has none.
  EOT
  type        = object({ alias = string, called = bool })
  default     = null
}

variable "function" {
  description = "Memory, timeout and concurrency of `poll`."
  type = object({
    memory_mb            = number
    timeout_seconds      = number
    reserved_concurrency = optional(number)
  })
}

variable "vpc" {
  description = "Subnets and security groups of `poll`; null means that `poll` runs outside any VPC."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
}

variable "sources" {
  description = <<-EOT
    Source name -> its settings, which the root module has validated. settings is the JSON text that `poll` reads; the
    other attributes are those that Terraform needs.
  EOT
  type = map(object({
    settings       = string
    schedule       = string
    sweep_schedule = optional(string)
    mode           = string
    collection     = string
    secrets        = optional(list(object({ arn = string, kms_key_arn = optional(string) })), [])
  }))
}

variable "collections" {
  description = <<-EOT
    Name of each collection that a source feeds -> who may read it, for how many seconds the API and the edge cache it
    (edge_ttl null means cache_ttl), and its JSON Schema as text.
  EOT
  type = map(object({
    read      = string
    cache_ttl = number
    edge_ttl  = optional(number)
    schema    = optional(string)
  }))
}

variable "items" {
  description = "Name and index of the live items table in this Region, and the ARNs of it and of a second one."
  type        = object({ name = string, index_name = string, arns = list(string) })
}

variable "stream" {
  description = <<-EOT
    Name and ARN of the change stream, and the name of its archive. Terraform knows the archive's name only when the
    archive exists.
  EOT
  type        = object({ name = string, arn = string, archive = string })
}

variable "log_bucket" {
  description = "Bucket of the write log. It also holds quarantined records and the settings of the sources."
  type        = object({ name = string, arn = string })
}

variable "documents" {
  description = "Documents bucket of every Region, and the KMS key that encrypts it (null means S3's own key)."
  type        = list(object({ region = string, bucket = string, arn = string, kms_key_arn = optional(string) }))
}

variable "first_region" {
  description = <<-EOT
    Region that polls a source as long as nobody has moved it. Only a stack that can poll in two Regions sets it.
  EOT
  type        = string
  default     = null
}

variable "horizon_days" {
  description = "Days for which tombstones are kept and `apply` accepts late changes."
  type        = number
}

variable "kms_key_arn" {
  description = "ARN of this Region's customer managed key; null means keys that AWS owns."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to delete the checkpoint table."
  type        = bool
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the log of `poll`."
  type        = number
}

variable "alarms" {
  description = "Create the alarms on `poll` and its schedules."
  type        = bool
}

variable "alarm_actions" {
  description = "Severity -> ARNs of the SNS topics that its alarms notify."
  type        = object({ page = list(string), ticket = list(string) })
}

variable "roles" {
  description = "Path and permissions boundary of every IAM role that this module creates."
  type        = object({ path = string, permissions_boundary = optional(string) })
  default     = { path = "/" }
}
