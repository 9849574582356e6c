variable "name" {
  description = "Stack name."
  type        = string
}

variable "stream" {
  description = "Capacity and retention; shards count where it isn't on_demand."
  type = object({
    on_demand       = bool
    shards          = number
    retention_hours = number
  })
}

variable "apply" {
  description = "Alias of the function that folds the changes in, and how many batches of one shard it gets at once."
  type = object({
    arn                    = string
    function_name          = string
    batch_size             = number
    parallelization_factor = number
  })
}

variable "archive" {
  description = "The write-log bucket, and how long and how much Firehose gathers before it writes an object."
  type        = object({ bucket_arn = string, seconds = number, megabytes = number })
}

variable "kms_key_arn" {
  description = "Customer managed key; null: the key that AWS manages for Kinesis in this account."
  type        = string
}

variable "freshness_alarm_seconds" {
  description = "Age of the oldest record outside the archive that raises the alarm."
  type        = number
}

variable "log_retention_days" {
  description = "Days that Firehose's error log is kept."
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
