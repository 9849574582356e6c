variable "name" {
  description = "Stack name."
  type        = string
}

variable "function" {
  description = "Name of the function and of its Python package: write, apply, publish, read, poll or backend_auth."
  type        = string
}

variable "code" {
  description = "The function's zip, its processor architecture and its layers."
  type = object({
    zip          = string
    architecture = string
    layers       = list(string)
  })
}

variable "memory_mb" {
  description = "Memory of the function in MB. Lambda gives a function CPU in proportion to its memory."
  type        = number
}

variable "timeout_seconds" {
  description = "Seconds after which Lambda stops an execution of the function."
  type        = number
}

variable "reserved_concurrency" {
  description = <<-EOT
    Number of concurrent executions that Lambda reserves for the function. It is also the function's maximum. null means
    that the function shares the account's unreserved concurrency.
  EOT
  type        = number
}

variable "snap_start" {
  description = <<-EOT
    Start the function from a snapshot of its initialised state (SnapStart). AWS bills caching and restoring the
    snapshot.
  EOT
  type        = bool
}

variable "vpc" {
  description = "Subnets and security groups of the function; null means that the function runs outside any VPC."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
}

variable "settings" {
  description = "The function's settings as JSON text."
  type        = string
}

variable "environment" {
  description = "Environment variables of the function, in addition to READPLANE_SETTINGS."
  type        = map(string)
  default     = {}
}

variable "statements" {
  description = "IAM policy statements of the function, in addition to those for its own log, traces and settings."
  type = list(object({
    Sid       = string
    Action    = list(string)
    Resource  = list(string)
    Condition = optional(map(map(list(string))))
  }))
}

variable "kms_key_arn" {
  description = <<-EOT
    ARN of the customer managed key that encrypts the function's log and settings; null means keys that AWS owns.
  EOT
  type        = string
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the function's log."
  type        = number
}

variable "alarms" {
  description = "Create the alarms on the function's errors and throttles."
  type        = bool
}

variable "alarm_actions" {
  description = "ARNs of the SNS topics that the alarms notify."
  type        = list(string)
}
