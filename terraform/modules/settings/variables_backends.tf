# The back offices that clients reach through the API.

variable "backends" {
  description = <<-EOT
    Backend name -> a back office that clients reach under /v1/backends/<name>/. API Gateway appends the rest of the
    request's path to url.
    Responses must be text (JSON, XML, HTML), because API Gateway would corrupt binary ones. The back office itself must
    send CORS headers, except in cached responses.
    With both api_key and scopes, the token alone decides who may call, and the key only counts requests. So API Gateway
    also accepts the key of another backend.
  EOT
  type = map(object({
    url = string # https://host or https://host/base/path
    # The HTTP methods that API Gateway passes through to the back office.
    methods    = optional(list(string), ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    timeout_ms = optional(number, 10000) # milliseconds after which API Gateway stops waiting and responds 504
    # Request limit of each API method of the backend. With api_key, the same limit also applies to each key, over all
    # methods of the backend together.
    throttle = optional(object({
      rate  = number # requests per second
      burst = number # requests that may come at once
    }), { rate = 10, burst = 20 })
    # How many requests API Gateway accepts with each key in each period; null means that there is no quota.
    quota = optional(object({
      limit  = number                  # requests
      period = optional(string, "DAY") # DAY, WEEK or MONTH
    }))
    # How API Gateway caches the responses to GET; null means not at all. The back office then sees only the path and
    # the query parameters that are listed here, and no header of the caller. API Gateway passes on the common statuses
    # and headers, and responds 502 for any other status.
    cache = optional(object({
      ttl                    = number                 # seconds
      cache_query_parameters = optional(list(string)) # every query parameter on which a response depends
    }))
    api_key = optional(bool, true) # callers must send an API key of this backend in the header X-Api-Key
    # Caller -> the names of its API keys. A caller is whoever gets keys of its own: a team, a partner, a system. To
    # replace a key without an interruption, add a second name, give the caller its key, and then remove the first.
    # The caller `default` with the key `first` has the key that the backend had before it had callers.
    callers = optional(map(object({
      keys = optional(list(string), ["first"]) # names of the caller's API keys
    })), { default = {} })
    # Callers must send an access token that has one of these scopes of this stack ("read", "write"). API Gateway
    # accepts tokens of every client of the user pool, because only functions check the client, and no function handles
    # these requests.
    scopes = optional(list(string), [])
    # Which of Authorization, Cookie and X-Api-Key the back office may see. API Gateway replaces the values of the
    # others with "-".
    forward_headers = optional(list(string), [])
    # The connection to a private back office: either id or nlb_arn.
    vpc_link = optional(object({
      id      = optional(string) # an existing VPC link of API Gateway
      nlb_arn = optional(string) # the Network Load Balancer to which the stack makes a VPC link
    }))
    # The same for replica.region.
    replica_vpc_link = optional(object({
      id      = optional(string) # an existing VPC link of API Gateway
      nlb_arn = optional(string) # the Network Load Balancer to which the stack makes a VPC link
    }))
  }))
  default  = {}
  nullable = false

  # A stack can have at most 20 backends, for two reasons. The hashes of their API keys must fit into the environment
  # variables of the function `backend_auth` (4 KB). And each backend uses two of the 300 resources that API Gateway
  # allows per API.
  validation {
    condition     = length(var.backends) <= 20
    error_message = "Declare at most 20 backends. Put the rest into a second stack."
  }

  validation {
    condition     = alltrue([for name in keys(var.backends) : can(regex("^[a-z][a-z0-9-]{0,62}$", name))])
    error_message = <<-EOT
      Name backends with 1 to 63 lower-case letters, digits and hyphens, the first a letter, because the name is part of
      paths.
    EOT
  }

  validation {
    condition     = alltrue([for backend in values(var.backends) : length(backend.callers) > 0])
    error_message = <<-EOT
      Name at least one caller in a backend's callers, or leave callers out. Without an API key, nobody could call it.
    EOT
  }

  validation {
    condition = alltrue([
      for backend in values(var.backends) : backend.api_key || join(",", keys(backend.callers)) == "default"
    ])
    error_message = "Remove callers from backends without api_key, because they have no keys."
  }

  validation {
    condition = alltrue(flatten([
      for backend in values(var.backends) : [for caller in keys(backend.callers) : can(regex(local.key_name, caller))]
    ]))
    error_message = "Name callers with 1 to 31 lower-case letters, digits and hyphens, the first a letter."
  }

  validation {
    condition = alltrue([
      for key in flatten([for backend in values(var.backends) : values(backend.callers)[*].keys]) :
      can(regex(local.key_name, key))
    ])
    error_message = "Name keys with 1 to 31 lower-case letters, digits and hyphens, the first a letter."
  }

  validation {
    condition = alltrue([
      for caller in flatten([for b in values(var.backends) : values(b.callers)]) :
      length(toset(caller.keys)) == max(length(caller.keys), 1)
    ])
    error_message = "Give each caller of a backend at least one key, and name each key once."
  }

  # The hashes of all keys must fit into the environment variables of the function `backend_auth` (4 KB). 60 hashes need
  # about 3.4 KB.
  validation {
    condition = length(flatten([
      for backend in values(var.backends) : [for caller in values(backend.callers) : caller.keys] if backend.api_key
    ])) <= 60
    error_message = "Declare at most 60 API keys in the callers of all backends, or a second stack for the rest."
  }

  # The pattern refuses a url that contains credentials, a query, a fragment, template braces or a stage variable. It
  # also refuses path segments that begin with a dot, because ".." could lead out of the base path.
  validation {
    condition     = alltrue([for backend in values(var.backends) : can(regex(local.backend_url, backend.url))])
    error_message = <<-EOT
      Give each backend's url as https://host or https://host/base/path, without a slash at the end, user, query or
      fragment, and with the host in lower case.
    EOT
  }

  # https://docs.aws.amazon.com/apigateway/latest/developerguide/setup-http-integrations.html
  validation {
    condition = alltrue([
      for b in values(var.backends) :
      !contains(local.closed_ports, tonumber(try(regex(local.url_port, b.url)[0], 443))) if b.vpc_link == null
    ])
    error_message = <<-EOT
      Use the port 80, 443 or one from 1024 to 65535 in a backend's url, or reach it by vpc_link, because API Gateway
      calls no other ports.
    EOT
  }

  validation {
    condition = alltrue([
      for backend in values(var.backends) : try(regex(local.url_port, backend.url)[0], 443) <= 65535
      if backend.vpc_link == null
    ])
    error_message = "Use a port of at most 65535 in a backend's url, because there are no others."
  }

  validation {
    condition = var.emulator.plain_http || alltrue([
      for backend in values(var.backends) : startswith(backend.url, "https://") if backend.vpc_link == null
    ])
    error_message = <<-EOT
      Use https in a backend's url, or reach it by vpc_link, because over plain HTTP on the internet anybody on the way
      could read and change requests and responses.
    EOT
  }

  validation {
    condition = alltrue([
      for methods in values(var.backends)[*].methods :
      length(methods) > 0 && length(distinct(methods)) == length(methods)
    ])
    error_message = "List a backend's methods once each, and at least one."
  }

  validation {
    condition = alltrue([
      for methods in values(var.backends)[*].methods : length(setsubtract(methods, local.passed_methods)) == 0
    ])
    error_message = <<-EOT
      List only GET, HEAD, POST, PUT, PATCH and DELETE in a backend's methods. The API answers OPTIONS itself.
    EOT
  }

  # API Gateway accepts an integration timeout of 50 to 29,000 milliseconds.
  validation {
    condition = alltrue([
      for ms in values(var.backends)[*].timeout_ms : ms >= 50 && ms <= 29000 && floor(ms) == ms
    ])
    error_message = <<-EOT
      Set a backend's timeout_ms to whole milliseconds from 50 to 29000, because API Gateway waits no longer.
    EOT
  }

  validation {
    condition = alltrue([
      for limit in values(var.backends)[*].throttle :
      limit.rate > 0 && limit.burst >= 1 && floor(limit.burst) == limit.burst
    ])
    error_message = <<-EOT
      Set a backend's throttle.rate to more than 0 and its throttle.burst to a whole number of at least 1. With less,
      API Gateway would answer 429 to every request.
    EOT
  }

  validation {
    condition = alltrue([
      for quota in values(var.backends)[*].quota : quota.limit >= 1 && floor(quota.limit) == quota.limit
      if quota != null
    ])
    error_message = "Set a backend's quota.limit to a whole number of at least 1."
  }

  validation {
    condition = alltrue([
      for quota in values(var.backends)[*].quota : contains(["DAY", "WEEK", "MONTH"], quota.period) if quota != null
    ])
    error_message = "Set a backend's quota.period to DAY, WEEK or MONTH."
  }

  validation {
    condition     = alltrue([for backend in values(var.backends) : backend.api_key if backend.quota != null])
    error_message = "Remove quota from backends without api_key, because API Gateway counts a quota per key."
  }

  validation {
    condition = alltrue([
      for cache in values(var.backends)[*].cache : cache.ttl >= 1 && cache.ttl <= 3600 && floor(cache.ttl) == cache.ttl
      if cache != null
    ])
    error_message = "Set a backend's cache.ttl to whole seconds from 1 to 3600, or remove cache."
  }

  validation {
    condition = alltrue([
      for cache in values(var.backends)[*].cache : cache.cache_query_parameters != null if cache != null
    ])
    error_message = <<-EOT
      List cache_query_parameters of a cached backend, or [] for none, because the back office gets no other query
      parameter.
    EOT
  }

  validation {
    condition = alltrue([
      for name in flatten([for b in values(var.backends) : try(b.cache.cache_query_parameters[*], [])]) :
      can(regex(local.query_name, name))
    ])
    error_message = <<-EOT
      Name cache_query_parameters with letters, digits, ".", "_", "$" and "-", because API Gateway can't put others into
      a cache key.
    EOT
  }

  validation {
    condition = alltrue([
      for backend in values(var.backends) : contains(backend.methods, "GET") if backend.cache != null
    ])
    error_message = <<-EOT
      Remove cache from backends whose methods don't have GET, because API Gateway caches the responses to GET only.
    EOT
  }

  validation {
    condition     = var.cache_size != null || alltrue([for backend in values(var.backends) : backend.cache == null])
    error_message = <<-EOT
      Set cache_size (for example to "0.5") or remove cache from the backends, because API Gateway caches nothing
      without a cache cluster.
    EOT
  }

  validation {
    condition = alltrue([
      for header in flatten(values(var.backends)[*].forward_headers) :
      contains(["authorization", "cookie", "x-api-key"], lower(header))
    ])
    error_message = <<-EOT
      Name in forward_headers only Authorization, Cookie and X-Api-Key, because API Gateway forwards every other header
      anyway.
    EOT
  }

  validation {
    condition = alltrue([
      for backend in values(var.backends) : length(backend.forward_headers) == 0 if backend.cache != null
    ])
    error_message = <<-EOT
      Remove cache or forward_headers, because the back office of a cached backend sees no header of the caller.
    EOT
  }

  validation {
    condition = alltrue([
      for scope in flatten(values(var.backends)[*].scopes) : contains(["read", "write"], scope)
    ])
    error_message = "Name in a backend's scopes \"read\", \"write\" or both, which are this stack's scopes."
  }

  validation {
    condition = alltrue([
      for backend in values(var.backends) : backend.api_key || length(backend.scopes) > 0
    ])
    error_message = <<-EOT
      Set a backend's api_key to true or give it scopes, because otherwise anybody on the internet could call the back
      office.
    EOT
  }

  validation {
    condition = alltrue([
      for link in values(var.backends)[*].vpc_link : (link.id == null) != (link.nlb_arn == null) if link != null
    ])
    error_message = "Give a vpc_link either id or nlb_arn."
  }

  validation {
    condition = alltrue([
      for link in values(var.backends)[*].replica_vpc_link : (link.id == null) != (link.nlb_arn == null)
      if link != null
    ])
    error_message = "Give a replica_vpc_link either id or nlb_arn."
  }

  validation {
    condition = alltrue([
      for link in values(var.backends)[*].vpc_link : can(regex(local.nlb_arn, link.nlb_arn))
      if try(link.nlb_arn, null) != null
    ])
    error_message = <<-EOT
      Give nlb_arn of a vpc_link as the ARN of a Network Load Balancer in region, because API Gateway links to no other
      kind and to no other Region.
    EOT
  }

  validation {
    condition = alltrue([
      for link in values(var.backends)[*].replica_vpc_link : can(regex(local.replica_nlb_arn, link.nlb_arn))
      if try(link.nlb_arn, null) != null
    ])
    error_message = <<-EOT
      Give nlb_arn of a replica_vpc_link as the ARN of a Network Load Balancer in replica.region, because API Gateway
      links to no other kind and to no other Region.
    EOT
  }

  validation {
    condition = alltrue([
      for backend in values(var.backends) :
      (backend.replica_vpc_link != null) == (backend.vpc_link != null && local.names_replica)
    ])
    error_message = <<-EOT
      Give a private backend replica_vpc_link if replica has a region, and only then. Without it, clients couldn't
      reach the backend in that Region.
    EOT
  }
}

locals {
  # The ids of all API keys, as the modules `region` and `api` name them.
  backend_key_ids = flatten([for name, backend in var.backends : [for caller, settings in backend.callers : [
    for key in settings.keys : caller == "default" && key == "first" ? name : "${name}/${caller}/${key}"
  ]] if backend.api_key])

  # Whether the settings name a Region for the replica.
  names_replica = local.named_replica_region != null

  # The ports below 1024 that API Gateway doesn't call.
  closed_ports = concat(range(80), range(81, 443), range(444, 1024))

  key_name        = "^[a-z][a-z0-9-]{0,30}$"
  backend_url     = "^https?://${local.host_label}([.]${local.host_label})*(:[0-9]{1,5})?${local.base_path}$"
  host_label      = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
  base_path       = "(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*"
  url_port        = "^https?://[^/:]+:0*([0-9]+)"
  query_name      = "^[A-Za-z0-9._$-]+$"
  passed_methods  = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
  elb_arn         = "^arn:aws[a-z-]*:elasticloadbalancing"
  nlb_arn         = "${local.elb_arn}:${var.region}:[0-9]{12}:loadbalancer/net/.+$"
  replica_nlb_arn = "${local.elb_arn}:${coalesce(local.named_replica_region, "none")}:[0-9]{12}:loadbalancer/net/.+$"
}

variable "backend_api_keys" {
  description = <<-EOT
    API keys that callers already have: "<backend>/<caller>/<key>" -> the value of that key. The name of the backend
    alone means its caller `default` and the key `first`. A key that isn't listed gets a new value. Set this through the
    environment variable TF_VAR_backend_api_keys and not in a file, because keys are secrets.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false
  sensitive   = true

  # API Gateway accepts keys of 20 to 128 characters.
  validation {
    condition     = alltrue([for key in values(var.backend_api_keys) : can(regex("^[A-Za-z0-9_-]{20,128}$", key))])
    error_message = "Give backend_api_keys 20 to 128 letters, digits, \"_\" and \"-\" each."
  }

  validation {
    condition     = length(distinct(values(var.backend_api_keys))) == length(var.backend_api_keys)
    error_message = <<-EOT
      Give each key a value of its own in backend_api_keys, because a shared one wouldn't say which backend it opens.
    EOT
  }

  validation {
    condition     = length(setsubtract(keys(var.backend_api_keys), local.backend_key_ids)) == 0
    error_message = <<-EOT
      Name in backend_api_keys only keys that a backend with api_key has: the backend's name for the key `first` of the
      caller `default`, and "<backend>/<caller>/<key>" for any other.
    EOT
  }
}
