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
  description = "Memory in MB. Lambda gives a function CPU in proportion to its memory."
  type        = number
}

variable "timeout_seconds" {
  description = "Timeout in seconds."
  type        = number
}

variable "reserved_concurrency" {
  description = "Concurrent executions reserved for the function and also its maximum; null means the account's pool."
  type        = number
}

variable "snap_start" {
  description = "Start from a snapshot of the initialised function. AWS bills caching and restoring the snapshot."
  type        = bool
}

variable "vpc" {
  description = "Subnets and security groups of the function; null means outside any VPC."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
}

variable "settings" {
  description = "The function's settings as JSON text."
  type        = string
}

variable "environment" {
  description = "Environment variables in addition to the settings."
  type        = map(string)
  default     = {}
}

variable "statements" {
  description = "Policy statements in addition to those for the function's own log, traces and settings."
  type = list(object({
    Sid       = string
    Action    = list(string)
    Resource  = list(string)
    Condition = optional(map(map(list(string))))
  }))
}

variable "kms_key_arn" {
  description = "Customer managed key for logs and settings; null means keys that AWS owns."
  type        = string
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
