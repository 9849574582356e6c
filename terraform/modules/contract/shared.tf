# The parts of the contract that all collections share.
locals {
  # Headers of responses.
  headers = {
    CacheControl = {
      description = "For how long a client may keep the response."
      schema      = { type = "string" }
    }
    CacheStatus = {
      description = <<-EOT
        What the item cache did for the request (RFC 9211). `hit` means that the item came from the cache, which takes
        it for current for `ttl` more seconds; a negative number means that the item may be old. `fwd` says why the item
        came from the items table instead. If API Gateway caches the response, this describes the request that
        filled its cache.
      EOT
      schema      = { type = "string" }
      example     = "Readplane; hit; ttl=27"
    }
    ETag = {
      description = "The ETag of the response. An operation with the parameter If-None-Match takes it."
      schema      = { type = "string" }
    }
    Location = {
      description = "The address of the change's status, relative to the URL of the request."
      schema      = { type = "string", format = "uri-reference" }
    }
    RetryAfter = {
      description = "Seconds to wait before the next attempt."
      schema      = { type = "integer" }
    }
    Stale = {
      description = "`true` while the source of the collection is beyond its staleness budget; absent otherwise."
      schema      = { type = "string", enum = ["true"] }
    }
    Vary = {
      description = <<-EOT
        Present if the operation needs a token. A cache may then give the response only to requests with the same token.
      EOT
      schema      = { type = "string", enum = ["Authorization"] }
    }
    Version = {
      description = "The item's version."
      schema      = { "$ref" = "#/components/schemas/Version" }
    }
    WWWAuthenticate = {
      description = "`Bearer`."
      schema      = { type = "string" }
    }
  }

  parameters = {
    ItemId = {
      name        = "item_id"
      in          = "path"
      required    = true
      description = "The item's id: 1 to 256 letters, digits and `.`, `_`, `~`, `-`. The first is a letter or digit."
      schema      = { type = "string", pattern = "^[A-Za-z0-9][A-Za-z0-9._~-]{0,255}$" }
    }
    ChangeId = {
      name        = "change_id"
      in          = "path"
      required    = true
      description = "The `change_id` that a write returned."
      schema      = { "$ref" = "#/components/schemas/Version" }
    }
    Proxy = {
      name        = "proxy"
      in          = "path"
      required    = true
      description = <<-EOT
        The path below the backend's URL, without a slash at the front. It may have several segments, but a generated
        client encodes the slashes between them. API Gateway refuses a path with `..`, or with an encoded dot, slash,
        percent sign or NUL. To send several segments, use a plain HTTP client.
      EOT
      schema      = { type = "string" }
    }
    Limit = {
      name        = "limit"
      in          = "query"
      description = "The largest number of items on the page."
      schema      = { type = "integer", minimum = 1, maximum = 200, default = 50 }
    }
    Cursor = {
      name        = "cursor"
      in          = "query"
      description = <<-EOT
        The `next` of the previous page. Leave it out to get the first page. The API also takes this parameter under the
        name `next`.
      EOT
      schema      = { type = "string" }
    }
    MinVersion = {
      name        = "min_version"
      in          = "query"
      style       = "form"
      explode     = false # one parameter with commas, because API Gateway passes only the last of repeated ones
      description = <<-EOT
        Versions, separated by commas, each at most 5 seconds ahead of the server's clock. On a read, the response is
        409 until the item has at least these versions, and 400 if one of them can't be a version of this item. On a
        write, the new version is above all of them. So send the version that you read when you change an item, or the
        last `change_id` to keep your own writes in order.
      EOT
      schema = {
        type     = "array"
        minItems = 1
        maxItems = 20
        items    = { "$ref" = "#/components/schemas/Version" }
      }
    }
    IfNoneMatch = {
      name        = "If-None-Match"
      in          = "header"
      description = "ETags that the caller has, separated by commas. The response is 304 if one of them is current."
      schema      = { type = "string" }
    }
    IdempotencyKey = {
      name        = "Idempotency-Key"
      in          = "header"
      description = <<-EOT
        Makes a retry safe. The same caller, collection and key always mean the same item, and with the same body the
        same change. The change never replaces a later PUT or DELETE of the item.
      EOT
      schema      = { type = "string", minLength = 1, maxLength = 255, pattern = "^[ -~]*$" }
    }
  }

  # Schemas that belong to no collection.
  schemas = {
    Health = {
      type       = "object"
      required   = ["status"]
      properties = { status = { type = "string", enum = ["ok"] } }
    }
    Version = {
      type        = "string"
      format      = "uuid"
      pattern     = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
      description = "A UUIDv7 in lower case. The greater of two versions is the newer one."
    }
    Accepted = {
      type        = "object"
      description = "The change is durable. Readplane applies it a moment later."
      required    = ["change_id", "item_id", "status"]
      properties = {
        change_id = { "$ref" = "#/components/schemas/Version" }
        item_id   = { type = "string" }
        status    = { type = "string", enum = ["accepted"] }
      }
    }
    ChangeStatus = {
      type        = "object"
      description = "What became of a change."
      required    = ["status", "reason"]
      properties = {
        status = {
          type        = "string"
          enum        = ["applied", "superseded", "quarantined", "pending"]
          description = <<-EOT
            applied: the change is the item's version. superseded: a newer change of the item is applied. quarantined:
            the change can't be applied and is kept for the operators; `reason` says why. pending: the change is on its
            way, or it is unknown and too young to be lost.
          EOT
        }
        reason = {
          type        = ["string", "null"]
          enum        = ["unparsable", "unknown_collection", "too_large", "expired", null]
          description = "Why the change is quarantined; null for any other status."
        }
      }
    }
    Freshness = {
      type        = "object"
      description = "How fresh a source is now."
      required    = ["source", "collection", "fresh_as_of", "staleness", "staleness_budget", "stale", "breaker"]
      properties = {
        source           = { type = "string", description = "The source's name." }
        collection       = { type = "string", description = "The collection that the source feeds." }
        fresh_as_of      = local.fresh_as_of
        staleness        = { type = ["number", "null"], description = "Seconds since `fresh_as_of`." }
        staleness_budget = { type = "integer", description = "How stale the source may be, in seconds." }
        stale            = { type = "boolean", description = "Whether `staleness` exceeds `staleness_budget`." }
        breaker          = local.breaker
      }
    }
    FreshnessDocument = {
      type        = "object"
      description = "How fresh a source was after its last poll. Compare `fresh_as_of` with the clock."
      required    = ["source", "collection", "fresh_as_of", "staleness_budget", "breaker", "checked_at"]
      properties = {
        source           = { type = "string", description = "The source's name." }
        collection       = { type = "string", description = "The collection that the source feeds." }
        fresh_as_of      = local.fresh_as_of
        staleness_budget = { type = "integer", description = "How stale the source may be, in seconds." }
        breaker          = local.breaker
        checked_at = {
          type        = ["string", "null"]
          format      = "date-time"
          description = "When Readplane last asked the back office; null before the first poll."
        }
      }
    }
    Problem = {
      type        = "object"
      description = "Says why a request failed (RFC 9457)."
      required    = ["type", "title", "status", "detail", "request_id"]
      properties = {
        type       = { type = "string" }
        title      = { type = "string" }
        status     = { type = "integer" }
        detail     = { type = "string" }
        request_id = { type = "string", description = "Finds the request in the logs." }
        parameter  = { type = "string", description = "The path, query or header parameter." }
        code       = local.fault_properties.code
        pointer    = local.fault_properties.pointer
        errors = {
          type        = "array"
          minItems    = 1
          maxItems    = 20
          items       = { "$ref" = "#/components/schemas/Fault" }
          description = "The faults of the body. The first one is also in `detail`, `code` and `pointer`."
        }
        change_id = { "$ref" = "#/components/schemas/Version" }
        outcome = {
          type        = "string"
          enum        = ["not_accepted", "unknown"]
          description = <<-EOT
            Says of a write without confirmation whether Readplane surely didn't accept it, or whether that is unknown.
            A 5xx response without this member also means `unknown`.
          EOT
        }
      }
    }
    Fault = {
      type        = "object"
      description = "A fault of a request's body."
      required    = ["code", "pointer", "detail"]
      properties = merge(local.fault_properties, {
        detail = { type = "string", description = "Says what is wrong, for people." }
      })
    }
  }

  fault_properties = {
    code = {
      type        = "string"
      pattern     = "^[a-z][a-z0-9_]*$"
      description = <<-EOT
        What is wrong, for programs: `empty_body`, `not_json` or another code that never changes. For a rule of the
        schema it is the rule's keyword, such as `required` or `max_length`.
      EOT
    }
    pointer = { type = "string", description = "JSON pointer to the place in the body." }
  }

  fresh_as_of = {
    type        = ["string", "null"]
    format      = "date-time"
    description = <<-EOT
      Readplane has read everything that the back office held at this time; null before the first complete pass.
    EOT
  }
  breaker = {
    type        = ["string", "null"]
    enum        = ["closed", "open", "half_open", null]
    description = "`open` means that the back office failed several times, so Readplane doesn't ask it for a while."
  }

  errors = merge(local.common_errors, local.unconfirmed_writes)

  # Name of each error response -> its status, what it means, and an example of its problem document.
  common_errors = {
    BadRequest = {
      status      = 400
      description = "The body, a parameter or a header is wrong. The problem document names the place."
      title       = "Bad Request"
      detail      = local.fault_of_example.detail
      members     = merge(local.fault_of_example, { errors = [local.fault_of_example] })
      headers     = []
    }
    Unauthorized = {
      status      = 401
      description = <<-EOT
        There is no access token of this stack, or it is expired. An ID token is refused too. API Gateway responds so
        before it calls anything.
      EOT
      title       = "Unauthorized"
      detail      = "Send a valid access token as a bearer token, or an API key where one is asked for."
      members     = {}
      headers     = ["WWW-Authenticate"]
    }
    Forbidden = {
      status      = 403
      description = <<-EOT
        The caller isn't allowed to do this, the token belongs to another client, the API key is missing or opens
        another backend, or a firewall refused the request.
      EOT
      title       = "Forbidden"
      detail      = "This caller may not do that."
      members     = {}
      headers     = []
    }
    NotFound = {
      status      = 404
      description = "There is no such item, document, change or source."
      title       = "Not Found"
      detail      = "There is no such item."
      members     = {}
      headers     = []
    }
    Conflict = {
      status      = 409
      description = "A version that min_version names isn't applied yet. Try again after Retry-After."
      title       = "Conflict"
      detail      = "The named version is not applied yet."
      members     = { parameter = "min_version" }
      headers     = ["Retry-After"]
    }
    TooLarge = {
      status      = 413
      description = "The body is larger than 256 KiB."
      title       = "Content Too Large"
      detail      = "The body is larger than 262144 bytes."
      members     = {}
      headers     = []
    }
    UnsupportedMediaType = {
      status      = 415
      description = "The Content-Type isn't application/json, or the body of a write has a Content-Encoding."
      title       = "Unsupported Media Type"
      detail      = "The body must be application/json."
      members     = { parameter = "Content-Type" }
      headers     = []
    }
    TooManyRequests = {
      status      = 429
      description = "The request is above the route's rate, or above the quota of the API key."
      title       = "Too Many Requests"
      detail      = "Too many requests. Try again later."
      members     = {}
      headers     = ["Retry-After"]
    }
    UnprocessableContent = {
      status      = 422
      description = "The Idempotency-Key belongs to a POST with another body."
      title       = "Unprocessable Content"
      detail      = "An earlier POST with this Idempotency-Key had another body. Use a new key for a new item."
      members     = { parameter = "Idempotency-Key" }
      headers     = []
    }
    InternalServerError = {
      status      = 500
      description = "API Gateway couldn't serve the request."
      title       = "Internal Server Error"
      detail      = "The request could not be served."
      members     = {}
      headers     = ["Retry-After"]
    }
    NotImplemented = {
      status      = 501
      description = <<-EOT
        A header holds a condition, such as If-Match, or another method. Readplane supports neither on a write, and
        `parameter` names the header.
      EOT
      title       = "Not Implemented"
      detail      = "Writes take no conditions."
      members     = { parameter = "If-Match" }
      headers     = []
    }
    BadGateway = {
      status      = 502
      description = "API Gateway got no usable response from what serves the request."
      title       = "Bad Gateway"
      detail      = "The request could not be served now."
      members     = {}
      headers     = []
    }
    Unavailable = {
      status      = 503
      description = "What serves the request doesn't respond now, or has no capacity left."
      title       = "Service Unavailable"
      detail      = "The request could not be served now."
      members     = {}
      headers     = ["Retry-After"]
    }
    GatewayTimeout = {
      status      = 504
      description = "API Gateway got no response in time."
      title       = "Gateway Timeout"
      detail      = "The answer took too long."
      members     = {}
      headers     = ["Retry-After"]
    }
  }

  fault_of_example = { code = "required", pointer = "", detail = "The schema requires \"name\" here." }

  # The server errors of writes. Any of them may come after the write log has stored the change. Only the 503 of `write`
  # has the members change_id and outcome.
  unconfirmed_writes = { for name in local.server_errors : "${name}OnWrite" => merge(local.common_errors[name], {
    description = join(" ", [
      local.common_errors[name].description,
      "It is unknown whether Readplane accepted the write, unless `outcome` is `not_accepted`.",
      "Send the request again. A POST needs its Idempotency-Key for that.",
    ])
    detail  = name == "Unavailable" ? local.unconfirmed_example.detail : local.common_errors[name].detail
    members = name == "Unavailable" ? local.unconfirmed_example.members : {}
  }) }
  unconfirmed_example = {
    detail  = "It is unknown if the write was accepted. Send it again, a POST only with its Idempotency-Key."
    members = { change_id = "01a2b3c4-d5e6-7f80-9123-456789abcdef", outcome = "unknown" }
  }

  header_components = { "Retry-After" = "RetryAfter", "WWW-Authenticate" = "WWWAuthenticate" }

  error_headers = { for name, error in local.errors : name => {
    for header in error.headers : header => { "$ref" = "#/components/headers/${local.header_components[header]}" }
  } }
  error_examples = { for name, error in local.errors : name => merge({
    type       = "about:blank"
    title      = error.title
    status     = error.status
    detail     = error.detail
    request_id = "Dk3ExGZIFiAFYNA="
  }, error.members) }

  error_responses = { for name, error in local.errors : name => {
    for member, value in {
      description = trimspace(replace(error.description, "\n", " "))
      headers     = local.error_headers[name]
      content = { "application/problem+json" = {
        schema  = { "$ref" = "#/components/schemas/Problem" }
        example = local.error_examples[name]
      } }
    } : member => value if length(value) > 0
  } }

  success_responses = {
    Accepted = {
      description = "The change is durable. Location leads to its status."
      headers = {
        Location = { "$ref" = "#/components/headers/Location" }
        Vary     = { "$ref" = "#/components/headers/Vary" }
      }
      content = { "application/json" = { schema = { "$ref" = "#/components/schemas/Accepted" } } }
    }
    NotModified = {
      description = "The caller has the current response already."
      headers = {
        "Cache-Control" = { "$ref" = "#/components/headers/CacheControl" }
        ETag            = { "$ref" = "#/components/headers/ETag" }
        Vary            = { "$ref" = "#/components/headers/Vary" }
      }
    }
  }

  responses = merge(local.success_responses, local.error_responses)

  # The ways in which callers say who they are. OpenAPI has no scopes for bearer tokens, so the
  # descriptions of the operations name the scopes.
  security_schemes = {
    cognito = {
      type         = "http"
      scheme       = "bearer"
      bearerFormat = "JWT"
      description  = <<-EOT
        An access token of one of the stack's clients. An ID token gets 401. A client gets the token by the code flow
        with PKCE or by SRP; a token from SRP has only the scope `aws.cognito.signin.user.admin`.
      EOT
    }
    apiKey = {
      type        = "apiKey"
      in          = "header"
      name        = "X-Api-Key"
      description = "The API key of the backend that the request calls."
    }
  }
}
