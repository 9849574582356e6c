variable "name" {
  description = "Stack name."
  type        = string
}

variable "stream" {
  description = "Capacity and retention of the change stream. shards has no effect if on_demand is true."
  type = object({
    on_demand       = bool
    shards          = number
    retention_hours = number
  })
}

variable "apply" {
  description = <<-EOT
    ARN of the alias and name of `apply`, the largest number of records in a batch, and how many batches of one shard
    `apply` handles at once.
  EOT
  type = object({
    arn                    = string
    function_name          = string
    batch_size             = number
    parallelization_factor = number
  })
}

variable "archive" {
  description = "Bucket of the archive, and the seconds and megabytes that Firehose buffers before it writes an object."
  type        = object({ bucket_arn = string, seconds = number, megabytes = number })
}

variable "kms_key_arn" {
  description = "ARN of the customer managed key; null means the key that AWS manages for Kinesis in this account."
  type        = string
}

variable "freshness_alarm_seconds" {
  description = "Age in seconds of the oldest unarchived record above which the alarm `archive_freshness` fires."
  type        = number
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps Firehose's error log."
  type        = number
}

variable "alarms" {
  description = "Create the alarms on the change stream and its archive."
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
