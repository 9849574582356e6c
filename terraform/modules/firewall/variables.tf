variable "name" {
  description = "Stack name."
  type        = string
}

variable "web_acl" {
  description = <<-EOT
    The rules of a web ACL for a CloudFront distribution (the variable firewall of the stack); null without one. Only
    one of web_acl and lock is set.
  EOT
  type = object({
    groups = object({
      common           = string
      known_bad_inputs = string
      sql_injection    = string
      ip_reputation    = string
      anonymous_ips    = string
      bot_control      = string
    })
    body_rules = string
    counted    = list(string)
    rules = object({
      deny                 = string
      countries            = string
      size                 = string
      rate_ip              = string
      rate_token           = string
      sql_injection        = string
      cross_site_scripting = string
    })
    headers   = list(string)
    allow     = list(string)
    deny      = list(string)
    countries = optional(object({ only = list(string), except = list(string) }))
    sizes     = object({ path = number, query = number })
    rate      = object({ window = number, ip = number, token = number })
    body_kb   = number
  })
  default = null
}

variable "lock" {
  description = <<-EOT
    A web ACL for an API in this Region that lets only the edge pass: the generations of the secret that it accepts;
    null without one.
  EOT
  type        = object({ generations = list(string), stage_arn = string })
  default     = null
}

variable "secrets" {
  description = "Generation -> the secret that CloudFront sends to the API. Only the lock needs it."
  type        = map(string)
  default     = {}
  sensitive   = true
}

variable "logging" {
  description = "Keep a log of the requests that a rule refuses or counts."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps that log."
  type        = number
}

variable "kms_key_arn" {
  description = "ARN of this Region's customer managed key, which encrypts the log; null means a key of AWS."
  type        = string
  default     = null
}

variable "alarms" {
  description = "Create the alarm on the rate rules. The lock has none."
  type        = bool
  default     = false
}

variable "alarm_actions" {
  description = "Severity -> ARNs of the SNS topics in this Region that its alarms notify."
  type        = object({ page = list(string), ticket = list(string) })
  default     = { page = [], ticket = [] }
}
