variable "name" {
  description = "Stack name."
  type        = string
}

variable "canary" {
  description = "Percentage of the calls that a new version gets first, and the minutes until it gets all of them."
  type        = object({ percent = number, minutes = number })
}

variable "functions" {
  description = "Function -> its name in AWS and its ARN."
  type        = map(object({ name = string, arn = string }))
}

variable "alias" {
  description = "Name of the alias that clients call."
  type        = string
}

variable "client_alarms" {
  description = <<-EOT
    The alarms, without the stack name, that roll back a new version of any function, because they say that clients
    notice something. CodeDeploy asks CloudWatch for the state of metric alarms only, so the composite alarm `clients`
    can't stand for its parts.
  EOT
  type        = list(string)
}

variable "roles" {
  description = "Path and permissions boundary of every IAM role that this module creates."
  type        = object({ path = string, permissions_boundary = optional(string) })
  default     = { path = "/" }
}
