# Tests of back offices that clients reach through API Gateway: what module api creates for them, and which mistakes it
# refuses. validations_backends.tftest.hcl tests which settings module readplane refuses.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name               = "readplane"
  user_pool_arn      = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_AbCdEfGhI"
  throttle           = { rate = 100, burst = 200 }
  log_retention_days = 30
  cache_size         = "0.5"
  cors_origins       = ["https://app.example.com"]

  key_authorizer = {
    invoke_arn    = "arn:aws:apigateway:eu-central-1:lambda:path/readplane-backend_auth:live/invocations"
    function_name = "readplane-backend_auth"
    qualifier     = "live"
  }

  exposed = "'Allow,Cache-Status,ETag,Location,Readplane-Stale,Readplane-Version,Retry-After'"

  usage_plans = {
    crm = {
      key_ids  = { crm = "key001", "crm/shop/b" = "key003" }
      throttle = { rate = 5, burst = 10 }
      quota    = { limit = 1000, period = "WEEK" }
    }
    erp = { key_ids = { erp = "key002" }, throttle = { rate = 1, burst = 1 } }
  }

  routes = {
    "GET /health" = { fixed = { status = 200, body = "{\"status\":\"ok\"}" } }
    "GET /backends/crm/{proxy+}" = {
      backend  = { name = "crm", url = "https://crm.example.com/api/v2", timeout_ms = 1500, forward_headers = [] }
      api_key  = true
      throttle = { rate = 5, burst = 10 }
      cache    = { ttl = 30, key = ["path.proxy", "querystring.page", "querystring.$filter"] }
    }
    "POST /backends/crm/{proxy+}" = {
      backend  = { name = "crm", url = "https://crm.example.com/api/v2", timeout_ms = 1500, forward_headers = [] }
      api_key  = true
      throttle = { rate = 5, burst = 10 }
    }
    "HEAD /backends/erp/{proxy+}" = {
      backend = {
        name            = "erp"
        url             = "http://erp.internal"
        timeout_ms      = 29000
        forward_headers = ["authorization", "X-API-Key"]
        vpc_link_id     = "link01"
      }
      api_key = true
    }
    "GET /backends/staff/{proxy+}" = {
      backend = { name = "staff", url = "https://staff.example.com", timeout_ms = 50, forward_headers = ["Cookie"] }
      scopes  = ["readplane/read"]
    }
    "GET /backends/prices/{proxy+}" = {
      backend = { name = "prices", url = "https://prices.example.com", timeout_ms = 50, forward_headers = [] }
      scopes  = ["readplane/read"]
      cache   = { ttl = 10, key = ["path.proxy"] }
    }
    "GET /backends/both/{proxy+}" = {
      backend = { name = "crm", url = "https://both.example.com", timeout_ms = 50, forward_headers = [] }
      scopes  = ["readplane/read"]
      api_key = true
    }
  }
}

run "everything" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    # What the assertions below expect.
    authorizers = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/authorizers/*"
    permission  = ["lambda:InvokeFunction", "apigateway.amazonaws.com", "readplane-backend_auth", "live"]

    plan_throttles = {
      crm = { rate_limit = 5, burst_limit = 10 }
      erp = { rate_limit = 1, burst_limit = 1 }
    }
    plan_keys = { crm = ["API_KEY", "key001"], "crm/shop/b" = ["API_KEY", "key003"], erp = ["API_KEY", "key002"] }

    method_paths = {
      "GET /backends/crm/{proxy+}"    = "~1backends~1crm~1{proxy+}/GET"
      "GET /backends/prices/{proxy+}" = "~1backends~1prices~1{proxy+}/GET"
      "POST /backends/crm/{proxy+}"   = "~1backends~1crm~1{proxy+}/POST"
    }

    limit_names = ["caching_enabled", "cache_ttl_in_seconds", "throttling_rate_limit", "throttling_burst_limit"]
    limits = {
      "GET /backends/crm/{proxy+}"    = [true, 30, 5, 10]
      "GET /backends/prices/{proxy+}" = [true, 10, 100, 200]
      "POST /backends/crm/{proxy+}"   = [false, 0, 5, 10]
    }

    policy_statements = [
      {
        Sid       = "MethodsDecide"
        Effect    = "Allow"
        Principal = "*"
        Action    = ["execute-api:Invoke"]
        Resource  = ["arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/*"]
      },
      {
        Sid       = "NoWayOutOfABasePath"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["execute-api:Invoke"]
        Resource = [
          "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/*/backends/*..*",
          "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/*/backends/*%2e*",
          "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/*/backends/*%2E*",
          "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/*/backends/*%2f*",
          "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/*/backends/*%2F*",
          "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/*/backends/*%25*",
          "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/*/backends/*%00*",
        ]
      },
    ]
  }

  # --- Who may call a back office

  assert {
    condition     = one(aws_lambda_permission.authorizer[*].source_arn) == var.authorizers
    error_message = "Only the API's authorizer may call the function, whatever id an import gives the authorizer."
  }

  assert {
    condition = [for call in aws_lambda_permission.authorizer :
      [call.action, call.principal, call.function_name, call.qualifier]
    ] == [var.permission]
    error_message = "API Gateway may invoke the live alias of backend_auth, and do nothing else."
  }

  assert {
    condition = { for name, plan in aws_api_gateway_usage_plan.this : name => one(plan.throttle_settings)
    } == var.plan_throttles
    error_message = "Each back office has a usage plan of its own, with its own throttle."
  }

  assert {
    condition     = aws_api_gateway_usage_plan.this["crm"].quota_settings[0].limit == 1000
    error_message = "The usage plan has the quota of its back office."
  }

  assert {
    condition     = aws_api_gateway_usage_plan.this["crm"].quota_settings[0].period == "WEEK"
    error_message = "The quota counts over the period of its back office."
  }

  assert {
    condition     = length(aws_api_gateway_usage_plan.this["erp"].quota_settings) == 0
    error_message = "Without a quota, a back office's usage plan has none."
  }

  assert {
    condition = alltrue([for plan in aws_api_gateway_usage_plan.this :
      one(plan.api_stages).stage == "v1" && one(plan.api_stages).api_id == "a1b2c3d4e5"
    ])
    error_message = "A usage plan applies to this stage of this API."
  }

  assert {
    condition = var.plan_keys == {
      for name, key in aws_api_gateway_usage_plan_key.this : name => [key.key_type, key.key_id]
    }
    error_message = "Each usage plan has the key of its back office."
  }

  # --- Limits and caches

  assert {
    condition = var.method_paths == {
      for key, method in aws_api_gateway_method_settings.route : key => method.method_path
    }
    error_message = "A method's settings have its path with ~1 for every slash."
  }

  assert {
    condition = var.limits == { for key, method in aws_api_gateway_method_settings.route : key => [
      for name in var.limit_names : method.settings[0][name]
    ] }
    error_message = <<-EOT
      A backend's throttle applies to its methods, with or without a key. Only the GET of a cached backend is cached.
    EOT
  }

  # --- Which paths the resource policy refuses

  assert {
    condition     = jsondecode(output.policy).Statement == var.policy_statements
    error_message = "The policy refuses dots and slashes that leave the base path, encoded or not, and nothing else."
  }
}

# The document of the run "everything".
run "document" {
  command = plan

  module {
    source = "./tests/document"
  }

  variables {
    document = run.everything.document

    # What the assertions below expect.
    post = {
      parameters = [{ name = "proxy", in = "path", required = true, schema = { type = "string" } }]
      security   = [{ key_owner = [], api_key = [] }]
      responses  = { "200" = { description = "200 response" } }
      "x-amazon-apigateway-integration" = {
        type       = "http_proxy"
        httpMethod = "POST"
        uri        = "https://crm.example.com/api/v2/{proxy}"
        requestParameters = {
          "integration.request.path.proxy"                 = "method.request.path.proxy"
          "integration.request.header.Accept-Encoding"     = "'identity'"
          "integration.request.header.Authorization"       = "'-'"
          "integration.request.header.Cookie"              = "'-'"
          "integration.request.header.Proxy-Authorization" = "'-'"
          "integration.request.header.X-Api-Key"           = "'-'"
        }
        passthroughBehavior = "when_no_match"
        timeoutInMillis     = 1500
        connectionType      = "INTERNET"
      }
    }

    targets = {
      "GET /backends/both/{proxy+}"   = "GET https://both.example.com/{proxy}"
      "GET /backends/crm/{proxy+}"    = "GET https://crm.example.com/api/v2/{proxy}"
      "GET /backends/prices/{proxy+}" = "GET https://prices.example.com/{proxy}"
      "GET /backends/staff/{proxy+}"  = "GET https://staff.example.com/{proxy}"
      "HEAD /backends/erp/{proxy+}"   = "HEAD http://erp.internal/{proxy}"
      "POST /backends/crm/{proxy+}"   = "POST https://crm.example.com/api/v2/{proxy}"
    }

    timeouts = {
      "GET /backends/both/{proxy+}"   = 50
      "GET /backends/crm/{proxy+}"    = 1500
      "GET /backends/prices/{proxy+}" = 50
      "GET /backends/staff/{proxy+}"  = 50
      "HEAD /backends/erp/{proxy+}"   = 29000
      "POST /backends/crm/{proxy+}"   = 1500
    }

    connection_types = {
      "GET /backends/both/{proxy+}"   = "INTERNET"
      "GET /backends/crm/{proxy+}"    = "INTERNET"
      "GET /backends/prices/{proxy+}" = "INTERNET"
      "GET /backends/staff/{proxy+}"  = "INTERNET"
      "HEAD /backends/erp/{proxy+}"   = "VPC_LINK"
      "POST /backends/crm/{proxy+}"   = "INTERNET"
    }
    connection_ids = { "HEAD /backends/erp/{proxy+}" = "link01" }

    sent_headers = {
      "GET /backends/both/{proxy+}" = {
        Accept-Encoding     = "'identity'"
        Authorization       = "'-'"
        Cookie              = "'-'"
        Proxy-Authorization = "'-'"
        X-Api-Key           = "'-'"
      }
      "GET /backends/crm/{proxy+}"    = { Accept = "'*/*'", Accept-Encoding = "'identity'" }
      "GET /backends/prices/{proxy+}" = { Accept = "'*/*'", Accept-Encoding = "'identity'" }
      "GET /backends/staff/{proxy+}" = {
        Accept-Encoding     = "'identity'"
        Authorization       = "'-'"
        Proxy-Authorization = "'-'"
        X-Api-Key           = "'-'"
      }
      "HEAD /backends/erp/{proxy+}" = {
        Accept-Encoding     = "'identity'"
        Cookie              = "'-'"
        Proxy-Authorization = "'-'"
      }
      "POST /backends/crm/{proxy+}" = {
        Accept-Encoding     = "'identity'"
        Authorization       = "'-'"
        Cookie              = "'-'"
        Proxy-Authorization = "'-'"
        X-Api-Key           = "'-'"
      }
    }

    security = {
      "GET /backends/both/{proxy+}"   = [{ access_token = ["readplane/read"], api_key = [] }]
      "GET /backends/crm/{proxy+}"    = [{ key_owner = [], api_key = [] }]
      "GET /backends/prices/{proxy+}" = [{ access_token = ["readplane/read"] }]
      "GET /backends/staff/{proxy+}"  = [{ access_token = ["readplane/read"] }]
      "HEAD /backends/erp/{proxy+}"   = [{ key_owner = [], api_key = [] }]
      "POST /backends/crm/{proxy+}"   = [{ key_owner = [], api_key = [] }]
    }

    key_owner = {
      type                           = "apiKey"
      name                           = "Unused"
      in                             = "header"
      "x-amazon-apigateway-authtype" = "custom"
      "x-amazon-apigateway-authorizer" = {
        type                         = "request"
        authorizerUri                = var.key_authorizer.invoke_arn
        authorizerResultTtlInSeconds = 300
        identitySource               = "method.request.header.X-Api-Key"
      }
    }

    cached = {
      type       = "http"
      httpMethod = "GET"
      uri        = "https://crm.example.com/api/v2/{proxy}"
      requestParameters = {
        "integration.request.header.Accept"          = "'*/*'"
        "integration.request.header.Accept-Encoding" = "'identity'"
        "integration.request.path.proxy"             = "method.request.path.proxy"
        "integration.request.querystring.page"       = "method.request.querystring.page"
        "integration.request.querystring.$filter"    = "method.request.querystring.$filter"
      }
      requestTemplates    = { "application/json" = "##" }
      passthroughBehavior = "never"
      timeoutInMillis     = 1500
      connectionType      = "INTERNET"
      cacheKeyParameters = [
        "method.request.path.proxy",
        "method.request.querystring.page",
        "method.request.querystring.$filter",
      ]
    }

    cache_keys = {
      "GET /backends/crm/{proxy+}" = [
        "method.request.path.proxy",
        "method.request.querystring.page",
        "method.request.querystring.$filter",
      ]
      "GET /backends/prices/{proxy+}" = ["method.request.path.proxy"]
    }

    response = {
      status = "404"
      headers = {
        "Access-Control-Allow-Origin"   = "'https://app.example.com'"
        "Access-Control-Expose-Headers" = var.exposed
        "Cache-Control"                 = "integration.response.header.Cache-Control"
        "Content-Disposition"           = "integration.response.header.Content-Disposition"
        "Content-Language"              = "integration.response.header.Content-Language"
        "Content-Type"                  = "integration.response.header.Content-Type"
        "ETag"                          = "integration.response.header.ETag"
        "Expires"                       = "integration.response.header.Expires"
        "Last-Modified"                 = "integration.response.header.Last-Modified"
        "Link"                          = "integration.response.header.Link"
        "Location"                      = "integration.response.header.Location"
        "Retry-After"                   = "integration.response.header.Retry-After"
      }
      body = null
    }

    # The statuses of a back office that a cached route passes on.
    statuses = [
      "200", "203", "204", "301", "302", "303", "307", "308", "400", "401", "403", "404", "405", "406", "409", "410",
      "422", "429", "500", "501", "503", "504",
    ]

    parameters = {
      "GET /backends/both/{proxy+}"   = ["path.proxy"]
      "GET /backends/crm/{proxy+}"    = ["path.proxy", "query.page", "query.$filter"]
      "GET /backends/prices/{proxy+}" = ["path.proxy"]
      "GET /backends/staff/{proxy+}"  = ["path.proxy"]
      "HEAD /backends/erp/{proxy+}"   = ["path.proxy"]
      "POST /backends/crm/{proxy+}"   = ["path.proxy"]
    }

    # Path -> its methods, which a 405 names.
    allowed = {
      "/backends/both/{proxy+}"   = "'GET,OPTIONS'"
      "/backends/crm/{proxy+}"    = "'GET,OPTIONS,POST'"
      "/backends/erp/{proxy+}"    = "'HEAD,OPTIONS'"
      "/backends/prices/{proxy+}" = "'GET,OPTIONS'"
      "/backends/staff/{proxy+}"  = "'GET,OPTIONS'"
      "/health"                   = "'GET,HEAD,OPTIONS'"
    }

    # Path -> whether a browser may send an API key there.
    preflights = {
      "/"                         = false
      "/backends/both/{proxy+}"   = true
      "/backends/crm/{proxy+}"    = true
      "/backends/erp/{proxy+}"    = true
      "/backends/prices/{proxy+}" = true
      "/backends/staff/{proxy+}"  = true
      "/health"                   = false
      "/{proxy+}"                 = true
    }
  }

  # --- Where API Gateway sends a request

  assert {
    condition     = output.operations["POST /backends/crm/{proxy+}"] == var.post
    error_message = "The method of a back office declares the path, what callers need, and where requests go."
  }

  assert {
    condition = var.targets == {
      for route, call in output.integrations : route => "${call.httpMethod} ${call.uri}" if call.type != "mock"
    }
    error_message = "What follows the back office's name goes to the same path below its URL, by the same method."
  }

  assert {
    condition     = alltrue([for path in values(output.sent_paths) : path == { proxy = "method.request.path.proxy" }])
    error_message = "The path below the URL is what follows the back office's name."
  }

  assert {
    condition = var.timeouts == {
      for route, call in output.integrations : route => call.timeoutInMillis if call.type != "mock"
    }
    error_message = "Each backend has its own timeout."
  }

  assert {
    condition = var.connection_types == {
      for route, call in output.integrations : route => call.connectionType if call.type != "mock"
    }
    error_message = "Only a private back office is reached by a VPC link."
  }

  assert {
    condition = var.connection_ids == {
      for route, call in output.integrations : route => call.connectionId if can(call.connectionId)
    }
    error_message = "A private back office is reached by its own VPC link."
  }

  assert {
    condition     = output.sent_headers == var.sent_headers
    error_message = <<-EOT
      A back office sees only credentials that forward_headers names, in any case, never a proxy's. The back office of a
      cached route sees no header of the caller.
    EOT
  }

  # --- Who may call a back office

  assert {
    condition     = output.security == var.security
    error_message = "Without scopes, the authorizer checks which backend the key opens. With scopes, the token decides."
  }

  assert {
    condition     = keys(output.document.components.securitySchemes) == ["access_token", "api_key", "key_owner"]
    error_message = "The document has the schemes that its operations name."
  }

  assert {
    condition     = output.document.components.securitySchemes.key_owner == var.key_owner
    error_message = "API Gateway caches the authorizer's decision by key."
  }

  assert {
    condition = output.document.components.securitySchemes.api_key == {
      type = "apiKey", name = "x-api-key", in = "header"
    }
    error_message = "API Gateway counts calls by the header of the key."
  }

  assert {
    condition     = output.document["x-amazon-apigateway-policy"] == jsondecode(run.everything.policy)
    error_message = "The document has the resource policy."
  }

  # --- What API Gateway caches

  assert {
    condition = var.cache_keys == {
      for route, call in output.integrations : route => call.cacheKeyParameters if can(call.cacheKeyParameters)
    }
    error_message = "The cache key holds the path and the declared query parameters."
  }

  assert {
    condition     = output.requests["GET /backends/crm/{proxy+}"] == var.cached
    error_message = "What the cache key lacks doesn't reach the back office of a cached route: no header and no body."
  }

  assert {
    condition     = output.responses["GET /backends/crm/{proxy+}"]["404"] == var.response
    error_message = "A cached route passes on the usual headers of its back office, and its body."
  }

  assert {
    condition = concat(var.statuses, ["502"]) == [
      for response in output.responses["GET /backends/crm/{proxy+}"] : response.status
    ]
    error_message = "A cached route passes on the usual statuses of its back office."
  }

  assert {
    condition     = output.responses["GET /backends/crm/{proxy+}"].default.body.status == 502
    error_message = "Any other status of the back office becomes a 502."
  }

  assert {
    condition     = output.shared_with == { "GET /backends/prices/{proxy+}" = "'Authorization'" }
    error_message = "A browser's cache gives a response that needs a token only to requests with the same token."
  }

  assert {
    condition     = length(output.undeclared_headers) == 0
    error_message = "API Gateway refuses to set a header that the method's response doesn't declare."
  }

  assert {
    condition     = output.parameters == var.parameters
    error_message = "API Gateway refuses a key whose parameter the method doesn't declare."
  }

  # --- Which methods a back office has

  assert {
    condition     = { for path, refusal in output.refusals : path => refusal.headers.Allow } == var.allowed
    error_message = "API Gateway answers 405 to methods that a backend doesn't list. Its GET brings no HEAD with it."
  }

  # --- What browsers may send

  assert {
    condition = var.preflights == {
      for path, preflight in output.preflights :
      path => strcontains(preflight.headers["Access-Control-Allow-Headers"], "X-Api-Key")
    }
    error_message = "A browser may send X-Api-Key to a backend and to unknown paths, which may be those of a backend."
  }
}

run "without_backends" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes         = { "GET /health" = { fixed = { status = 200, body = "{}" } } }
    usage_plans    = {}
    key_authorizer = null
  }

  assert {
    condition     = length(aws_lambda_permission.authorizer) + length(aws_api_gateway_usage_plan.this) == 0
    error_message = "Without a backend, nothing is created for backends."
  }

  assert {
    condition     = output.policy == null && !strcontains(output.document, "x-amazon-apigateway-policy")
    error_message = "Without a backend, the API has no resource policy."
  }

  assert {
    condition     = jsondecode(output.document).components.securitySchemes == {}
    error_message = "Without a backend, the document has no scheme for API keys."
  }
}

run "backend_with_every_method" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    key_authorizer = null
    usage_plans    = {}
    routes = {
      for method in ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"] : "${method} /backends/crm/{proxy+}" => {
        backend = { name = "crm", url = "https://crm.example.com", timeout_ms = 50, forward_headers = [] }
        scopes  = ["readplane/read"]
      }
    }
  }

  assert {
    condition     = !strcontains(output.document, "x-amazon-apigateway-any-method")
    error_message = "A path with every method refuses none."
  }
}

run "keys_without_an_authorizer" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    key_authorizer = null
    routes = { "GET /backends/crm/{proxy+}" = {
      backend = { name = "crm", url = "https://crm.example.com", timeout_ms = 50, forward_headers = [] }
      api_key = true
    } }
  }

  # Terraform refuses an API key without an authorizer, because every key of the stage would open every backend.
  expect_failures = [terraform_data.rules]
}

run "key_without_a_usage_plan" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    usage_plans = {}
  }

  # Terraform refuses an API key without a usage plan, because API Gateway would refuse every key.
  expect_failures = [terraform_data.rules]
}

run "key_without_a_backend" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = { "GET /health" = { fixed = { status = 200, body = "{}" }, api_key = true } }
  }

  # Terraform refuses an API key on any other route, because there the token says who calls.
  expect_failures = [var.routes]
}

run "backend_route_outside_backends" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = { "GET /offices/crm/{proxy+}" = {
      backend = { name = "crm", url = "https://crm.example.com", timeout_ms = 50, forward_headers = [] }
      api_key = true
    } }
  }

  # Terraform refuses a backend outside /backends, because the resource policy protects only the paths there.
  expect_failures = [var.routes]
}

run "greedy_path_without_a_backend" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = { "GET /health/{proxy+}" = { fixed = { status = 200, body = "{}" } } }
  }

  # Terraform refuses {proxy+} on any other route, because its value may contain slashes.
  expect_failures = [var.routes]
}

run "path_below_backends_without_a_backend" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = { "GET /backends/crm" = { fixed = { status = 200, body = "{}" } } }
  }

  # Terraform refuses any other route below /backends, because the resource policy would refuse some of its paths.
  expect_failures = [var.routes]
}

run "backend_cache_without_the_path" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = { "GET /backends/crm/{proxy+}" = {
      backend = { name = "crm", url = "https://crm.example.com", timeout_ms = 50, forward_headers = [] }
      api_key = true
      cache   = { ttl = 60, key = ["querystring.page"] }
    } }
  }

  # Terraform refuses this cache key: every request would get the response to the first requested path.
  expect_failures = [terraform_data.rules]
}

run "backend_cache_with_a_header" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = { "GET /backends/crm/{proxy+}" = {
      backend = { name = "crm", url = "https://crm.example.com", timeout_ms = 50, forward_headers = [] }
      api_key = true
      cache   = { ttl = 60, key = ["path.proxy", "header.X-Tenant"] }
    } }
  }

  # Terraform refuses this cache key, because API Gateway compares the names of headers with case: a request with
  # "x-tenant" would get the response to one without a tenant.
  expect_failures = [terraform_data.rules]
}

# Each backend uses two API Gateway resources. All backends share one more, /backends, and the API has a root and
# {proxy+}. So 150 backends need 303 resources, and API Gateway allows 300.
run "more_backends_than_an_api_holds" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = { for n in range(150) : "GET /backends/b${n}/{proxy+}" => {
      backend = { name = "b${n}", url = "https://crm.example.com", timeout_ms = 50, forward_headers = [] }
      scopes  = ["readplane/read"]
    } }
  }

  # Terraform refuses these routes at plan. API Gateway would fail only when Terraform puts in the document.
  expect_failures = [terraform_data.rules]
}
