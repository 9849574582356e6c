variable "name" {
  description = "Stack name."
  type        = string
}

variable "function" {
  description = "What the function is called: write, apply, publish, read, poll."
  type        = string
}

variable "code" {
  description = "The artefact and how it runs."
  type = object({
    zip          = string
    architecture = string
    layers       = list(string)
  })
}

variable "memory_mb" {
  description = "Memory; CPU grows with it."
  type        = number
}

variable "timeout_seconds" {
  description = "Time-out."
  type        = number
}

variable "reserved_concurrency" {
  description = "Concurrent executions kept for, and the most given to, this function; null: it shares the account's pool."
  type        = number
}

variable "snap_start" {
  description = "Start from a snapshot of the initialised function (cached and restored for a fee)."
  type        = bool
}

variable "vpc" {
  description = "Where the function runs; null: outside of any VPC."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
}

variable "settings" {
  description = "The function's settings as JSON text."
  type        = string
}

variable "environment" {
  description = "Environment variables beside the settings."
  type        = map(string)
  default     = {}
}

variable "statements" {
  description = "What the function may do besides logging and tracing."
  type = list(object({
    Sid       = string
    Action    = list(string)
    Resource  = list(string)
    Condition = optional(map(map(list(string))))
  }))
}

variable "kms_key_arn" {
  description = "Customer managed key for logs and settings; null: keys that AWS owns."
  type        = string
}

variable "log_retention_days" {
  description = "Days that the log is kept."
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
