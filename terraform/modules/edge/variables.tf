variable "name" {
  description = "Stack name."
  type        = string
}

variable "account_name" {
  description = <<-EOT
    The name of what exists once in an account: stacks of one name in two Regions share CloudFront and us-east-1. It
    also begins the names of the alarms.
  EOT
  type        = string
}

variable "documents" {
  description = <<-EOT
    Host name of the documents bucket of the primary Region, and of the replica Region (null without a replica).
  EOT
  type        = object({ primary = string, replica = optional(string) })
}

variable "serve" {
  description = "Whether the edge serves documents, and whether it serves those that need a token."
  type        = object({ documents = bool, sign_in = bool })
}

variable "collections" {
  description = "Collection name -> who may read it. Only the collections that clients can reach."
  type        = map(string)
}

variable "sources" {
  description = "Source name -> who may read its freshness: public or authenticated."
  type        = map(string)
}

variable "api" {
  description = <<-EOT
    Where CloudFront reaches the API. path is what comes before /v1: nothing on AWS. http_port is the port of an API
    that speaks no TLS; null means TLS.
  EOT
  type        = object({ host = string, path = optional(string, ""), http_port = optional(number) })
}

variable "origin_secret" {
  description = "The secret that CloudFront sends to the API in the header Referer; null without one."
  type        = string
  default     = null
  sensitive   = true
}

variable "web_acl_arn" {
  description = "ARN of the web ACL of AWS WAF that judges every request first; null without one."
  type        = string
  default     = null
}

variable "site" {
  description = <<-EOT
    The web client: the host name of its bucket in each Region, and its Content-Security-Policy; null without one.
  EOT
  type = object({
    primary                 = string
    replica                 = optional(string)
    content_security_policy = string
  })
  default = null
}

variable "code" {
  description = "The zip of `edge_auth`. With s3, Lambda reads it from a bucket in us-east-1."
  type        = object({ zip = string, s3 = optional(object({ bucket = string, key = string })) })
}

variable "republish" {
  description = "Any other number than before publishes a new version of the function, although nothing else changes."
  type        = number
  default     = 0
}

variable "pools" {
  description = <<-EOT
    The user pools whose tokens open documents: the issuer of the tokens, the URL of the pool's keys, and the ids of the
    clients that the tokens are for.
  EOT
  type        = list(object({ issuer = string, jwks_uri = string, client_ids = list(string) }))
}

variable "scopes" {
  description = "The scopes that open documents. A token needs only one of them."
  type        = list(string)
}

variable "cors" {
  description = "Web origins whose scripts may read documents from a browser, and the headers that they may send."
  type        = object({ origins = list(string), headers = optional(list(string), []) })
}

variable "domain" {
  description = <<-EOT
    Domain name of the edge, with a certificate in us-east-1 or the Route 53 zone in which to make one; null means only
    the distribution's own address.
  EOT
  type = object({
    name            = string
    certificate_arn = optional(string)
    zone_id         = optional(string)
  })
  default = null
}

variable "price_class" {
  description = "Which edge locations serve."
  type        = string
  default     = "PriceClass_100"
}

variable "hsts" {
  description = "How long browsers refuse plain HTTP, in seconds, and for which hosts."
  type        = object({ max_age = number, subdomains = bool, preload = bool })
  default     = { max_age = 31536000, subdomains = false, preload = false }
}

variable "failover" {
  description = "Connection attempts at the primary Region, and the seconds of each, before the replica is asked."
  type        = object({ attempts = number, timeout = number })
  default     = { attempts = 1, timeout = 2 }
}

variable "drill" {
  description = "primary_unreachable: CloudFront can't reach the primary Region's buckets; null: it can."
  type        = string
  default     = null
}

variable "access_logs" {
  description = "Keep a log of the requests."
  type        = bool
  default     = true
}

variable "wait" {
  description = "Wait until every edge location has a change of the distribution."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the logs in us-east-1."
  type        = number
}

variable "log_key_arn" {
  description = <<-EOT
    ARN of the stack's customer managed key in us-east-1, for the log of the requests; null means a key that AWS owns. A
    stack has no key in us-east-1 if none of its Regions is us-east-1.
  EOT
  type        = string
  default     = null
}

variable "alarms" {
  description = "Make alarms."
  type        = bool
  default     = true
}

variable "alarm_actions" {
  description = "Severity -> ARNs of the SNS topics in us-east-1 that its alarms notify."
  type        = object({ page = list(string), ticket = list(string) })
  default     = { page = [], ticket = [] }
}

variable "roles" {
  description = "Path and permissions boundary of every IAM role that this module creates."
  type        = object({ path = string, permissions_boundary = optional(string) })
  default     = { path = "/" }
}
