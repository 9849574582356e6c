# Module `settings` has checked all values.

variable "name" {
  description = "Stack name."
  type        = string
}

variable "kms_key_arn" {
  description = <<-EOT
    ARN of this Region's customer managed key; null means the key that AWS manages for RDS. The cluster keeps the key
    with which it was made.
  EOT
  type        = string
}

variable "network" {
  description = "The network of this Region: the VPC, the subnets, and the security group of the functions in it."
  type        = object({ vpc_id = string, subnet_ids = list(string), functions_group_id = string })
}

variable "aurora" {
  description = "Version, capacity, readers, backups, insights and monitoring of the cluster."
  type = object({
    engine_version           = string
    min_acu                  = number
    max_acu                  = number
    seconds_until_auto_pause = optional(number)
    readers                  = number
    backup_days              = number
    final_snapshot           = bool
    performance_insights     = bool
    monitoring_seconds       = optional(number)
    data_api                 = bool
  })
}

variable "proxy" {
  description = <<-EOT
    The secret with the user name `query` and its password, for an RDS Proxy between `query` and the readers, and the
    customer managed key of the secret; null means no proxy.
  EOT
  type        = object({ secret_arn = string, kms_key_arn = optional(string) })
  default     = null
}

variable "concurrency" {
  description = "How many executions of `query` and of `feed` may hold a connection."
  type        = object({ query = number, feed = number })
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster."
  type        = bool
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the server's log."
  type        = number
}

variable "alarms" {
  description = "Create the alarms of the database."
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
