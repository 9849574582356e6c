variable "name" {
  description = "Stack name."
  type        = string
}

variable "cache" {
  description = "The settings of the cache. Module settings has checked that exactly one of the three is set."
  type = object({
    serverless = optional(object({ max_gb = number, max_ecpu_per_second = number }))
    nodes      = optional(object({ type = string, replicas = number }))
    dax        = optional(object({ node_type = string, nodes = number, ttl_seconds = number }))
  })
}

variable "network" {
  description = "The network of this Region: the VPC, the subnets, and the security group of the functions in it."
  type        = object({ vpc_id = string, subnet_ids = list(string), functions_group_id = string })
}

variable "items_arns" {
  description = "ARNs of the items tables in this Region, from which DAX reads."
  type        = list(string)
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
  description = "Create the alarms on the cache."
  type        = bool
}

variable "alarm_actions" {
  description = "Severity -> ARNs of the SNS topics that its alarms notify."
  type        = object({ page = list(string), ticket = list(string) })
}
