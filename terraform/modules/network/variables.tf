variable "name" {
  description = "Stack name."
  type        = string
}

variable "network" {
  description = "A new network, or an existing one; exactly one of them is set, which module settings has validated."
  type = object({
    create = optional(object({
      cidr                = string
      zones               = list(string)
      interface_endpoints = optional(list(string), [])
    }))
    existing = optional(object({
      vpc_id             = string
      subnet_ids         = list(string)
      route_table_ids    = optional(list(string), [])
      security_group_ids = optional(list(string), [])
    }))
  })
}

variable "items" {
  description = "ARNs of the items tables in this Region, and their index."
  type        = object({ arns = list(string), index_name = string })
}

variable "documents_arn" {
  description = "ARN of the documents bucket in this Region."
  type        = string
}

variable "kms_key_arn" {
  description = "ARN of this Region's customer managed key; null means keys that AWS owns."
  type        = string
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the log of refused connections."
  type        = number
}

variable "roles" {
  description = "Path and permissions boundary of every IAM role that this module creates."
  type        = object({ path = string, permissions_boundary = optional(string) })
  default     = { path = "/" }
}
