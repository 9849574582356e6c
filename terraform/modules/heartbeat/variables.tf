variable "name" {
  description = "Stack name. It is also the value of the dimension `Stack` of the metrics that the functions emit."
  type        = string
}

variable "other_region" {
  description = "The stack's other Region, whose heartbeats arrive in this Region."
  type        = string
}

variable "items" {
  description = "Name of the live items table in this Region, and the ARNs of it and of a second one."
  type        = object({ name = string, arns = list(string) })
}

variable "kms_key_arn" {
  description = "ARN of this Region's customer managed key; null means keys that AWS owns."
  type        = string
}

variable "roles" {
  description = "Path and permissions boundary of every IAM role that this module creates."
  type        = object({ path = string, permissions_boundary = optional(string) })
  default     = { path = "/" }
}

variable "alarms" {
  description = "Create the alarm on the other Region's heartbeats."
  type        = bool
}

variable "alarm_actions" {
  description = "Severity -> ARNs of the SNS topics that its alarms notify. They must be in this Region."
  type        = object({ page = list(string), ticket = list(string) })
}
