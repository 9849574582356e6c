# Module `readplane` has already checked the settings of the stack. The validations in this file check what only the
# contract needs.

variable "title" {
  description = "Title of the contract."
  type        = string
}

variable "contract_version" {
  description = "Version of the API, as text. It changes only if a client must change."
  type        = string
  default     = "1"
}

variable "servers" {
  description = <<-EOT
    Base URLs of the API with the stage, one for each Region. Generated clients call the first one unless they are told
    otherwise.
  EOT
  type        = list(object({ url = string, description = string }))

  validation {
    condition     = length(var.servers) > 0
    error_message = "Give servers at least one entry: a client must know where to send its requests."
  }
}

variable "routes" {
  description = <<-EOT
    "METHOD /path" of a route -> what the contract needs of it. Module `region` has the table.
    operation: what the route does.
    subject: the collection, source or backend that the route belongs to; null for health.
    scopes: callers need an access token with at least one of these scopes; empty means that no token is needed.
    api_key: callers need an API key.
    document: set if API Gateway itself reads the response from S3.
    cache: set if API Gateway caches the responses. ttl: for how many seconds.
    throttle: requests per second (rate) and burst of this route alone; null means var.throttle.
  EOT
  type = map(object({
    operation = string
    subject   = optional(string)
    scopes    = optional(list(string), [])
    api_key   = optional(bool, false)
    document  = optional(object({ key = string }))
    cache     = optional(object({ ttl = number }))
    throttle  = optional(object({ rate = number, burst = number }))
  }))

  validation {
    condition = alltrue([
      for route in values(var.routes) :
      contains(local.known_pairs, join(" ", compact([route.operation, route.subject])))
    ])
    error_message = <<-EOT
      Set each route's operation to one of ${join(", ", local.known_operations)}, and its subject to the collection,
      source or backend that the route belongs to. Only health has no subject.
    EOT
  }
}

variable "collections" {
  description = <<-EOT
    Collection name -> its settings. schema: the JSON Schema of an item's data as JSON text; null means any JSON object.
    relational: the fields that a list's filter and sort may name, and what its q searches; null means none of them.
  EOT
  type = map(object({
    read         = string
    write_groups = list(string)
    schema       = optional(string)
    relational = optional(object({
      fields = map(object({ type = string }))
      sort   = list(string)
      search = optional(object({ language = string }))
    }))
  }))
}

variable "cached_collections" {
  description = "Names of the collections whose items `read` takes from an item cache that reports what it did."
  type        = set(string)
  default     = []
}

variable "sources" {
  description = <<-EOT
    Source name -> the collection that the source feeds, its staleness budget in seconds, and its mode (changes or
    snapshot).
  EOT
  type        = map(object({ collection = string, staleness_budget = number, mode = string }))
  default     = {}
}

variable "backends" {
  description = "Backend name -> the settings on which its callers depend."
  type = map(object({
    timeout_ms      = number
    throttle        = object({ rate = number, burst = number })
    forward_headers = optional(list(string), [])
    quota           = optional(object({ limit = number, period = string }))
    cache           = optional(object({ cache_query_parameters = list(string) }))
  }))
  default = {}
}

variable "cors_origins" {
  description = "Web origins whose scripts may call the API."
  type        = list(string)
  default     = []
}

variable "throttle" {
  description = "Requests per second (rate) and burst of each route that has no throttle of its own."
  type        = object({ rate = number, burst = number })
}
