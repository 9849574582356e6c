variable "name" {
  description = "Stack name. It is also the value of the dimension `Stack` of the metrics that the functions emit."
  type        = string
}

variable "kms_key_arn" {
  description = "ARN of the customer managed key; null means keys that AWS owns."
  type        = string
}

variable "has_key" {
  description = "Whether there is a key. A plan that makes the key knows this, but not yet its ARN."
  type        = bool
}

variable "buffering" {
  description = "Seconds and megabytes that Firehose buffers before it writes a log object."
  type        = object({ seconds = number, megabytes = number })
}

variable "storage" {
  description = "Ages in days at which S3 moves log objects to STANDARD_IA and to GLACIER_IR, which are cheaper."
  type        = object({ infrequent_access_days = number, glacier_instant_days = number })
}

variable "visibility_timeout_seconds" {
  description = "Seconds for which SQS hides a received message; at least six times the timeout of `apply`."
  type        = number
}

variable "freshness_alarm_seconds" {
  description = "Age in seconds of the oldest undelivered record above which the alarm `delivery_freshness` fires."
  type        = number
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps Firehose's error log."
  type        = number
}

variable "access_log_bucket" {
  description = "Name of the bucket that gets S3's log of the requests to this module's buckets; null means none."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete a write log that still holds changes."
  type        = bool
}

variable "alarms" {
  description = "Create the alarms on the write log and the apply queue."
  type        = bool
}

variable "alarm_actions" {
  description = "Severity -> ARNs of the SNS topics that its alarms notify."
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
