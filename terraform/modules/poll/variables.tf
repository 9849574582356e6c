variable "name" {
  description = "Stack name."
  type        = string
}

variable "code" {
  description = "The zip of `poll`, its layers and the processor architecture."
  type = object({
    zip            = string
    layer_arn      = string
    poll_layer_zip = string
    architecture   = string
  })
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
  description = "Subnets and security groups of `poll`; null means outside any VPC."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
}

variable "sources" {
  description = "The sources, validated by the root module. settings is the JSON text that `poll` reads."
  type = map(object({
    settings         = string
    schedule         = string
    sweep_schedule   = optional(string)
    staleness_budget = number
    mode             = string
    collection       = string
    secret           = optional(object({ arn = string, kms_key_arn = optional(string) }))
  }))
}

variable "collections" {
  description = "The collections that sources feed: who reads them, seconds of caching, and their JSON Schema as text."
  type        = map(object({ read = string, cache_ttl = number, schema = optional(string) }))
}

variable "items" {
  description = "The items table in this Region."
  type        = object({ name = string, arn = string, index_name = string })
}

variable "stream" {
  description = "The change stream, and the name of its archive, which is known once the archive exists."
  type        = object({ name = string, arn = string, archive = string })
}

variable "log_bucket" {
  description = "The write-log bucket, which also holds quarantined records and schemas."
  type        = object({ name = string, arn = string })
}

variable "documents" {
  description = "Every Region's documents bucket, and the KMS key that encrypts it (null means S3's own key)."
  type        = list(object({ region = string, bucket = string, arn = string, kms_key_arn = optional(string) }))
}

variable "horizon_days" {
  description = "Days for which tombstones are kept and late changes are accepted."
  type        = number
}

variable "kms_key_arn" {
  description = "This Region's customer managed key; null means keys that AWS owns."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to delete the checkpoints."
  type        = bool
}

variable "log_retention_days" {
  description = "Days for which the log is kept."
  type        = number
}

variable "alarms" {
  description = "Create the alarms."
  type        = bool
}

variable "alarm_actions" {
  description = "SNS topics that alarms notify."
  type        = list(string)
}
