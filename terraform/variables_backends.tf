variable "backends" {
  description = <<-EOT
    Backend name -> a back office that clients reach under /v1/backends/<name>/. API Gateway appends the rest of the
    request's path to url.
    methods: the HTTP methods that API Gateway passes through to the back office.
    timeout_ms: milliseconds after which API Gateway stops waiting for the back office and responds 504.
    throttle: requests per second (rate) and burst for each API method. With api_key, the same limits also apply to all
    methods of the backend together.
    quota: how many requests API Gateway accepts with the backend's key in each period (DAY, WEEK or MONTH).
    cache: API Gateway caches the responses to GET for ttl seconds. cache_query_parameters and headers must name every
    query parameter and header on which a response depends. Requests that differ only in others get each other's cached
    responses.
    api_key: callers must send this backend's API key in the header X-Api-Key.
    scopes: callers must send an access token that has one of these scopes of this stack ("read", "write"). API Gateway
    accepts tokens of every client of the user pool, because only functions check the client, and no function handles
    these requests.
    With both api_key and scopes, the token alone decides who may call, and the key only counts requests. So API Gateway
    also accepts the key of another backend.
    forward_headers: which of Authorization, Cookie and X-Api-Key the back office may see. API Gateway replaces the
    values of the others with "-".
    vpc_link: the connection to a private back office: either nlb_arn (the ARN of its Network Load Balancer) or id (an
    existing VPC link of API Gateway). replica_vpc_link: the same for replica_region.
    Responses must be text (JSON, XML, HTML), because API Gateway would corrupt binary ones. The back office itself must
    send CORS headers.
  EOT
  type = map(object({
    url        = string
    methods    = optional(list(string), ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    timeout_ms = optional(number, 10000)
    throttle   = optional(object({ rate = number, burst = number }), { rate = 10, burst = 20 })
    quota      = optional(object({ limit = number, period = optional(string, "DAY") }))
    cache = optional(object({
      ttl                    = number
      cache_query_parameters = optional(list(string))
      headers                = optional(list(string), [])
    }))
    api_key          = optional(bool, true)
    scopes           = optional(list(string), [])
    forward_headers  = optional(list(string), [])
    vpc_link         = optional(object({ id = optional(string), nlb_arn = optional(string) }))
    replica_vpc_link = optional(object({ id = optional(string), nlb_arn = optional(string) }))
  }))
  default = {}

  # A stack can have at most 20 backends, for two reasons. The hashes of their API keys must fit into the environment
  # variables of the function `backend_auth` (4 KB). And each backend uses two of the 300 resources that API Gateway
  # allows per API.
  validation {
    condition     = length(var.backends) <= 20
    error_message = "Declare at most 20 backends; put the rest into a second stack."
  }

  validation {
    condition     = alltrue([for name in keys(var.backends) : can(regex("^[a-z][a-z0-9-]{0,62}$", name))])
    error_message = "Name backends with 1 to 63 lower-case letters, digits and hyphens, the first a letter: the name is part of paths."
  }

  # The pattern refuses a url that contains credentials, a query, a fragment, template braces or a stage variable. It
  # also refuses path segments that begin with a dot, because ".." could lead out of the base path.
  validation {
    condition     = alltrue([for b in values(var.backends) : can(regex("^https?://[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$", b.url))])
    error_message = "Give each backend's url as https://host or https://host/base/path, without a slash at the end, user, query or fragment, and with the host in lower case."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : startswith(b.url, "https://") || b.vpc_link != null || var.emulator.plain_http])
    error_message = "Use https in a backend's url, or reach it by vpc_link: over plain HTTP on the internet anybody on the way could read and change what passes."
  }

  validation {
    condition = alltrue([for b in values(var.backends) : (
      length(b.methods) > 0 && length(distinct(b.methods)) == length(b.methods)
      && length(setsubtract(b.methods, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])) == 0
    )])
    error_message = "List a backend's methods once each, out of GET, HEAD, POST, PUT, PATCH and DELETE (the API answers OPTIONS itself)."
  }

  # API Gateway accepts an integration timeout of 50 to 29,000 milliseconds.
  validation {
    condition     = alltrue([for b in values(var.backends) : b.timeout_ms >= 50 && b.timeout_ms <= 29000 && floor(b.timeout_ms) == b.timeout_ms])
    error_message = "Set a backend's timeout_ms to whole milliseconds from 50 to 29000: API Gateway waits no longer."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : b.throttle.rate > 0 && b.throttle.burst >= 1 && floor(b.throttle.burst) == b.throttle.burst])
    error_message = "Set a backend's throttle.rate to more than 0 and its throttle.burst to a whole number of at least 1: API Gateway would answer 429 to every request."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : b.quota.limit >= 1 && floor(b.quota.limit) == b.quota.limit && contains(["DAY", "WEEK", "MONTH"], b.quota.period) if b.quota != null])
    error_message = "Set a backend's quota.limit to a whole number of at least 1 and its quota.period to DAY, WEEK or MONTH."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : b.api_key if b.quota != null])
    error_message = "Remove quota from backends without api_key: a quota is counted per key."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : b.cache.ttl >= 1 && b.cache.ttl <= 3600 && floor(b.cache.ttl) == b.cache.ttl if b.cache != null])
    error_message = "Set a backend's cache.ttl to whole seconds from 1 to 3600, or remove cache."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : b.cache.cache_query_parameters != null if b.cache != null])
    error_message = "List cache_query_parameters of a cached backend, [] for none: requests that differ in another parameter would get each other's answers."
  }

  validation {
    condition = alltrue([for b in values(var.backends) : alltrue(concat(
      [for parameter in coalesce(b.cache.cache_query_parameters, []) : can(regex("^[A-Za-z0-9._$-]+$", parameter))],
      [for header in b.cache.headers : can(regex("^[A-Za-z0-9-]+$", header))],
    )) if b.cache != null])
    error_message = "Name cache_query_parameters with letters, digits, \".\", \"_\", \"$\" and \"-\", and cache.headers with letters, digits and \"-\": API Gateway can't key on others."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : contains(b.methods, "GET") if b.cache != null])
    error_message = "Remove cache from backends whose methods don't have GET: nothing else is ever cached."
  }

  validation {
    condition     = var.cache_size != null || alltrue([for b in values(var.backends) : b.cache == null])
    error_message = "Set cache_size (for example \"0.5\") or remove cache from the backends: without a cache cluster nothing is cached."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : length(setsubtract([for header in b.forward_headers : lower(header)], ["authorization", "cookie", "x-api-key"])) == 0])
    error_message = "Name in forward_headers only Authorization, Cookie and X-Api-Key: every other header is forwarded anyway."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : length(b.forward_headers) == 0 if b.cache != null])
    error_message = "Remove cache or forward_headers: what a back office answers to one caller's credentials would reach other callers."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : length(setsubtract(b.scopes, ["read", "write"])) == 0])
    error_message = "Name in a backend's scopes \"read\", \"write\" or both: this stack's scopes."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : b.api_key || length(b.scopes) > 0])
    error_message = "Set a backend's api_key to true or give it scopes: anybody on the internet could call the back office."
  }

  validation {
    condition = alltrue(flatten([for b in values(var.backends) : [
      for link in [b.vpc_link, b.replica_vpc_link] : (link.id == null) != (link.nlb_arn == null) if link != null
    ]]))
    error_message = "Give a vpc_link either id or nlb_arn."
  }

  validation {
    condition = alltrue(flatten([for b in values(var.backends) : [
      for region, link in { (var.region) = b.vpc_link, (coalesce(var.replica_region, "none")) = b.replica_vpc_link } :
      can(regex("^arn:aws[a-z-]*:elasticloadbalancing:${region}:[0-9]{12}:loadbalancer/net/.+$", link.nlb_arn)) if try(link.nlb_arn, null) != null
    ]]))
    error_message = "Give nlb_arn as the ARN of a Network Load Balancer in region (vpc_link) or replica_region (replica_vpc_link): API Gateway links to no other kind and to no other Region."
  }

  validation {
    condition     = alltrue([for b in values(var.backends) : (b.replica_vpc_link != null) == (b.vpc_link != null && var.replica_region != null)])
    error_message = "Give a private backend replica_vpc_link if there is a replica_region, and only then: its clients couldn't reach it there."
  }
}

variable "backend_api_keys" {
  description = <<-EOT
    Backend name -> an API key that the backend's callers already have. A backend that isn't listed gets a new key. Set
    this through the environment variable TF_VAR_backend_api_keys and not in a file, because keys are secrets.
  EOT
  type        = map(string)
  default     = {}
  sensitive   = true

  # API Gateway accepts keys of 20 to 128 characters.
  validation {
    condition     = alltrue([for key in values(var.backend_api_keys) : can(regex("^[A-Za-z0-9_-]{20,128}$", key))])
    error_message = "Give backend_api_keys 20 to 128 letters, digits, \"_\" and \"-\" each."
  }

  validation {
    condition     = length(distinct(values(var.backend_api_keys))) == length(var.backend_api_keys)
    error_message = "Give each backend a key of its own in backend_api_keys: a key that opens two would tell nobody which."
  }

  validation {
    condition     = alltrue([for name in keys(var.backend_api_keys) : try(var.backends[name].api_key, false)])
    error_message = "Name in backend_api_keys only backends with api_key."
  }
}
