variable "name" {
  description = "Name of the role without the Region, which the module appends."
  type        = string
  default     = "api-gateway-logging"

  # IAM allows role names of 64 characters. The Region and its hyphen take up to 15 of them.
  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@-]{1,49}$", var.name))
    error_message = "Choose a name of 1 to 49 letters, digits and the characters _ + = , . @ -."
  }
}

variable "roles" {
  description = "Path and permissions boundary of the role."
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  default = {}
}
