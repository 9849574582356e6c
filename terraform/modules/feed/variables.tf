variable "name" {
  description = "Stack name."
  type        = string
}

variable "code" {
  description = <<-EOT
    The zip with the function's code, its processor architecture and its layers. zip is the path of a local file. If s3
    is set, Lambda reads the zip from that object instead.
  EOT
  type = object({
    zip          = string
    s3           = optional(object({ bucket = string, key = string }))
    architecture = string
    layers       = list(string)
  })
}

variable "function" {
  description = "Memory, timeout and concurrency of the function."
  type = object({
    memory_mb            = number
    timeout_seconds      = number
    reserved_concurrency = optional(number)
  })
}

variable "republish" {
  description = "Any other number than before publishes a new version of the function."
  type        = number
  default     = 0
}

variable "release" {
  description = <<-EOT
    The alias that CodeDeploy moves, and whether clients call it; null means that the function has none.
  EOT
  type        = object({ alias = string, called = bool })
  default     = null
}

variable "vpc" {
  description = "Subnets and security groups of the function; null means that the function runs outside any VPC."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
}

variable "items" {
  description = "Name of the live items table in this Region, and the ARNs of it and of a second one."
  type        = object({ name = string, arns = list(string) })
}

variable "horizon_days" {
  description = "Days for which tombstones are kept."
  type        = number
}

variable "collections" {
  description = <<-EOT
    Collection name -> who may read it, and as JSON text what the database indexes of its items; null means that the
    collection isn't in the database.
  EOT
  type        = map(object({ read = string, relational = optional(string) }))
}

variable "cache" {
  description = <<-EOT
    The item cache: its settings as JSON text, the policy statements with which the function may use it, and how many
    batches the function writes at once; null means that there is none to feed.
  EOT
  type = object({
    settings = string
    statements = list(object({
      Sid       = string
      Action    = list(string)
      Resource  = list(string)
      Condition = optional(map(map(list(string))))
    }))
    concurrency = number
  })
  default = null
}

variable "database" {
  description = "The relational database, in the form of the variable cache; null means that there is none."
  type = object({
    settings = string
    statements = list(object({
      Sid       = string
      Action    = list(string)
      Resource  = list(string)
      Condition = optional(map(map(list(string))))
    }))
    concurrency = number
  })
  default = null
}

variable "secrets" {
  description = "Environment variables with the passwords of external stores."
  type        = map(string)
  default     = {}
  sensitive   = true
}

variable "kms_key_arn" {
  description = "ARN of this Region's customer managed key; null means keys that AWS owns."
  type        = string
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the function's log."
  type        = number
}

variable "tls_only" {
  description = "Refuse plain HTTP. Set it to false only for an emulator that speaks no TLS."
  type        = bool
}

variable "alarms" {
  description = "Create the alarms on the queues and the function."
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
