variable "name" {
  description = "Stack name, which is also the `Stack` dimension of the metrics that the functions emit."
  type        = string
}

variable "kms_key_arn" {
  description = "Customer managed key; null means keys that AWS owns."
  type        = string
}

variable "buffering" {
  description = "Seconds and megabytes that Firehose buffers before it writes an object."
  type        = object({ seconds = number, megabytes = number })
}

variable "storage" {
  description = "Age in days at which objects move to cheaper storage classes."
  type        = object({ infrequent_access_days = number, glacier_instant_days = number })
}

variable "visibility_timeout_seconds" {
  description = "Seconds for which SQS hides a received message; at least six times the timeout of `apply`."
  type        = number
}

variable "freshness_alarm_seconds" {
  description = "Age in seconds of the oldest undelivered record above which the alarm fires."
  type        = number
}

variable "log_retention_days" {
  description = "Days for which Firehose's error log is kept."
  type        = number
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete a log that still holds changes."
  type        = bool
}

variable "alarms" {
  description = "Create the alarms."
  type        = bool
}

variable "alarm_actions" {
  description = "SNS topics that alarms notify."
  type        = list(string)
}

variable "tls_only" {
  description = "Refuse plain HTTP. Set it to false only for an emulator that speaks no TLS."
  type        = bool
}
