variable "name" {
  description = "Stack name."
  type        = string
}

variable "stream" {
  description = "Capacity and retention of the stream. shards has no effect if on_demand is true."
  type = object({
    on_demand       = bool
    shards          = number
    retention_hours = number
  })
}

variable "apply" {
  description = <<-EOT
    The alias and name of `apply`, the records in a batch, and how many batches of one shard `apply` handles at once.
  EOT
  type = object({
    arn                    = string
    function_name          = string
    batch_size             = number
    parallelization_factor = number
  })
}

variable "archive" {
  description = "The write-log bucket, and the seconds and megabytes that Firehose buffers before it writes an object."
  type        = object({ bucket_arn = string, seconds = number, megabytes = number })
}

variable "kms_key_arn" {
  description = "Customer managed key; null means the key that AWS manages for Kinesis in this account."
  type        = string
}

variable "freshness_alarm_seconds" {
  description = "Age in seconds of the oldest unarchived record above which the alarm fires."
  type        = number
}

variable "log_retention_days" {
  description = "Days for which Firehose's error log is kept."
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
