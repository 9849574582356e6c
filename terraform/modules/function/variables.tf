variable "name" {
  description = "Stack name."
  type        = string
}

variable "function" {
  description = "Name of the function, for example write or apply-stream."
  type        = string
}

variable "package" {
  description = <<-EOT
    Name of the function's Python package: write, apply, publish, read, query, feed, poll or backend_auth. null means
    that it is the function's name. Two functions may run the same package.
  EOT
  type        = string
  default     = null
}

variable "code" {
  description = <<-EOT
    The function's zip, its processor architecture and its layers. zip is the path of a local file. If s3 is set, Lambda
    reads the zip from that object instead, whose bucket must be in the function's Region.
  EOT
  type = object({
    zip          = string
    s3           = optional(object({ bucket = string, key = string }))
    architecture = string
    layers       = list(string)
  })
}

variable "edge" {
  description = <<-EOT
    Whether CloudFront runs the function at its edge (Lambda@Edge). Such a function gets no settings from its
    environment, and Terraform leaves it behind when it is removed.
  EOT
  type        = bool
  default     = false
}

variable "check" {
  description = <<-EOT
    JSON text of the event that each new version of the function must answer with {"problems": []} before it goes live;
    null means no check.
  EOT
  type        = string
  default     = "{\"check\":true}"
}

variable "await_snapshot" {
  description = "Wait for the SnapStart snapshot of the first version. Set it to false only for an emulator."
  type        = bool
  default     = true
}

variable "republish" {
  description = "Any other number than before publishes a new version of the function, although nothing else changes."
  type        = number
  default     = 0
}

variable "release" {
  description = <<-EOT
    The alias that CodeDeploy moves, and whether clients call it. With called = false they call `live`, and the alias
    only stays. null means that the function has no such alias.
  EOT
  type        = object({ alias = string, called = bool })
  default     = null

  validation {
    condition     = !(var.edge && var.release != null)
    error_message = "Give a function for the edge no release: CloudFront takes numbered versions, and no aliases."
  }
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

variable "secrets" {
  description = "More environment variables, which no output shows: passwords that the function needs."
  type        = map(string)
  default     = {}
  sensitive   = true
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

variable "temporary_statements" {
  description = <<-EOT
    More IAM policy statements of the function, in a policy of their own. If they are removed, Terraform deletes the
    policy only after the newest version is live, because the version before may need them until then.
  EOT
  type = list(object({
    Sid      = string
    Action   = list(string)
    Resource = list(string)
  }))
  default = []
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
  description = "Severity -> ARNs of the SNS topics that its alarms notify."
  type        = object({ page = list(string), ticket = list(string) })
}

variable "roles" {
  description = "Path and permissions boundary of every IAM role that this module creates."
  type        = object({ path = string, permissions_boundary = optional(string) })
  default     = { path = "/" }
}
