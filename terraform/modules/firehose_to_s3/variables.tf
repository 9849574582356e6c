variable "name" {
  description = "Name of the Firehose stream. It is also the last part of the name of its log group."
  type        = string
}

variable "role" {
  description = "Names of the role with which Firehose writes to the bucket, and of the role's policy."
  type        = object({ name = string, policy_name = string })
}

variable "kinesis_stream" {
  description = <<-EOT
    The Kinesis stream that Firehose reads; null means that callers put the records themselves. `arn` is for policies:
    the caller composes it, so that they needn't wait for the stream. `created_arn` is the same ARN, which Terraform
    knows only when the stream exists.
  EOT
  type        = object({ arn = string, created_arn = string })
  default     = null
}

variable "bucket_arn" {
  description = "ARN of the bucket."
  type        = string
}

variable "prefix" {
  description = "Key prefix of the objects, up to and including its last slash. The hour of arrival follows it."
  type        = string
}

variable "error_prefix" {
  description = <<-EOT
    Key prefix of the records that Firehose couldn't process, up to and including its last slash. The type of the error
    and the hour follow it.
  EOT
  type        = string
}

variable "buffering" {
  description = <<-EOT
    Seconds and megabytes that Firehose buffers before it writes an object. It writes one as soon as the buffer reaches
    this age or this size. 0 seconds is allowed, because the destination is S3.
  EOT
  type        = object({ seconds = number, megabytes = number })
}

variable "kms_key_arn" {
  description = "ARN of the customer managed key; null means keys that AWS owns."
  type        = string
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps Firehose's error log."
  type        = number
}

variable "roles" {
  description = "Path and permissions boundary of every IAM role that this module creates."
  type        = object({ path = string, permissions_boundary = optional(string) })
  default     = { path = "/" }
}
