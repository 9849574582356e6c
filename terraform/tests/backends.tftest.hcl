# Tests of back offices that clients reach through API Gateway: what module api creates for them, and which mistakes it
# refuses. validations_backends.tftest.hcl tests which settings the root module refuses.
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
    invoke_arn    = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:readplane-backend_auth:live/invocations"
    function_name = "readplane-backend_auth"
    qualifier     = "live"
  }

  usage_plans = {
    crm = { key_id = "key001", throttle = { rate = 5, burst = 10 }, quota = { limit = 1000, period = "WEEK" } }
    erp = { key_id = "key002", throttle = { rate = 1, burst = 1 } }
  }

  routes = {
    "GET /health" = { fixed = { status = 200, body = "{\"status\":\"ok\"}" } }
    "GET /backends/crm/{proxy+}" = {
      backend  = { name = "crm", url = "https://crm.example.com/api/v2", timeout_ms = 1500, forward_headers = [] }
      api_key  = true
      throttle = { rate = 5, burst = 10 }
      cache    = { ttl = 30, key = ["path.proxy", "querystring.page", "querystring.$filter", "header.X-Tenant"] }
    }
    "POST /backends/crm/{proxy+}" = {
      backend  = { name = "crm", url = "https://crm.example.com/api/v2", timeout_ms = 1500, forward_headers = [] }
      api_key  = true
      throttle = { rate = 5, burst = 10 }
    }
    "HEAD /backends/erp/{proxy+}" = {
      backend = { name = "erp", url = "http://erp.internal", timeout_ms = 29000, forward_headers = ["authorization", "X-API-Key"], vpc_link_id = "link01" }
      api_key = true
    }
    "GET /backends/staff/{proxy+}" = {
      backend = { name = "staff", url = "https://staff.example.com", timeout_ms = 50, forward_headers = ["Cookie"] }
      scopes  = ["readplane/read"]
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

  # --- Where API Gateway sends a request

  assert {
    condition = (
      aws_api_gateway_integration.backend["POST /backends/crm/{proxy+}"].type == "HTTP_PROXY"
      && aws_api_gateway_integration.backend["POST /backends/crm/{proxy+}"].integration_http_method == "POST"
      && aws_api_gateway_integration.backend["POST /backends/crm/{proxy+}"].uri == "https://crm.example.com/api/v2/{proxy}"
      && aws_api_gateway_integration.backend["POST /backends/crm/{proxy+}"].request_parameters["integration.request.path.proxy"] == "method.request.path.proxy"
      && aws_api_gateway_method.route["POST /backends/crm/{proxy+}"].request_parameters["method.request.path.proxy"]
    )
    error_message = "What follows the back office's name goes to the same path below its URL, by the same method."
  }

  assert {
    condition     = { for key, integration in aws_api_gateway_integration.backend : key => integration.timeout_milliseconds if startswith(key, "GET ") } == { "GET /backends/both/{proxy+}" = 50, "GET /backends/crm/{proxy+}" = 1500, "GET /backends/staff/{proxy+}" = 50 }
    error_message = "Each backend has its own timeout."
  }

  assert {
    condition = (
      aws_api_gateway_integration.backend["HEAD /backends/erp/{proxy+}"].connection_type == "VPC_LINK"
      && aws_api_gateway_integration.backend["HEAD /backends/erp/{proxy+}"].connection_id == "link01"
      && aws_api_gateway_integration.backend["GET /backends/crm/{proxy+}"].connection_type == "INTERNET"
    )
    error_message = "A private back office is reached by its VPC link."
  }

  assert {
    condition = alltrue([for key, hidden in {
      "GET /backends/crm/{proxy+}"   = ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"]
      "HEAD /backends/erp/{proxy+}"  = ["Cookie", "Proxy-Authorization"]
      "GET /backends/staff/{proxy+}" = ["Authorization", "Proxy-Authorization", "X-Api-Key"]
      } : aws_api_gateway_integration.backend[key].request_parameters == tomap(merge(
        { "integration.request.path.proxy" = "method.request.path.proxy", "integration.request.header.Accept-Encoding" = "'identity'" },
        { for header in hidden : "integration.request.header.${header}" => "'-'" },
      ))
    ])
    error_message = "A back office sees only credentials that forward_headers names, in any case, never a proxy's."
  }

  # --- Who may call a back office

  assert {
    condition = jsonencode({ for key, method in aws_api_gateway_method.route : key => [method.authorization, method.api_key_required] if strcontains(key, "/backends/") }) == jsonencode({
      "GET /backends/both/{proxy+}"  = ["COGNITO_USER_POOLS", true]
      "GET /backends/crm/{proxy+}"   = ["CUSTOM", true]
      "GET /backends/staff/{proxy+}" = ["COGNITO_USER_POOLS", false]
      "HEAD /backends/erp/{proxy+}"  = ["CUSTOM", true]
      "POST /backends/crm/{proxy+}"  = ["CUSTOM", true]
    })
    error_message = "Without scopes, the authorizer checks which backend the key opens. With scopes, the token decides."
  }

  assert {
    condition = (
      aws_api_gateway_authorizer.key[0].type == "REQUEST" && aws_api_gateway_authorizer.key[0].authorizer_uri == var.key_authorizer.invoke_arn
      && aws_api_gateway_authorizer.key[0].identity_source == "method.request.header.X-Api-Key" && aws_api_gateway_authorizer.key[0].authorizer_result_ttl_in_seconds == 300
      && aws_lambda_permission.authorizer[0].source_arn == "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/authorizers/auth01"
      && aws_lambda_permission.authorizer[0].qualifier == "live" && aws_lambda_permission.authorizer[0].principal == "apigateway.amazonaws.com"
    )
    error_message = "API Gateway caches the authorizer's decision by key. Only this authorizer may call the function."
  }

  assert {
    condition = (
      toset(keys(aws_api_gateway_usage_plan.this)) == toset(["crm", "erp"])
      && aws_api_gateway_usage_plan.this["crm"].throttle_settings[0].rate_limit == 5 && aws_api_gateway_usage_plan.this["crm"].throttle_settings[0].burst_limit == 10
      && aws_api_gateway_usage_plan.this["crm"].quota_settings[0].limit == 1000 && aws_api_gateway_usage_plan.this["crm"].quota_settings[0].period == "WEEK"
      && length(aws_api_gateway_usage_plan.this["erp"].quota_settings) == 0
      && alltrue([for plan in values(aws_api_gateway_usage_plan.this) : one(plan.api_stages).stage == "v1" && one(plan.api_stages).api_id == "a1b2c3d4e5"])
      && aws_api_gateway_usage_plan_key.this["erp"].key_id == "key002" && aws_api_gateway_usage_plan_key.this["erp"].key_type == "API_KEY"
    )
    error_message = "Each back office has a usage plan of its own, with its own key and limits."
  }

  assert {
    condition = (
      { for key, settings in aws_api_gateway_method_settings.route : key => settings.method_path if strcontains(key, "crm") } == {
        "GET /backends/crm/{proxy+}"  = "~1backends~1crm~1{proxy+}/GET"
        "POST /backends/crm/{proxy+}" = "~1backends~1crm~1{proxy+}/POST"
      }
      && alltrue([for settings in aws_api_gateway_method_settings.route : settings.settings[0].throttling_rate_limit == 5 && settings.settings[0].throttling_burst_limit == 10])
    )
    error_message = "A backend's throttle applies to its methods, with or without a key."
  }

  # --- Which paths the resource policy refuses

  assert {
    condition = jsondecode(output.policy).Statement == jsondecode(jsonencode([
      {
        Sid      = "MethodsDecide", Effect = "Allow", Principal = "*", Action = ["execute-api:Invoke"]
        Resource = ["arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/*"]
      },
      {
        Sid      = "NoWayOutOfABasePath", Effect = "Deny", Principal = "*", Action = ["execute-api:Invoke"]
        Resource = [for text in ["..", "%2e", "%2E", "%2f", "%2F", "%25", "%00"] : "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/*/backends/*${text}*"]
      },
    ]))
    error_message = "The policy refuses dots and slashes that leave the base path, encoded or not, and nothing else."
  }

  # --- What API Gateway caches

  assert {
    condition = (
      aws_api_gateway_method_settings.route["GET /backends/crm/{proxy+}"].settings[0].caching_enabled
      && aws_api_gateway_method_settings.route["GET /backends/crm/{proxy+}"].settings[0].cache_ttl_in_seconds == 30
      && !aws_api_gateway_method_settings.route["POST /backends/crm/{proxy+}"].settings[0].caching_enabled
    )
    error_message = "Only the GET of a cached backend is cached."
  }

  assert {
    condition = toset(aws_api_gateway_integration.backend["GET /backends/crm/{proxy+}"].cache_key_parameters) == toset([for input in concat(
      ["path.proxy", "querystring.page", "querystring.$filter", "header.X-Tenant"],
      [for header in ["Accept", "Accept-Language", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Origin", "Range"] : "header.${header}"],
    ) : "method.request.${input}"])
    error_message = "The cache key holds the path, the declared inputs, and every header that changes the response."
  }

  assert {
    condition     = alltrue([for input in aws_api_gateway_integration.backend["GET /backends/crm/{proxy+}"].cache_key_parameters : contains(keys(aws_api_gateway_method.route["GET /backends/crm/{proxy+}"].request_parameters), input)])
    error_message = "API Gateway refuses a key whose parameter the method doesn't declare."
  }

  # --- What browsers may send and read

  assert {
    condition = (
      strcontains(aws_api_gateway_integration_response.preflight["backends/crm/{proxy+}"].response_parameters["method.response.header.Access-Control-Allow-Headers"], "X-Api-Key")
      && aws_api_gateway_integration_response.preflight["backends/crm/{proxy+}"].response_parameters["method.response.header.Access-Control-Allow-Methods"] == "'GET,POST'"
      && !strcontains(aws_api_gateway_integration_response.preflight["health"].response_parameters["method.response.header.Access-Control-Allow-Headers"], "X-Api-Key")
    )
    error_message = "A browser may send X-Api-Key to a backend."
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
    condition     = length(aws_api_gateway_rest_api_policy.this) + length(aws_api_gateway_authorizer.key) + length(aws_lambda_permission.authorizer) + length(aws_api_gateway_usage_plan.this) == 0 && output.policy == null
    error_message = "Without a backend, nothing is created for backends."
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

  expect_failures = [aws_api_gateway_rest_api.this]
}

run "key_without_a_usage_plan" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    usage_plans = {}
  }

  expect_failures = [aws_api_gateway_rest_api.this]
}

run "key_without_a_backend" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = { "GET /health" = { fixed = { status = 200, body = "{}" }, api_key = true } }
  }

  expect_failures = [var.routes]
}

run "backend_route_outside_backends" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = { "GET /offices/crm/{proxy+}" = {
      backend = { name = "crm", url = "https://crm.example.com", timeout_ms = 50, forward_headers = [] }
      api_key = true
    } }
  }

  expect_failures = [var.routes]
}

run "greedy_path_without_a_backend" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = { "GET /health/{proxy+}" = { fixed = { status = 200, body = "{}" } } }
  }

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

  expect_failures = [terraform_data.cache_rule["GET /backends/crm/{proxy+}"]]
}

# Each backend uses two API Gateway resources. All backends share one more, /backends, and the API has a root. So 150
# backends need 302 resources, and API Gateway allows 300.
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

  expect_failures = [aws_api_gateway_rest_api.this]
}
