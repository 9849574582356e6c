# Tests of module contract: the public OpenAPI document of the API. tests/local/test_openapi.py tests the document of a
# whole stack. Module tests/contract takes a document apart.

variables {
  title   = "shop HTTP API"
  servers = [{ url = "https://a1.execute-api.eu-central-1.amazonaws.com/v1", description = "Region eu-central-1" }]

  routes = {
    "GET /health"        = { operation = "health" }
    "GET /items/a-notes" = { operation = "list_items", subject = "a-notes", cache = { ttl = 60 } }
    "GET /items/a-notes/{item_id}" = {
      operation = "read_item"
      subject   = "a-notes"
      cache     = { ttl = 60 }
    }
    "GET /documents/a-notes/{item_id}" = {
      operation = "read_document"
      subject   = "a-notes"
      document  = { key = "public/documents/a-notes/{item_id}" }
      cache     = { ttl = 60 }
    }
    "GET /items/a-notes/{item_id}/changes/{change_id}" = {
      operation = "read_change"
      subject   = "a-notes"
    }
    "GET /items/profiles" = {
      operation = "list_items"
      subject   = "profiles"
      scopes    = ["shop/read", "aws.cognito.signin.user.admin"]
      throttle  = { rate = 5, burst = 10 }
    }
    "GET /items/profiles/{item_id}" = {
      operation = "read_item"
      subject   = "profiles"
      scopes    = ["shop/read"]
    }
    "GET /documents/profiles/{item_id}" = {
      operation = "read_document"
      subject   = "profiles"
      scopes    = ["shop/read"]
      document  = { key = "owner/documents/profiles/{sub}/{item_id}" }
    }
    "GET /items/profiles/{item_id}/changes/{change_id}" = {
      operation = "read_change"
      subject   = "profiles"
      scopes    = ["shop/read"]
    }
    "POST /items/profiles" = {
      operation = "create_item"
      subject   = "profiles"
      scopes    = ["shop/write"]
    }
    "PUT /items/profiles/{item_id}" = {
      operation = "replace_item"
      subject   = "profiles"
      scopes    = ["shop/write"]
    }
    "DELETE /items/profiles/{item_id}" = {
      operation = "delete_item"
      subject   = "profiles"
      scopes    = ["shop/write"]
    }
    "GET /sources/crm" = { operation = "read_source", subject = "crm" }
    "GET /documents/sources/crm" = {
      operation = "read_source_document"
      subject   = "crm"
    }
    "GET /backends/erp/{proxy+}" = {
      operation = "call_backend"
      subject   = "erp"
      api_key   = true
      cache     = { ttl = 30 }
    }
    "POST /backends/erp/{proxy+}" = {
      operation = "call_backend"
      subject   = "erp"
      api_key   = true
      scopes    = ["shop/write"]
    }
    "HEAD /backends/erp/{proxy+}" = {
      operation = "call_backend"
      subject   = "erp"
      api_key   = true
    }
  }

  collections = {
    "a-notes" = { read = "public", write_groups = [], schema = null }
    profiles  = { read = "owner", write_groups = [], schema = jsonencode({ minProperties = 1 }) }
  }

  sources = { crm = { collection = "a-notes", staleness_budget = 90, mode = "changes" } }

  backends = { erp = {
    timeout_ms      = 3000
    throttle        = { rate = 20, burst = 40 }
    quota           = { limit = 1000, period = "DAY" }
    forward_headers = ["cookie"]
    cache           = { cache_query_parameters = ["q"] }
  } }

  cors_origins = ["https://shop.example.com"]
  throttle     = { rate = 500, burst = 1000 }
}

run "one_route_of_each_kind" {
  command = plan

  module {
    source = "./modules/contract"
  }

  assert {
    condition     = !strcontains(output.openapi, "x-amazon")
    error_message = "The contract has no extensions of AWS."
  }
}

run "operations" {
  command = plan

  module {
    source = "./tests/contract"
  }

  variables {
    openapi = run.one_route_of_each_kind.openapi
    expected = {
      health = {
        route      = "GET /health"
        tag        = "health"
        security   = ""
        parameters = ""
        body       = ""
        success    = "Health"
        statuses   = "200 415 429"
      }
      listANotes = {
        route      = "GET /items/a-notes"
        tag        = "a-notes"
        security   = ""
        parameters = "Limit Cursor"
        body       = ""
        success    = "ANotesPage"
        statuses   = "200 400 403 429 500 502 503 504"
      }
      readANotesItem = {
        route      = "GET /items/a-notes/{item_id}"
        tag        = "a-notes"
        security   = ""
        parameters = "ItemId MinVersion"
        body       = ""
        success    = "ANotesItem"
        statuses   = "200 400 403 404 409 429 500 502 503 504"
      }
      readANotesDocument = {
        route      = "GET /documents/a-notes/{item_id}"
        tag        = "a-notes"
        security   = ""
        parameters = "ItemId"
        body       = ""
        success    = "ANotesItem"
        statuses   = "200 400 403 404 415 429 500 502 503 504"
      }
      readANotesChange = {
        route      = "GET /items/a-notes/{item_id}/changes/{change_id}"
        tag        = "a-notes"
        security   = ""
        parameters = "ItemId ChangeId"
        body       = ""
        success    = "ChangeStatus"
        statuses   = "200 400 403 404 429 500 502 503 504"
      }
      listProfiles = {
        route      = "GET /items/profiles"
        tag        = "profiles"
        security   = "cognito"
        parameters = "Limit Cursor"
        body       = ""
        success    = "ProfilesPage"
        statuses   = "200 400 401 403 429 500 502 503 504"
      }
      readProfilesItem = {
        route      = "GET /items/profiles/{item_id}"
        tag        = "profiles"
        security   = "cognito"
        parameters = "ItemId MinVersion IfNoneMatch"
        body       = ""
        success    = "ProfilesItem"
        statuses   = "200 304 400 401 403 404 409 429 500 502 503 504"
      }
      readProfilesDocument = {
        route      = "GET /documents/profiles/{item_id}"
        tag        = "profiles"
        security   = "cognito"
        parameters = "ItemId IfNoneMatch"
        body       = ""
        success    = "ProfilesItem"
        statuses   = "200 304 400 401 403 404 415 429 500 502 503 504"
      }
      readProfilesChange = {
        route      = "GET /items/profiles/{item_id}/changes/{change_id}"
        tag        = "profiles"
        security   = "cognito"
        parameters = "ItemId ChangeId"
        body       = ""
        success    = "ChangeStatus"
        statuses   = "200 400 401 403 404 429 500 502 503 504"
      }
      createProfilesItem = {
        route      = "POST /items/profiles"
        tag        = "profiles"
        security   = "cognito"
        parameters = "IdempotencyKey MinVersion"
        body       = "ProfilesData"
        success    = "Accepted"
        statuses   = "202 400 401 403 413 415 422 429 500 501 502 503 504"
      }
      replaceProfilesItem = {
        route      = "PUT /items/profiles/{item_id}"
        tag        = "profiles"
        security   = "cognito"
        parameters = "ItemId MinVersion"
        body       = "ProfilesData"
        success    = "Accepted"
        statuses   = "202 400 401 403 413 415 429 500 501 502 503 504"
      }
      deleteProfilesItem = {
        route      = "DELETE /items/profiles/{item_id}"
        tag        = "profiles"
        security   = "cognito"
        parameters = "ItemId MinVersion"
        body       = ""
        success    = "Accepted"
        statuses   = "202 400 401 403 415 429 500 501 502 503 504"
      }
      readCrmSource = {
        route      = "GET /sources/crm"
        tag        = "a-notes"
        security   = ""
        parameters = ""
        body       = ""
        success    = "Freshness"
        statuses   = "200 400 403 404 429 500 502 503 504"
      }
      readCrmSourceDocument = {
        route      = "GET /documents/sources/crm"
        tag        = "a-notes"
        security   = ""
        parameters = "IfNoneMatch"
        body       = ""
        success    = "FreshnessDocument"
        statuses   = "200 304 400 403 404 429 500 502 503 504"
      }
      getErpBackend = {
        route      = "GET /backends/erp/{proxy}"
        tag        = "erp"
        security   = "apiKey"
        parameters = "Proxy query.q"
        body       = ""
        success    = "*/*"
        statuses   = "200 401 403 415 429 500 502 503 504 default"
      }
      postErpBackend = {
        route      = "POST /backends/erp/{proxy}"
        tag        = "erp"
        security   = "apiKey cognito"
        parameters = "Proxy"
        body       = "*/*"
        success    = "*/*"
        statuses   = "200 401 403 429 500 502 503 504 default"
      }
      headErpBackend = {
        route      = "HEAD /backends/erp/{proxy}"
        tag        = "erp"
        security   = "apiKey"
        parameters = "Proxy"
        body       = ""
        success    = ""
        statuses   = "200 401 403 429 500 502 503 504 default"
      }
    }
  }

  assert {
    condition     = output.document.openapi == "3.1.0" && output.document.servers == var.servers
    error_message = "The output is an OpenAPI 3.1 document with the given servers."
  }

  assert {
    condition     = sort(keys(output.routes)) == sort([for route in keys(var.routes) : replace(route, "+}", "}")])
    error_message = "Every route has one operation, and every operation has a route."
  }

  assert {
    condition     = output.summaries == var.expected
    error_message = "Each kind of operation has its id, security, parameters and responses."
  }

  assert {
    condition     = length(output.summaries) == length(output.routes) && length(output.lost_references) == 0
    error_message = "No two operations share an id, and every reference leads to a component."
  }
}

# Operations in full.
run "whole_operations" {
  command = plan

  module {
    source = "./tests/contract"
  }

  variables {
    openapi = run.one_route_of_each_kind.openapi
    expected = {
      readANotesItem = {
        route       = "GET /items/a-notes/{item_id}"
        operationId = "readANotesItem"
        tags        = ["a-notes"]
        summary     = "Read an item of `a-notes`."
        description = join(" ", [
          "API Gateway caches a response for 60 seconds, errors included.",
          "The response depends only on the path and on the query parameters that are listed here.",
          "Any other query parameter and any header but the token's is ignored.",
          "Needs no token.",
          "The rate limit for all callers together is 500 per second, burst 1000.",
        ])
        security   = []
        parameters = [for name in ["ItemId", "MinVersion"] : { "$ref" = "#/components/parameters/${name}" }]
        responses = {
          "200" = {
            description = "The item. Its ETag is its version in quotes."
            headers = {
              "Cache-Control"     = { "$ref" = "#/components/headers/CacheControl" }
              ETag                = { "$ref" = "#/components/headers/ETag" }
              "Readplane-Stale"   = { "$ref" = "#/components/headers/Stale" }
              "Readplane-Version" = { "$ref" = "#/components/headers/Version" }
            }
            content = { "application/json" = { schema = { "$ref" = "#/components/schemas/ANotesItem" } } }
          }
          "400" = { "$ref" = "#/components/responses/BadRequest" }
          "403" = { "$ref" = "#/components/responses/Forbidden" }
          "404" = { "$ref" = "#/components/responses/NotFound" }
          "409" = { "$ref" = "#/components/responses/Conflict" }
          "429" = { "$ref" = "#/components/responses/TooManyRequests" }
          "500" = { "$ref" = "#/components/responses/InternalServerError" }
          "502" = { "$ref" = "#/components/responses/BadGateway" }
          "503" = { "$ref" = "#/components/responses/Unavailable" }
          "504" = { "$ref" = "#/components/responses/GatewayTimeout" }
        }
      }
      createProfilesItem = {
        route       = "POST /items/profiles"
        operationId = "createProfilesItem"
        tags        = ["profiles"]
        summary     = "Create an item of `profiles` under an id that Readplane chooses."
        description = join(" ", [
          "Callers write only their own items.",
          "Send an Idempotency-Key, so that a retry creates no second item.",
          "A request with both an Idempotency-Key and min_version gets 400.",
          "Needs an access token with one of the scopes `shop/write`.",
          "The rate limit for all callers together is 500 per second, burst 1000.",
        ])
        security   = [{ cognito = [] }]
        parameters = [for name in ["IdempotencyKey", "MinVersion"] : { "$ref" = "#/components/parameters/${name}" }]
        requestBody = {
          required = true
          description = join(" ", [
            "One JSON object of at most 256 KiB and 100 levels, without duplicate names.",
            "Readplane returns it digit for digit.\n",
          ])
          content = { "application/json" = { schema = { "$ref" = "#/components/schemas/ProfilesData" } } }
        }
        responses = {
          "202" = { "$ref" = "#/components/responses/Accepted" }
          "400" = { "$ref" = "#/components/responses/BadRequest" }
          "401" = { "$ref" = "#/components/responses/Unauthorized" }
          "403" = { "$ref" = "#/components/responses/Forbidden" }
          "413" = { "$ref" = "#/components/responses/TooLarge" }
          "415" = { "$ref" = "#/components/responses/UnsupportedMediaType" }
          "422" = { "$ref" = "#/components/responses/UnprocessableContent" }
          "429" = { "$ref" = "#/components/responses/TooManyRequests" }
          "500" = { "$ref" = "#/components/responses/InternalServerErrorOnWrite" }
          "501" = { "$ref" = "#/components/responses/NotImplemented" }
          "502" = { "$ref" = "#/components/responses/BadGatewayOnWrite" }
          "503" = { "$ref" = "#/components/responses/UnavailableOnWrite" }
          "504" = { "$ref" = "#/components/responses/GatewayTimeoutOnWrite" }
        }
      }
      getErpBackend = {
        route       = "GET /backends/erp/{proxy}"
        operationId = "getErpBackend"
        tags        = ["erp"]
        summary     = "Pass a GET through to the back office `erp`."
        description = join(" ", [
          "API Gateway waits 3000 ms for the back office.",
          "API Gateway caches a response for 30 seconds, errors included.",
          "Only the path and the query parameters that are listed here reach the back office.",
          "No header and no body does.",
          "API Gateway passes the common statuses and headers on, and responds 502 in place of any other status.",
          "The key may send 1000 requests per day.",
          "Needs the API key of this backend.",
          "The rate limit for all callers together is 500 per second, burst 1000.",
        ])
        security = [{ apiKey = [] }]
        parameters = [
          { "$ref" = "#/components/parameters/Proxy" },
          { name = "q", in = "query", description = "Part of the cache key.", schema = { type = "string" } },
        ]
        responses = {
          "200"   = { description = "What the back office responds.", content = { "*/*" = { schema = {} } } }
          "401"   = { "$ref" = "#/components/responses/Unauthorized" }
          "403"   = { "$ref" = "#/components/responses/Forbidden" }
          "415"   = { "$ref" = "#/components/responses/UnsupportedMediaType" }
          "429"   = { "$ref" = "#/components/responses/TooManyRequests" }
          "500"   = { "$ref" = "#/components/responses/InternalServerError" }
          "502"   = { "$ref" = "#/components/responses/BadGateway" }
          "503"   = { "$ref" = "#/components/responses/Unavailable" }
          "504"   = { "$ref" = "#/components/responses/GatewayTimeout" }
          default = { description = "Any other response of the back office." }
        }
      }
      passed_on_of_head = join(" ", [
        "Query parameters and headers pass unchanged, except Accept-Encoding, Authorization, Proxy-Authorization,",
        "X-Api-Key.",
      ])
    }
  }

  assert {
    condition     = jsonencode(output.operations.readANotesItem) == jsonencode(var.expected.readANotesItem)
    error_message = "A GET names who may call it, its cache, its rate, and the headers of the response."
  }

  assert {
    condition     = jsonencode(output.operations.createProfilesItem) == jsonencode(var.expected.createProfilesItem)
    error_message = "A write names who may call it, its body, and what an unconfirmed write means."
  }

  assert {
    condition     = jsonencode(output.operations.getErpBackend) == jsonencode(var.expected.getErpBackend)
    error_message = "A backend's cached GET names its timeout, its quota, and what the back office gets."
  }

  assert {
    condition     = strcontains(output.operations.headErpBackend.description, var.expected.passed_on_of_head)
    error_message = "A backend's other operations name the headers that the back office doesn't get unchanged."
  }
}

# What a client may conclude from a response.
run "responses" {
  command = plan

  module {
    source = "./tests/contract"
  }

  variables {
    openapi = run.one_route_of_each_kind.openapi
    expected = {
      # The operations whose responses belong to one token.
      varying = ["listProfiles", "readProfilesChange", "readProfilesDocument", "readProfilesItem"]
      # The responses to a write after which nobody knows whether Readplane accepted it.
      unknown = [
        "BadGatewayOnWrite 502",
        "GatewayTimeoutOnWrite 504",
        "InternalServerErrorOnWrite 500",
        "UnavailableOnWrite 503",
      ]
      min_version = {
        name    = "min_version"
        in      = "query"
        style   = "form"
        explode = false
        schema = {
          type     = "array"
          minItems = 1
          maxItems = 20
          items    = { "$ref" = "#/components/schemas/Version" }
        }
      }
      problem = "change_id code detail errors outcome parameter pointer request_id status title type"
      fault   = "code detail pointer"
    }
  }

  assert {
    condition     = join(" ", sort(output.varying)) == join(" ", var.expected.varying)
    error_message = "Responses that need a token name the header Vary, so that a cache gives them to nobody else."
  }

  assert {
    condition     = join(", ", sort(output.unknown)) == join(", ", var.expected.unknown)
    error_message = "Every server error of a write says that the outcome is unknown, and nothing else says so."
  }

  assert {
    condition     = jsonencode(output.min_version) == jsonencode(var.expected.min_version)
    error_message = "min_version is one query parameter of at most 20 versions with commas between them."
  }

  assert {
    condition     = join(" ", keys(output.document.components.schemas.Problem.properties)) == var.expected.problem
    error_message = "The schema of problem documents names every member."
  }

  assert {
    condition     = join(" ", keys(output.document.components.schemas.Fault.properties)) == var.expected.fault
    error_message = "Each fault of a body has a code, a detail and a pointer."
  }

  assert {
    condition     = output.document.components.headers.Location.schema.format == "uri-reference"
    error_message = "Location is relative to the URL of the request."
  }

  assert {
    condition     = !strcontains(var.openapi, "Readplane-Min-Version")
    error_message = "The versions are a query parameter and no header."
  }
}

run "components" {
  command = plan

  module {
    source = "./tests/contract"
  }

  variables {
    openapi = run.one_route_of_each_kind.openapi
    expected = {
      item = {
        type        = "object"
        description = "An item of the collection `profiles`."
        required    = ["id", "collection", "version", "as_of", "data"]
        properties = {
          id         = { type = "string" }
          collection = { type = "string", const = "profiles" }
          version    = { "$ref" = "#/components/schemas/Version" }
          as_of      = { type = "string", format = "date-time", description = "The time of the item's last change." }
          data       = { "$ref" = "#/components/schemas/ProfilesData" }
        }
      }
      page = {
        type        = "object"
        description = "A page of items of the collection `profiles`."
        required    = ["items", "next"]
        properties = {
          items = { type = "array", items = { "$ref" = "#/components/schemas/ProfilesItem" } }
          next  = { type = ["string", "null"], description = "The cursor of the next page; null on the last page." }
        }
      }
      data = { description = "The data of an item of the collection `profiles`.", minProperties = 1 }
      any = {
        description          = "The data of an item of the collection `a-notes`."
        type                 = "object"
        additionalProperties = true
      }
      problems = {
        BadGateway           = 502
        BadRequest           = 400
        Conflict             = 409
        Forbidden            = 403
        GatewayTimeout       = 504
        InternalServerError  = 500
        NotFound             = 404
        NotImplemented       = 501
        TooLarge             = 413
        TooManyRequests      = 429
        Unauthorized         = 401
        Unavailable          = 503
        UnprocessableContent = 422
        UnsupportedMediaType = 415

        BadGatewayOnWrite          = 502
        GatewayTimeoutOnWrite      = 504
        InternalServerErrorOnWrite = 500
        UnavailableOnWrite         = 503
      }
    }
  }

  assert {
    condition     = jsonencode(output.document.components.schemas.ProfilesItem) == jsonencode(var.expected.item)
    error_message = "Each collection has a schema of its items."
  }

  assert {
    condition     = jsonencode(output.document.components.schemas.ProfilesPage) == jsonencode(var.expected.page)
    error_message = "Each collection has a schema of its pages."
  }

  assert {
    condition     = jsonencode(output.document.components.schemas.ProfilesData) == jsonencode(var.expected.data)
    error_message = "The data of a collection has the collection's JSON Schema."
  }

  assert {
    condition     = jsonencode(output.document.components.schemas.ANotesData) == jsonencode(var.expected.any)
    error_message = "The data of a collection without a schema is any JSON object."
  }

  assert {
    condition     = output.problems == var.expected.problems
    error_message = "Every error is a problem document, and has an example."
  }

  assert {
    condition     = join(" ", values(output.document.components.securitySchemes)[*].type) == "apiKey http"
    error_message = "Tokens and API keys are security schemes."
  }

  assert {
    condition     = join(" ", output.document.tags[*].name) == "a-notes erp health profiles"
    error_message = "There is a tag for each collection and backend, and one for health."
  }

  assert {
    condition     = endswith(output.document.info.description, "can call this API: `https://shop.example.com`.")
    error_message = "The document names the web origins whose scripts can call the API."
  }
}

# With an item cache, `read` says what the cache did: for items, and for the documents that don't come from S3.
run "cached_items" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    cached_collections = ["a-notes", "retired"]
    routes = {
      "GET /items/a-notes"               = { operation = "list_items", subject = "a-notes" }
      "GET /items/a-notes/{item_id}"     = { operation = "read_item", subject = "a-notes", cache = { ttl = 60 } }
      "GET /documents/a-notes/{item_id}" = { operation = "read_document", subject = "a-notes" }
      "GET /items/profiles/{item_id}"    = { operation = "read_item", subject = "profiles" }
    }
  }
}

run "cache_status" {
  command = plan

  module {
    source = "./tests/contract"
  }

  variables {
    openapi = run.cached_items.openapi
  }

  assert {
    condition     = join(" ", sort(output.reporting)) == "readANotesDocument readANotesItem"
    error_message = "Items and documents of a cached collection have the header Cache-Status, and nothing else has it."
  }

  assert {
    condition     = length(output.lost_references) == 0
    error_message = "The header is a component."
  }
}

run "documents_from_s3" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    cached_collections = ["a-notes", "profiles"]
  }
}

run "cache_status_of_documents_from_s3" {
  command = plan

  module {
    source = "./tests/contract"
  }

  variables {
    openapi = run.documents_from_s3.openapi
  }

  assert {
    condition     = join(" ", sort(output.reporting)) == "readANotesItem readProfilesItem"
    error_message = "A document from S3 has no header Cache-Status, because S3 knows nothing of the cache."
  }
}

# A contract says no more than its stack has.
run "smallest" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    routes       = { "GET /health" = { operation = "health" } }
    sources      = {}
    backends     = {}
    cors_origins = []
  }

  assert {
    condition     = join(" ", keys(jsondecode(output.openapi).components)) == "headers responses schemas"
    error_message = "Without parameters and security schemes, the contract doesn't have these components."
  }

  assert {
    condition     = length(regexall("ChangeStatus|Freshness|Accepted|Unauthorized", output.openapi)) == 0
    error_message = "Components to which nothing refers are left out."
  }

  assert {
    condition     = strcontains(output.openapi, "Scripts of other web origins can't call this API.")
    error_message = "The document says that no script of another web origin can call the API."
  }
}

# --- Names

run "names" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    routes = {
      "GET /items/iso-countries"                = { operation = "list_items", subject = "iso-countries" }
      "GET /items/a-1"                          = { operation = "list_items", subject = "a-1" }
      "GET /items/a1"                           = { operation = "list_items", subject = "a1" }
      "GET /documents/crm-source/{item_id}"     = { operation = "read_document", subject = "crm-source" }
      "GET /documents/sources/crm"              = { operation = "read_source_document", subject = "crm" }
      "GET /backends/health/{proxy+}"           = { operation = "call_backend", subject = "health" }
      "GET /backends/iso-countries/{proxy+}"    = { operation = "call_backend", subject = "iso-countries" }
      "DELETE /backends/iso-countries/{proxy+}" = { operation = "call_backend", subject = "iso-countries" }
      "DELETE /items/iso-countries/{item_id}"   = { operation = "delete_item", subject = "iso-countries" }
    }
    collections = { for name in ["iso-countries", "a-1", "a1", "crm-source"] : name => {
      read         = "public"
      write_groups = ["editors"]
    } }
    sources = { crm = { collection = "a1", staleness_budget = 90, mode = "snapshot" } }
    backends = { for name in ["health", "iso-countries"] : name => {
      timeout_ms = 3000
      throttle   = { rate = 20, burst = 40 }
    } }
  }
}

run "unique_names" {
  command = plan

  module {
    source = "./tests/contract"
  }

  variables {
    openapi = run.names.openapi
    expected = {
      "GET /items/iso-countries"               = "listIsoCountries"
      "GET /items/a-1"                         = "listA1Xfb85ef"
      "GET /items/a1"                          = "listA1X60c681"
      "GET /documents/crm-source/{item_id}"    = "readCrmSourceX09dbe3Document"
      "GET /documents/sources/crm"             = "readCrmSourceX0e682fDocument"
      "GET /backends/health/{proxy}"           = "getHealthBackend"
      "GET /backends/iso-countries/{proxy}"    = "getIsoCountriesBackend"
      "DELETE /backends/iso-countries/{proxy}" = "deleteIsoCountriesBackend"
      "DELETE /items/iso-countries/{item_id}"  = "deleteIsoCountriesItem"
    }
  }

  assert {
    condition     = output.routes == var.expected
    error_message = "Names that would give the same ids get part of a hash. All others have none."
  }

  assert {
    condition     = length(output.operations) == length(output.routes) && length(output.lost_references) == 0
    error_message = "No two operations share an id, and every reference leads to a component."
  }

  assert {
    condition     = length(output.alike_tags) == 0
    error_message = "No two tags differ only in case and hyphens, because generators make a class of each."
  }

  assert {
    condition     = endswith(output.document.components.schemas.A1X60c681Data.description, "`a1`.")
    error_message = "The schemas of a collection have its name in operation ids."
  }
}

# --- JSON Schemas of the drafts 4 to 7

run "drafts" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    routes = { for name in ["draft-4", "draft-7", "nested"] : "GET /items/${name}" => {
      operation = "list_items"
      subject   = name
    } }
    sources  = {}
    backends = {}
    collections = {
      draft-4 = { read = "public", write_groups = [], schema = jsonencode({
        "$schema" = "http://json-schema.org/draft-04/schema#"
        id        = "http://example.com/draft-4"
        type      = "object"
        properties = {
          id    = { type = "string" }
          above = { minimum = 1, exclusiveMinimum = true }
          upTo  = { maximum = 9, exclusiveMaximum = false }
          list  = { type = "array" }
          mixed = { type = ["object", "array"], maxItems = 3 }
          pair  = { type = "array", items = [{ type = "string" }, { type = "integer" }], additionalItems = false }
          rest  = { type = "array", items = [{ type = "string" }], additionalItems = { type = "integer" } }
          items = { enum = [{ items = [1] }] }
        }
        dependencies = { above = ["upTo"], list = { required = ["pair"] } }
      }) }
      draft-7 = { read = "public", write_groups = [], schema = jsonencode({
        "$schema"         = "http://json-schema.org/draft-07/schema#"
        "$id"             = "http://example.com/draft-7"
        "$ref"            = "#/definitions/node"
        dependentRequired = { a = ["b"] }
        definitions = {
          node = {
            type = "object"
            properties = {
              children = { type = "array", items = { "$ref" = "#/definitions/node", description = "ignored" } }
              root     = { "$ref" = "#" }
              text     = { "$ref" = "#/$defs/text" }
              same     = { "$ref" = "#/definitions/node/properties/text" }
              any      = { "$ref" = "#/definitions/any" }
            }
            unevaluatedProperties = false
          }
          any = true
        }
        "$defs" = { text = { type = "string", pattern = "\"$ref\":\"#\"" } }
      }) }
      nested = { read = "public", write_groups = [], schema = jsonencode({
        type = ["object", "array"]
        allOf = [{ not = { properties = { a = { items = { oneOf = [{ items = { contains = { propertyNames = {
          additionalProperties = { allOf = [{ type = "array" }, { pattern = "a" }] }
        } } } }] } } } } }]
      }) }
    }
  }
}

run "converted_drafts" {
  command = plan

  module {
    source = "./tests/contract"
  }

  variables {
    openapi = run.drafts.openapi
    expected = {
      draft_4 = {
        description = "The data of an item of the collection `draft-4`."
        type        = "object"
        properties = {
          id    = { type = "string" }
          above = { exclusiveMinimum = 1 }
          upTo  = { maximum = 9 }
          list  = { type = "array", items = {} }
          mixed = { anyOf = [{ type = "object" }, { type = "array", items = {} }], maxItems = 3 }
          pair  = { type = "array", prefixItems = [{ type = "string" }, { type = "integer" }], items = { not = {} } }
          rest  = { type = "array", prefixItems = [{ type = "string" }], items = { type = "integer" } }
          items = { enum = [{ items = [1] }] }
        }
        dependentRequired = { above = ["upTo"] }
        dependentSchemas  = { list = { required = ["pair"] } }
      }
      draft_7 = {
        Draft7Data = { "$ref" = "#/components/schemas/Draft7Data_node" }
        Draft7Data_node = {
          type = "object"
          properties = {
            children = { type = "array", items = { "$ref" = "#/components/schemas/Draft7Data_node" } }
            root     = { "$ref" = "#/components/schemas/Draft7Data" }
            text     = { "$ref" = "#/components/schemas/Draft7Data_text" }
            same     = { "$ref" = "#/components/schemas/Draft7Data_node/properties/text" }
            any      = { "$ref" = "#/components/schemas/Draft7Data_any" }
          }
        }
        Draft7Data_any  = {}
        Draft7Data_text = { type = "string", pattern = "\"$ref\":\"#\"" }
      }
      nested = [
        { not = { properties = { a = { items = { oneOf = [{ items = { contains = { propertyNames = {
          additionalProperties = { allOf = [{}, { pattern = "a" }] }
        } } } }] } } } } }
      ]
    }
  }

  assert {
    condition     = jsonencode(output.document.components.schemas.Draft4Data) == jsonencode(var.expected.draft_4)
    error_message = "What an older draft writes in another way than OpenAPI is rewritten. Values of an enum stay."
  }

  assert {
    condition = alltrue([for name, schema in var.expected.draft_7 : (
      jsonencode(output.document.components.schemas[name]) == jsonencode(schema)
    )])
    error_message = "Definitions are schemas of the contract, and references lead to them. Newer keywords mean nothing."
  }

  assert {
    condition     = jsonencode(output.document.components.schemas.NestedData.allOf) == jsonencode(var.expected.nested)
    error_message = "Below the tenth level, the contract allows anything in place of a part that has to change."
  }

  assert {
    condition     = !can(output.document.components.schemas.NestedData.type)
    error_message = "At the root, the contract allows any type in place of both objects and arrays."
  }
}

# --- Refusals

run "no_servers" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    servers = []
  }

  expect_failures = [var.servers]
}

run "unknown_operation" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    routes = { "GET /items/profiles" = { operation = "get_items", subject = "profiles" } }
  }

  expect_failures = [var.routes]
}

run "unknown_subject" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    routes = { "GET /items/prices" = { operation = "list_items", subject = "prices" } }
  }

  expect_failures = [var.routes]
}

run "definition_without_a_name_of_its_own" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    collections = {
      "a-notes" = { read = "public", write_groups = [] }
      profiles = { read = "owner", write_groups = [], schema = jsonencode({
        definitions = { "List<string>" = { type = "array" } }
      }) }
    }
  }

  expect_failures = [output.openapi]
}

run "reference_to_nothing" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    collections = {
      "a-notes" = { read = "public", write_groups = [] }
      profiles = { read = "owner", write_groups = [], schema = jsonencode({
        properties = { a = { "$ref" = "#/definitions/missing" } }
      }) }
    }
  }

  expect_failures = [output.openapi]
}

run "reference_to_another_host" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    collections = {
      "a-notes" = { read = "public", write_groups = [] }
      profiles = { read = "owner", write_groups = [], schema = jsonencode({
        properties = { a = { "$ref" = "https://example.com/schema.json" } }
      }) }
    }
  }

  expect_failures = [output.openapi]
}

run "relational_lists" {
  command = plan

  module {
    source = "./modules/contract"
  }

  variables {
    routes = {
      "GET /items/a-notes"  = { operation = "list_items", subject = "a-notes", cache = { ttl = 60 } }
      "GET /items/profiles" = { operation = "list_items", subject = "profiles", scopes = ["shop/read"] }
      "GET /items/plain"    = { operation = "list_items", subject = "plain" }
    }
    collections = {
      "a-notes" = {
        read         = "public"
        write_groups = []
        relational = {
          fields = { price = { type = "number" }, sold_at = { type = "time" } }
          sort   = ["price"]
        }
      }
      profiles = {
        read         = "owner"
        write_groups = []
        relational   = { fields = {}, sort = [], search = { language = "simple" } }
      }
      plain = { read = "public", write_groups = [] }
    }
    sources  = {}
    backends = {}

    parameters = {
      "/items/a-notes"  = ["Limit", "Cursor", "filter", "sort"]
      "/items/profiles" = ["Limit", "Cursor", "q"]
      "/items/plain"    = ["Limit", "Cursor"]
    }
    sentences = ["Without `sort`", "`filter` or `sort` comes from a database", "gets a 503"]
  }

  assert {
    condition = var.parameters == { for path, item in jsondecode(output.openapi).paths :
      path => [for p in item.get.parameters : try(p.name, basename(p["$ref"]))]
    }
    error_message = "A list has the parameters that its collection declares."
  }

  assert {
    condition = ["price", "-price"] == one([
      for p in jsondecode(output.openapi).paths["/items/a-notes"].get.parameters : p.schema.enum if can(p.schema.enum)
    ])
    error_message = "sort names a field in either direction."
  }

  assert {
    condition = ["price:eq:10"] == [
      for each in jsondecode(output.openapi).paths["/items/a-notes"].get.parameters : each.example
      if can(each.example)
    ]
    error_message = "The example of filter has the syntax of a condition."
  }

  assert {
    condition = alltrue([
      for text in var.sentences :
      strcontains(jsondecode(output.openapi).paths["/items/a-notes"].get.description, text)
    ])
    error_message = "The contract says what is different about a list from the database."
  }

  assert {
    condition     = !strcontains(jsondecode(output.openapi).paths["/items/plain"].get.description, "database")
    error_message = "Other lists stay as they are."
  }
}
