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
    callers         = optional(map(object({ keys = list(string) })), { default = { keys = ["first"] } })
    scopes          = list(string)
    forward_headers = list(string)
    vpc_link        = optional(object({ id = optional(string), nlb_arn = optional(string) }))
  }))
  default = {}
}

variable "backend_api_keys" {
  description = "Id of an API key -> its value. A key that isn't listed gets a new value."
  type        = map(string)
  default     = {}
  sensitive   = true
}
