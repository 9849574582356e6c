# Module `readplane` has already checked the settings of the stack. The validations in this file check the routes, which
# module `region` builds from those settings.

variable "name" {
  description = "Name of the API. It is the stack's name."
  type        = string
}

variable "endpoint_type" {
  description = <<-EOT
    Endpoint type of the API: REGIONAL, or EDGE (behind a CloudFront distribution that API Gateway itself runs).
  EOT
  type        = string
  default     = "REGIONAL"
}

variable "user_pool_arn" {
  description = <<-EOT
    ARN of the Cognito user pool whose access tokens the routes with scopes accept; null if no route has scopes.
  EOT
  type        = string
  default     = null
}

variable "functions" {
  description = <<-EOT
    Name of each function that routes can use -> how to call it. arn and invoke_arn are those of the alias that is
    called. The API may call the alias `qualifier` and, if there is one, `released_alias`.
  EOT
  type = map(object({
    arn            = string
    invoke_arn     = string
    function_name  = string
    qualifier      = string
    released_alias = optional(string)
  }))
  default = {}
}

variable "documents_bucket" {
  description = "Bucket from which routes with a document read; null if no route has a document."
  type        = string
  default     = null
}

variable "routes" {
  description = <<-EOT
    "METHOD /path" of a route -> how API Gateway answers its requests. Exactly one of function, document, fixed and
    backend must be set.
    scopes: callers need an access token with at least one of these scopes; empty means that no token is needed.
    function: the function that answers, a key of var.functions.
    document: the key of the S3 object that API Gateway returns, and the role with which it reads the object. The key
    may contain path parameters in braces, and {sub} for the caller's own user id (the token's claim `sub`).
    fixed: a constant JSON response.
    backend: a back office, to which API Gateway passes the end of the path ({proxy+}). forward_headers: the credential
    headers that the back office may see.
    api_key: callers need an API key of the backend's usage plan.
    per_caller: the response depends on the caller, so API Gateway must never cache it.
    reads: every path and query parameter on which the response depends, as "path.x" or "querystring.x". The response of
    an uncached route may also depend on headers.
    cache: for how many seconds API Gateway caches a response (ttl), and the inputs that form the cache key; null means
    that it caches none.
    throttle: requests per second (rate) and burst of this route alone; null means the stage's throttle.
  EOT
  type = map(object({
    scopes   = optional(list(string), [])
    function = optional(string)
    document = optional(object({ key = string, role_arn = string, cache_control = optional(string) }))
    fixed    = optional(object({ status = number, body = string }))
    backend = optional(object({
      name            = string
      url             = string
      timeout_ms      = number
      forward_headers = list(string)
      vpc_link_id     = optional(string)
    }))
    api_key    = optional(bool, false)
    per_caller = optional(bool, false)
    reads      = optional(list(string), [])
    cache      = optional(object({ ttl = number, key = list(string) }))
    throttle   = optional(object({ rate = number, burst = number }))
  }))

  validation {
    condition     = length(var.routes) > 0
    error_message = "routes is empty: API Gateway refuses to deploy an API without a method."
  }

  validation {
    condition     = alltrue([for key in keys(var.routes) : can(regex(local.route_pattern, key))])
    error_message = <<-EOT
      A route is written "METHOD /path" with GET, HEAD, PUT, POST, DELETE or PATCH and a path of segments, each a name
      or {parameter}: "GET /items/products/{item_id}".
    EOT
  }

  validation {
    condition = alltrue([for r in values(var.routes) : 1 == length([
      for part in [r.function, r.document, r.fixed, r.backend] : part if part != null
    ])])
    error_message = <<-EOT
      Give every route exactly one of function, document, fixed and backend: one thing answers a request.
    EOT
  }

  validation {
    condition = alltrue([
      for key, route in var.routes : can(regex(local.backend_pattern, key)) == (route.backend != null)
    ])
    error_message = <<-EOT
      A route with a backend, and no other, is written "METHOD /backends/name/{proxy+}": what protects base paths looks
      there.
    EOT
  }

  # The greedy parameter {proxy+} matches several segments, so its value can contain "..". Only routes with a backend
  # may have it, because the resource policy refuses such values only below /backends.
  validation {
    condition = alltrue([
      for key, route in var.routes : !can(regex("[+]| /backends/", key)) if route.backend == null
    ])
    error_message = "Only a route with a backend has {proxy+} in its path, or a path below /backends."
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : route.backend != null if route.api_key])
    error_message = "Only a route with a backend takes an API key: everywhere else the token says who calls."
  }

  validation {
    condition = alltrue([
      for r in values(var.routes) : can(regex(local.document_key_pattern, r.document.key)) if r.document != null
    ])
    error_message = <<-EOT
      A document key consists of letters, digits, ".", "_", "-", "/" and {parameters}, and doesn't start with "/".
    EOT
  }

  validation {
    condition = alltrue([
      for key, route in var.routes : !strcontains(key, "{sub}") if route.document != null
    ])
    error_message = "No path parameter of a document's route may be called sub: {sub} comes from the token alone."
  }

  validation {
    condition     = alltrue([for key, route in var.routes : startswith(key, "GET ") if route.document != null])
    error_message = "A document can only be read: its route must be GET."
  }

  validation {
    condition = alltrue([
      for route in values(var.routes) : route.fixed.status >= 200 && route.fixed.status <= 599 if route.fixed != null
    ])
    error_message = "A fixed answer needs a status of 200 to 599."
  }

  validation {
    condition = alltrue([
      for route in values(var.routes) : route.throttle.rate > 0 && route.throttle.burst >= 1 if route.throttle != null
    ])
    error_message = <<-EOT
      A route's throttle needs a rate above 0 and a burst of at least 1: API Gateway would answer 429 to every request.
    EOT
  }

  validation {
    condition     = alltrue([for key, route in var.routes : startswith(key, "GET ") if route.cache != null])
    error_message = "Only a GET can be cached: a cached answer to a write means that the write didn't happen."
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : !route.per_caller if route.cache != null])
    error_message = <<-EOT
      A route whose answer depends on the caller (per_caller) can't be cached: the cache key doesn't hold the caller, so
      one would get another's answer. Remove its cache.
    EOT
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : route.fixed == null if route.cache != null])
    error_message = "A fixed answer needs no cache: nothing is called to make it. Remove its cache."
  }

  validation {
    condition = alltrue([
      for route in values(var.routes) : route.cache.ttl >= 1 && route.cache.ttl <= 3600 if route.cache != null
    ])
    error_message = "cache.ttl is 1 to 3600 seconds, API Gateway's limits. Leave cache out to switch it off."
  }
}

# The patterns of the rules above. Locals that read var.routes can't stand in these rules, because Terraform computes
# them only after it has checked the variable. The rules that need such locals are preconditions (rules.tf).
locals {
  route_pattern        = "^(GET|HEAD|PUT|POST|DELETE|PATCH) (/(${local.segment}))+$"
  segment              = "[A-Za-z0-9._~-]+|[{][A-Za-z][A-Za-z0-9_]*[}]|[{]proxy[+][}]"
  backend_pattern      = " /backends/[^{/]+/[{]proxy[+][}]$"
  document_key_pattern = "^(${local.key_part})+(/(${local.key_part})+)*$"
  key_part             = "[A-Za-z0-9._-]|[{][A-Za-z][A-Za-z0-9_]*[}]"
}

variable "key_authorizer" {
  description = <<-EOT
    The function that decides which backend an API key opens; null if no route lets an API key alone decide.
  EOT
  type = object({
    invoke_arn     = string
    function_name  = string
    qualifier      = string
    released_alias = optional(string)
  })
  default = null
}

variable "usage_plans" {
  description = "Backend name -> the API Gateway ids of its API keys by our own ids, and each key's throttle and quota."
  type = map(object({
    key_ids  = map(string)
    throttle = object({ rate = number, burst = number })
    quota    = optional(object({ limit = number, period = string }))
  }))
  default = {}
}

variable "cors_origins" {
  description = "Web origins whose scripts may call the API; empty means no CORS headers and no preflight."
  type        = list(string)
  default     = []
}

variable "cors_headers" {
  description = "Request headers that scripts may send besides those that the API itself reads."
  type        = list(string)
  default     = []
}

variable "cache_size" {
  description = <<-EOT
    Size of the stage's cache cluster in GB; null means no cluster. AWS bills a cluster by the hour, used or not.
  EOT
  type        = string
  default     = null
}

variable "throttle" {
  description = "Requests per second (rate) and burst for each method of the stage that has no throttle of its own."
  type        = object({ rate = number, burst = number })
}

variable "method_metrics" {
  description = <<-EOT
    Send CloudWatch metrics of each method, besides those of the stage. Each metric of a method that is called costs
    0.30 $ a month, and a method has up to seven.
  EOT
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the API's access log and execution log."
  type        = number
}

variable "kms_key_arn" {
  description = <<-EOT
    ARN of the customer managed key that encrypts the logs; null means CloudWatch's own encryption. The key's policy
    must allow logs.<region>.amazonaws.com.
  EOT
  type        = string
  default     = null
}

variable "domain" {
  description = <<-EOT
    A domain name for the API: its certificate in this Region, and the Route 53 zone that gets a record for the name
    (null: no record). With default_endpoint = false, the API answers only on this name. regional_name is a second name,
    which leads to this Region only. null means that the API has only its own address.
  EOT
  type = object({
    name             = string
    certificate_arn  = string
    hosted_zone_id   = optional(string)
    default_endpoint = optional(bool, true)
    regional_name    = optional(string)
  })
  default = null

  validation {
    condition     = var.domain == null || var.endpoint_type == "REGIONAL"
    error_message = "Remove the domain or set endpoint_type to REGIONAL: the certificate is one of this Region."
  }
}

variable "escape_method_paths" {
  description = <<-EOT
    Escape the slashes in the paths of methods in the stage's settings, as API Gateway does. Set it to false only for
    MiniStack, an emulator that stores the paths unescaped. On MiniStack, the AWS provider wouldn't find settings under
    an escaped path.
  EOT
  type        = bool
  default     = true
}

variable "health_check" {
  description = <<-EOT
    Lets Route 53 leave this Region out while its API doesn't answer, or while the alarm that is named here is on; null
    means neither. The alarm is the switch of an operator, in another Region. settings has everything that the alarm
    consists of.
  EOT
  type = object({
    alarm_name   = string
    alarm_region = string
    settings     = string
  })
  default = null

  validation {
    condition     = var.health_check == null || try(var.domain.hosted_zone_id, null) != null
    error_message = "Set hosted_zone_id of domain: a health check belongs to a record."
  }
}

variable "origin" {
  description = <<-EOT
    How the edge reaches this API; null without an edge. generations: the secrets that are accepted, as keys of
    origin_secrets. locked: refuse every call without one of them, except the health check.
  EOT
  type        = object({ generations = list(string), locked = bool })
  default     = null
}

variable "origin_secrets" {
  description = "Generation -> the secret that CloudFront sends in the header Referer."
  type        = map(string)
  default     = {}
  sensitive   = true
}
