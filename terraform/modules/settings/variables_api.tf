# The HTTP API: its endpoint, cache and limits.

variable "endpoint_type" {
  description = <<-EOT
    Endpoint type of the API.
    REGIONAL: clients connect to the Region.
    EDGE: clients connect to the nearest AWS edge location, which forwards requests to the Region.
  EOT
  type        = string
  default     = "REGIONAL"
  nullable    = false

  validation {
    condition     = contains(["REGIONAL", "EDGE"], var.endpoint_type)
    error_message = "Set endpoint_type to REGIONAL or EDGE."
  }

  # Refuse EDGE if there is a replica Region. Two edge-optimised APIs can't share a custom domain, so clients couldn't
  # fail over from one Region to the other.
  validation {
    condition     = var.endpoint_type != "EDGE" || local.replica_region == null
    error_message = <<-EOT
      Set endpoint_type to REGIONAL, or remove the replica, because edge-optimised APIs can't fail over between
      Regions.
    EOT
  }
}

variable "cors_origins" {
  description = <<-EOT
    Web origins whose scripts may call the API from a browser.
    With no origin, the API answers no preflight and sends no CORS headers.
    With one origin, every response names that origin.
    With several origins, or with one that stands for several (`https://*.example.com`, `*`), every response names `*`,
    because a browser compares the name letter by letter and API Gateway can't choose a name by request. That is safe,
    because callers send bearer tokens and no cookies. It also means that scripts of all other origins may call the API.
    Applications of Capacitor and Ionic have the origins `capacitor://localhost` and `ionic://localhost`.
  EOT
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for origin in var.cors_origins : can(regex(local.web_origin, origin))])
    error_message = <<-EOT
      Give cors_origins as https://host or https://host:port (http only for localhost), as https://*.host or *, or as
      capacitor://host or ionic://host, in lower case, without path and trailing slash, because browsers send that.
    EOT
  }

  # Refuse duplicates. The modules assume several origins if this list has more than one entry, so a duplicate would
  # count as a second origin.
  validation {
    condition     = length(distinct(var.cors_origins)) == length(var.cors_origins)
    error_message = "Name each origin once in cors_origins."
  }
}

variable "cors_headers" {
  description = <<-EOT
    Request headers that scripts from cors_origins may send, besides those that the API itself reads. For example, a
    tracing library may add `traceparent`, and a browser then sends no request at all unless the header is allowed.
  EOT
  type        = list(string)
  default     = []
  nullable    = false

  # Refuse "*", because it wouldn't cover Authorization, and quotes, which API Gateway would take for its own.
  validation {
    condition     = alltrue([for header in var.cors_headers : can(regex(local.header_name, header))])
    error_message = <<-EOT
      Name each header in cors_headers with letters, digits, ".", "_" and "-", for example "traceparent". A "*" isn't
      enough, because it doesn't cover Authorization.
    EOT
  }

  validation {
    condition     = length(distinct([for header in var.cors_headers : lower(header)])) == length(var.cors_headers)
    error_message = "Name each header once in cors_headers. The case of a header's name has no meaning."
  }
}

variable "cache_size" {
  description = <<-EOT
    Size of the API's cache cluster in GB, as text; null means no cluster, so that API Gateway caches nothing. AWS bills
    a cluster by the hour, used or not.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.cache_size == null || contains(local.cache_sizes, coalesce(var.cache_size, "none"))
    error_message = <<-EOT
      Set cache_size to null or to a size that API Gateway offers: 0.5, 1.6, 6.1, 13.5, 28.4, 58.2, 118 or 237.
    EOT
  }
}

locals {
  header_name = "^[A-Za-z0-9._-]+$"
  web_origin  = "^([*]|(https://([*][.])?|(capacitor|ionic)://)${local.origin_host}|http://localhost${local.port})$"
  origin_host = "[a-z0-9-]+([.][a-z0-9-]+)*${local.port}"
  port        = "(:[0-9]{1,5})?"
  cache_sizes = ["0.5", "1.6", "6.1", "13.5", "28.4", "58.2", "118", "237"]
}

variable "throttle" {
  description = "Request limit of each method of the API. A collection or backend can set its own."
  type = object({
    rate  = number # requests per second
    burst = number # requests that may come at once
  })
  default  = { rate = 500, burst = 1000 }
  nullable = false

  validation {
    condition     = var.throttle.rate > 0 && var.throttle.burst >= 1
    error_message = <<-EOT
      Set throttle.rate to more than 0 and throttle.burst to at least 1. With less, API Gateway would answer 429 to
      every request.
    EOT
  }

  validation {
    condition     = floor(var.throttle.burst) == var.throttle.burst
    error_message = "Set throttle.burst to a whole number, because API Gateway takes no other."
  }
}

variable "open_throttle" {
  description = <<-EOT
    Request limit of each method that anybody may call, without a token or an API key: reads of public collections, the
    freshness of their sources, and /health. A collection can set its own limit. null means 100 requests per second with
    a burst of 200, or the limit in the variable throttle if that is lower. Nothing but this limit bounds what strangers
    can make a method cost: 100 requests a second are about 30 $ a day.
  EOT
  type = object({
    rate  = number # requests per second
    burst = number # requests that may come at once
  })
  default = null

  validation {
    condition     = try(var.open_throttle.rate > 0 && var.open_throttle.burst >= 1, var.open_throttle == null)
    error_message = <<-EOT
      Set open_throttle.rate to more than 0 and open_throttle.burst to at least 1, or leave open_throttle out. With
      less, API Gateway would answer 429 to every request.
    EOT
  }

  validation {
    condition     = try(floor(var.open_throttle.burst) == var.open_throttle.burst, true)
    error_message = "Set open_throttle.burst to a whole number, because API Gateway takes no other."
  }
}

locals {
  # The limit of the methods that anybody may call.
  open_limit = var.open_throttle != null ? var.open_throttle : {
    rate  = min(100, var.throttle.rate)
    burst = min(200, var.throttle.burst)
  }
}

variable "method_metrics" {
  description = <<-EOT
    Send CloudWatch metrics of each method, in addition to those of the whole API, which are free. The dashboard and the
    alarms don't need them. Each method that is called costs about 2 $ a month.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "documents_integration" {
  description = <<-EOT
    How the API gets documents from the documents bucket.
    s3: API Gateway reads the bucket itself, without a function.
    lambda: the function `read` reads the bucket and returns the same bytes. Use this on emulators that lack API
    Gateway's S3 integration.
  EOT
  type        = string
  default     = "s3"
  nullable    = false

  validation {
    condition     = contains(["s3", "lambda"], var.documents_integration)
    error_message = <<-EOT
      Set documents_integration to "s3", or to "lambda" on an emulator without API Gateway's S3 integration.
    EOT
  }
}

variable "manage_account_logging" {
  description = <<-EOT
    Deprecated: the next version removes this variable. API Gateway's logging role belongs to the account and not to a
    stack (`examples/account`).
  EOT
  type        = bool
  default     = null

  validation {
    condition     = var.manage_account_logging == null
    error_message = <<-EOT
      Remove manage_account_logging. Apply terraform/examples/account once in each Region of the account, because the
      role with which API Gateway writes logs must outlive each stack. A live stack's role and setting stay as they are.
    EOT
  }
}

variable "api_base_url" {
  description = "Base URL of the API on an emulator, with {api_id} in place of the API's id; null means AWS's own URL."
  type        = string
  default     = null

  validation {
    condition     = var.api_base_url == null || strcontains(coalesce(var.api_base_url, "-"), "{api_id}")
    error_message = "Put {api_id} into api_base_url, for example http://localhost:4566/_aws/execute-api/{api_id}."
  }
}
