variable "backends" {
  description = "The back offices that are passed through, as the root checked them. scopes: what a token must have one of. vpc_link: this Region's."
  type = map(object({
    url             = string
    methods         = list(string)
    timeout_ms      = number
    throttle        = object({ rate = number, burst = number })
    quota           = optional(object({ limit = number, period = string }))
    cache           = optional(object({ ttl = number, cache_query_parameters = list(string), headers = list(string) }))
    api_key         = bool
    scopes          = list(string)
    forward_headers = list(string)
    vpc_link        = optional(object({ id = optional(string), nlb_arn = optional(string) }))
  }))
  default = {}
}

variable "backend_api_keys" {
  description = "Back office -> the value of its API key; one that isn't in it gets a new one."
  type        = map(string)
  default     = {}
  sensitive   = true
}
