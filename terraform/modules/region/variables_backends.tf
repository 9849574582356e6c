variable "backends" {
  description = <<-EOT
    Backend name -> its settings, which module readplane has validated, with the full names of the scopes and the VPC
    link in this Region.
  EOT
  type = map(object({
    url             = string
    methods         = list(string)
    timeout_ms      = number
    throttle        = object({ rate = number, burst = number })
    quota           = optional(object({ limit = number, period = string }))
    cache           = optional(object({ ttl = number, cache_query_parameters = list(string) }))
    api_key         = bool
    scopes          = list(string)
    forward_headers = list(string)
    vpc_link        = optional(object({ id = optional(string), nlb_arn = optional(string) }))
  }))
  default = {}
}

variable "backend_api_keys" {
  description = "Backend name -> the value of its API key. A backend that isn't listed gets a new key."
  type        = map(string)
  default     = {}
  sensitive   = true
}
