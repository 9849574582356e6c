# Tests of module api. At plan, Terraform refuses routes that API Gateway couldn't serve correctly at run time. Each run
# with expect_failures breaks one rule.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name               = "readplane"
  user_pool_arn      = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_AbCdEfGhI"
  documents_bucket   = "readplane-documents-111122223333-eu-central-1"
  throttle           = { rate = 100, burst = 200 }
  log_retention_days = 30
  cache_size         = "0.5"

  functions = {
    read = {
      arn           = "arn:aws:lambda:eu-central-1:111122223333:function:readplane-read:live"
      invoke_arn    = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:readplane-read:live/invocations"
      function_name = "readplane-read"
      qualifier     = "live"
    }
    write = {
      arn           = "arn:aws:lambda:eu-central-1:111122223333:function:readplane-write:live"
      invoke_arn    = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:readplane-write:live/invocations"
      function_name = "readplane-write"
      qualifier     = "live"
    }
  }

  routes = {
    "GET /health" = { fixed = { status = 200, body = "{\"status\":\"ok\"}" } }
    "GET /items/products" = {
      function = "read"
      reads    = ["querystring.limit", "querystring.cursor"]
      cache = {
        ttl = 60
        key = ["querystring.limit", "querystring.cursor", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"]
      }
    }
    "POST /items/products" = { function = "write", scopes = ["readplane/write"], per_caller = true }
    "GET /items/products/{item_id}" = {
      function = "read"
      reads    = ["path.item_id"]
      throttle = { rate = 5, burst = 10 }
    }
    "PUT /items/products/{item_id}"    = { function = "write", scopes = ["readplane/write"], per_caller = true }
    "DELETE /items/products/{item_id}" = { function = "write", scopes = ["readplane/write"], per_caller = true }
    "GET /items/products/{item_id}/changes/{change_id}" = {
      function = "read"
      reads    = ["path.item_id", "path.change_id"]
    }
    "GET /documents/products/{item_id}" = {
      document = { key = "public/products/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }
      reads    = ["path.item_id"]
      cache = {
        ttl = 30
        key = ["path.item_id", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"]
      }
    }
    "GET /documents/profiles/{item_id}" = {
      document   = { key = "owner/profiles/{sub}/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-owner" }
      scopes     = ["readplane/read"]
      per_caller = true
      reads      = ["path.item_id"]
    }
  }

  cors_origins = ["https://app.example.com", "https://admin.example.com"]
}

run "everything" {
  command = plan

  module {
    source = "./modules/api"
  }

  assert {
    condition     = output.routes == sort(keys(var.routes)) && output.stage_name == "v1"
    error_message = "Every route is deployed and in the output, and the stage is the first segment of every path."
  }

  assert {
    condition = (
      aws_api_gateway_rest_api.this.endpoint_configuration[0].types == tolist(["REGIONAL"])
      && aws_api_gateway_rest_api.this.disable_execute_api_endpoint == false
    )
    error_message = "Clients call the default endpoint, which stays on."
  }

  assert {
    condition     = try(length(aws_api_gateway_rest_api.this.binary_media_types), 0) == 0
    error_message = "Without binary media types, API Gateway doesn't re-encode bodies, so documents stay byte for byte."
  }

  assert {
    condition = (
      alltrue([for key, method in aws_api_gateway_method.route :
        length(var.routes[key].scopes) == 0
        ? method.authorization == "NONE"
        : method.authorization == "COGNITO_USER_POOLS" && method.authorizer_id == "auth01" && toset(method.authorization_scopes) == toset(var.routes[key].scopes)
      ])
    )
    error_message = "Every route with scopes has the authorizer and its scopes. Without them it would accept ID tokens."
  }

  assert {
    condition = (
      aws_api_gateway_authorizer.this[0].type == "COGNITO_USER_POOLS"
      && toset(aws_api_gateway_authorizer.this[0].provider_arns) == toset([var.user_pool_arn])
      && aws_api_gateway_authorizer.this[0].identity_source == "method.request.header.Authorization"
    )
    error_message = "Tokens are checked against this stack's user pool."
  }

  assert {
    condition = (
      aws_api_gateway_integration.function["PUT /items/products/{item_id}"].type == "AWS_PROXY"
      && aws_api_gateway_integration.function["PUT /items/products/{item_id}"].integration_http_method == "POST"
      && aws_api_gateway_integration.function["PUT /items/products/{item_id}"].uri == var.functions.write.invoke_arn
    )
    error_message = "A function is called through its alias, and Lambda is always called by POST."
  }

  assert {
    condition = (
      toset(keys(aws_lambda_permission.invoke)) == toset(["read GET", "write POST", "write PUT", "write DELETE"])
      && alltrue([for key, permission in aws_lambda_permission.invoke :
        permission.principal == "apigateway.amazonaws.com" && permission.qualifier == "live" && permission.action == "lambda:InvokeFunction"
        && permission.source_arn == "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/${split(" ", key)[1]}/*"
      ])
    )
    error_message = "Only this API, on this stage and with a route's method, may call a function, and the policy doesn't grow with the routes."
  }

  assert {
    condition = (
      aws_api_gateway_integration.document["GET /documents/products/{item_id}"].uri == "arn:aws:apigateway:eu-central-1:s3:path/readplane-documents-111122223333-eu-central-1/public/products/{item_id}.json"
      && aws_api_gateway_integration.document["GET /documents/products/{item_id}"].credentials == "arn:aws:iam::111122223333:role/documents-public"
      && aws_api_gateway_integration.document["GET /documents/products/{item_id}"].type == "AWS"
      && aws_api_gateway_integration.document["GET /documents/products/{item_id}"].integration_http_method == "GET"
    )
    error_message = "Each document route reads its own prefix with its own role."
  }

  assert {
    condition = (
      alltrue([for integration in aws_api_gateway_integration.document :
        integration.request_parameters["integration.request.path.item_id"] == "'-'"
        && integration.request_parameters["integration.request.header.If-None-Match"] == "method.request.header.If-None-Match"
      ])
    )
    error_message = "No part of a request is mapped into an object key. The constant there is no item's id."
  }

  assert {
    condition = (
      alltrue([for integration in aws_api_gateway_integration.document :
        integration.passthrough_behavior == "NEVER" && keys(integration.request_templates) == tolist(["application/json"])
      ])
    )
    error_message = "A GET with another Content-Type is refused, because the template wouldn't run for it."
  }

  assert {
    condition = (
      aws_api_gateway_integration.document["GET /documents/products/{item_id}"].request_templates["application/json"] == join("", [
        "#set($item_id = \"$input.params().path.get('item_id')\")",
        "#if($item_id.matches('[A-Za-z0-9][A-Za-z0-9._~-]{0,255}'))",
        "#set($context.requestOverride.path.item_id = $item_id)",
        "#end",
      ])
    )
    error_message = "Only a whole id of the allowed form gets into the key, so nothing encoded gets into it."
  }

  assert {
    condition = (
      aws_api_gateway_integration.document["GET /documents/profiles/{item_id}"].request_templates["application/json"] == join("", [
        "#set($item_id = \"$input.params().path.get('item_id')\")",
        "#set($sub = \"$context.authorizer.claims.sub\")",
        "#if($item_id.matches('[A-Za-z0-9][A-Za-z0-9._~-]{0,255}') && $sub.matches('[A-Za-z0-9][A-Za-z0-9-]{0,127}'))",
        "#set($context.requestOverride.path.item_id = $item_id)",
        "#set($context.requestOverride.path.sub = $sub)",
        "#end",
      ])
      && aws_api_gateway_integration.document["GET /documents/profiles/{item_id}"].request_parameters["integration.request.path.sub"] == "'-'"
    )
    error_message = "The subject of the checked token, and nothing of the request, selects an owner's document."
  }

  assert {
    condition = (
      alltrue([for header in ["Content-Type", "ETag", "Cache-Control", "Last-Modified"] :
        aws_api_gateway_integration_response.document["GET /documents/products/{item_id} 200"].response_parameters["method.response.header.${header}"] == "integration.response.header.${header}"
      ])
      && aws_api_gateway_integration_response.document["GET /documents/products/{item_id} 200"].response_parameters["method.response.header.Readplane-Version"] == "integration.response.header.x-amz-meta-readplane-version"
      && try(length(aws_api_gateway_integration_response.document["GET /documents/products/{item_id} 200"].response_templates), 0) == 0
    )
    error_message = "S3's headers and bytes pass through unchanged."
  }

  assert {
    condition = (
      jsonencode({ for status in ["200", "304", "404", "502", "503"] : status => aws_api_gateway_integration_response.document["GET /documents/products/{item_id} ${status}"].selection_pattern }) == jsonencode({
        "200" = "200", "304" = "304", "404" = "403|404", "502" = null, "503" = "500|503"
      })
    )
    error_message = "S3's 403 for a missing key becomes a 404, and every status without a pattern becomes a 502."
  }

  assert {
    condition = (
      alltrue([for status in [404, 502, 503] :
        jsondecode(aws_api_gateway_integration_response.document["GET /documents/products/{item_id} ${status}"].response_templates["application/json"]).status == status
        && aws_api_gateway_integration_response.document["GET /documents/products/{item_id} ${status}"].response_parameters["method.response.header.Content-Type"] == "'application/problem+json'"
      ])
    )
    error_message = "S3's errors become problem documents, without S3's XML, which names bucket and key."
  }

  assert {
    condition = (
      { for type, response in aws_api_gateway_gateway_response.this : type => response.status_code } == {
        ACCESS_DENIED                  = "403"
        API_CONFIGURATION_ERROR        = "500"
        AUTHORIZER_CONFIGURATION_ERROR = "500"
        AUTHORIZER_FAILURE             = "500"
        BAD_REQUEST_BODY               = "400"
        BAD_REQUEST_PARAMETERS         = "400"
        EXPIRED_TOKEN                  = "401"
        INTEGRATION_FAILURE            = "502"
        INTEGRATION_TIMEOUT            = "504"
        INVALID_API_KEY                = "403"
        INVALID_SIGNATURE              = "404"
        MISSING_AUTHENTICATION_TOKEN   = "404"
        QUOTA_EXCEEDED                 = "429"
        REQUEST_TOO_LARGE              = "413"
        RESOURCE_NOT_FOUND             = "404"
        THROTTLED                      = "429"
        UNAUTHORIZED                   = "401"
        UNSUPPORTED_MEDIA_TYPE         = "415"
        WAF_FILTERED                   = "403"
      }
    )
    error_message = "Each refusal has its status. An unknown route, which API Gateway calls a missing token, is a 404."
  }

  assert {
    condition = (
      alltrue([for response in aws_api_gateway_gateway_response.this :
        jsondecode(response.response_templates["application/json"]).status == tonumber(response.status_code)
        && jsondecode(response.response_templates["application/json"]).request_id == "$context.requestId"
        && response.response_parameters["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
      ])
    )
    error_message = "Refusals are problem documents."
  }

  assert {
    condition = (
      alltrue([for response in concat(values(aws_api_gateway_gateway_response.this), values(aws_api_gateway_gateway_response.default)) :
        !strcontains(response.response_templates["application/json"], "context.error")
      ])
    )
    error_message = "The body leaves out API Gateway's own message, which can quote the Authorization header."
  }

  assert {
    condition     = alltrue([for response in aws_api_gateway_gateway_response.default : try(response.status_code, null) == null])
    error_message = "The defaults set no status, because it would be forced on other types."
  }

  assert {
    condition = (
      aws_api_gateway_gateway_response.this["UNAUTHORIZED"].response_parameters["gatewayresponse.header.WWW-Authenticate"] == "'Bearer'"
      && aws_api_gateway_gateway_response.this["THROTTLED"].response_parameters["gatewayresponse.header.Retry-After"] == "'1'"
    )
    error_message = "WWW-Authenticate says how to sign in, and Retry-After when to retry."
  }

  assert {
    condition = (
      aws_api_gateway_integration.fixed["GET /health"].type == "MOCK"
      && aws_api_gateway_integration_response.fixed["GET /health"].response_templates["application/json"] == var.routes["GET /health"].fixed.body
    )
    error_message = "A fixed response calls nothing."
  }

  assert {
    condition     = aws_api_gateway_stage.this.xray_tracing_enabled && aws_api_gateway_stage.this.stage_name == "v1"
    error_message = "Requests are traced."
  }

  assert {
    condition = (
      !can(regex("(?i)authorization[^.]|header|identity.apiKey[^I]|error.message|input|[$]context.path\"", aws_api_gateway_stage.this.access_log_settings[0].format))
      && jsondecode(aws_api_gateway_stage.this.access_log_settings[0].format).request_id == "$context.requestId"
    )
    error_message = "The access log is JSON and holds no token, header or message that could quote one."
  }

  assert {
    condition = (
      aws_api_gateway_method_settings.stage.method_path == "*/*"
      && aws_api_gateway_method_settings.stage.settings[0].caching_enabled == false
      && aws_api_gateway_method_settings.stage.settings[0].data_trace_enabled == false
      && aws_api_gateway_method_settings.stage.settings[0].metrics_enabled
      && aws_api_gateway_method_settings.stage.settings[0].throttling_rate_limit == 100
      && aws_api_gateway_method_settings.stage.settings[0].throttling_burst_limit == 200
    )
    error_message = "The stage has throttles and metrics, logs no bodies, and caches nothing unless a route says so."
  }

  assert {
    condition = (
      toset([for settings in aws_api_gateway_method_settings.route : settings.method_path]) == toset([
        "~1items~1products/GET",
        "~1items~1products~1{item_id}/GET",
        "~1documents~1products~1{item_id}/GET",
      ])
    )
    error_message = "A method's settings have its path with ~1 for every slash; with plain slashes they have no effect."
  }

  assert {
    condition = (
      { for key, settings in aws_api_gateway_method_settings.route : key => settings.settings[0].caching_enabled } == {
        "GET /items/products"               = true
        "GET /items/products/{item_id}"     = false
        "GET /documents/products/{item_id}" = true
      }
    )
    error_message = "Exactly the routes with a cache are cached."
  }

  assert {
    condition = (
      alltrue([for settings in concat(values(aws_api_gateway_method_settings.route), [aws_api_gateway_method_settings.stage]) :
        settings.settings[0].cache_data_encrypted && settings.settings[0].require_authorization_for_cache_control
        && settings.settings[0].unauthorized_cache_control_header_strategy == "SUCCEED_WITHOUT_RESPONSE_HEADER"
      ])
    )
    error_message = "The cache is encrypted, and a browser's reload neither empties it nor fails."
  }

  assert {
    condition = (
      aws_api_gateway_method_settings.route["GET /items/products"].settings[0].cache_ttl_in_seconds == 60
      && aws_api_gateway_method_settings.route["GET /items/products"].settings[0].throttling_rate_limit == 100
      && aws_api_gateway_method_settings.route["GET /items/products/{item_id}"].settings[0].throttling_rate_limit == 5
      && aws_api_gateway_method_settings.route["GET /items/products/{item_id}"].settings[0].throttling_burst_limit == 10
    )
    error_message = "A route uses its own cache TTL and throttle, or else the stage's."
  }

  assert {
    condition = (
      toset(aws_api_gateway_integration.function["GET /items/products"].cache_key_parameters) == toset([
        "method.request.querystring.limit", "method.request.querystring.cursor", "method.request.header.If-None-Match",
        "method.request.header.Readplane-Min-Version", "method.request.header.Origin",
      ])
      && toset(aws_api_gateway_integration.document["GET /documents/products/{item_id}"].cache_key_parameters) == toset([
        "method.request.path.item_id", "method.request.header.If-None-Match",
        "method.request.header.Readplane-Min-Version", "method.request.header.Origin",
      ])
    )
    error_message = "The cache key reaches API Gateway."
  }

  assert {
    condition = (
      alltrue([for key, route in var.routes : alltrue([
        for input in concat(route.reads, try(route.cache.key, [])) : contains(keys(aws_api_gateway_method.route[key].request_parameters), "method.request.${input}")
      ])])
    )
    error_message = "API Gateway refuses a cache key that the method doesn't declare."
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.access.retention_in_days == 30
      && aws_cloudwatch_log_group.execution.name == "API-Gateway-Execution-Logs_a1b2c3d4e5/v1"
      && aws_cloudwatch_log_group.execution.retention_in_days == 30
    )
    error_message = "The execution log expires. API Gateway would create a log group that never does."
  }

  assert {
    condition     = aws_api_gateway_stage.this.cache_cluster_enabled && aws_api_gateway_stage.this.cache_cluster_size == "0.5"
    error_message = "cache_size creates the cache cluster."
  }

  assert {
    condition = (
      alltrue([for value in [
        aws_api_gateway_integration_response.preflight["health"].response_parameters["method.response.header.Access-Control-Allow-Origin"],
        aws_api_gateway_gateway_response.this["UNAUTHORIZED"].response_parameters["gatewayresponse.header.Access-Control-Allow-Origin"],
      ] : value == "'*'"])
    )
    error_message = "With several origins, API Gateway's own responses allow all of them."
  }

  assert {
    condition = (
      length(aws_api_gateway_account.this) == 1
      && aws_iam_role_policy_attachment.logging[0].policy_arn == "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
      && jsondecode(aws_iam_role.logging[0].assume_role_policy).Statement[0].Principal.Service == "apigateway.amazonaws.com"
    )
    error_message = "The account has a role for logs. Without it, API Gateway refuses a stage with logs."
  }

  assert {
    condition     = aws_cloudwatch_log_group.access.kms_key_id == null && aws_cloudwatch_log_group.execution.kms_key_id == null
    error_message = "Without a key, the log groups have none."
  }
}

run "without_optional_settings" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /health" = { fixed = { status = 200, body = "{}" } }
    }
    cache_size       = null
    user_pool_arn    = null
    documents_bucket = null
    functions        = {}
  }

  assert {
    condition     = !aws_api_gateway_stage.this.cache_cluster_enabled && length(aws_api_gateway_method_settings.route) == 0 && !aws_api_gateway_method_settings.stage.settings[0].caching_enabled
    error_message = "cache_size = null creates no cluster, because a cluster costs by the hour."
  }

  assert {
    condition     = length(aws_api_gateway_authorizer.this) == 0 && length(aws_api_gateway_integration.document) == 0 && length(aws_lambda_permission.invoke) == 0
    error_message = "Nothing is created that no route needs."
  }
}

run "edge_and_one_origin" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    endpoint_type = "EDGE"
    cors_origins  = ["https://app.example.com"]
  }

  assert {
    condition     = aws_api_gateway_rest_api.this.endpoint_configuration[0].types == tolist(["EDGE"])
    error_message = "The endpoint's type is EDGE."
  }

  assert {
    condition = (
      toset(keys(aws_api_gateway_method.preflight)) == toset([for route in keys(var.routes) : trimprefix(split(" ", route)[1], "/")])
      && alltrue([for method in aws_api_gateway_method.preflight : method.http_method == "OPTIONS" && method.authorization == "NONE"])
    )
    error_message = "Every path with a method has a preflight, which needs no token."
  }

  assert {
    condition = (
      aws_api_gateway_integration_response.preflight["items/products/{item_id}"].response_parameters["method.response.header.Access-Control-Allow-Methods"] == "'DELETE,GET,PUT'"
      && strcontains(aws_api_gateway_integration_response.preflight["items/products/{item_id}"].response_parameters["method.response.header.Access-Control-Allow-Headers"], "Authorization")
    )
    error_message = "A preflight allows the path's own methods, and names Authorization because no wildcard covers it."
  }

  assert {
    condition = (
      alltrue([for value in [
        aws_api_gateway_integration_response.preflight["health"].response_parameters["method.response.header.Access-Control-Allow-Origin"],
        aws_api_gateway_integration_response.fixed["GET /health"].response_parameters["method.response.header.Access-Control-Allow-Origin"],
        aws_api_gateway_integration_response.document["GET /documents/products/{item_id} 404"].response_parameters["method.response.header.Access-Control-Allow-Origin"],
        aws_api_gateway_gateway_response.this["UNAUTHORIZED"].response_parameters["gatewayresponse.header.Access-Control-Allow-Origin"],
        aws_api_gateway_gateway_response.default["DEFAULT_5XX"].response_parameters["gatewayresponse.header.Access-Control-Allow-Origin"],
      ] : value == "'https://app.example.com'"])
    )
    error_message = "All responses, errors included, name the one origin. Otherwise a script couldn't read them."
  }
}

run "key_unescaped_paths_and_foreign_logging" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    cors_origins           = []
    manage_account_logging = false
    kms_key_arn            = "arn:aws:kms:eu-central-1:111122223333:key/k"
    escape_method_paths    = false
  }

  assert {
    condition = (
      length(aws_api_gateway_method.preflight) == 0
      && alltrue([for response in aws_api_gateway_gateway_response.this : !contains(keys(response.response_parameters), "gatewayresponse.header.Access-Control-Allow-Origin")])
      && alltrue([for response in aws_api_gateway_integration_response.document : !contains(keys(response.response_parameters), "method.response.header.Access-Control-Allow-Origin")])
      && !contains(keys(aws_api_gateway_integration_response.fixed["GET /health"].response_parameters), "method.response.header.Access-Control-Allow-Origin")
    )
    error_message = "Without origins there is neither a preflight nor a CORS header."
  }

  assert {
    condition     = length(aws_api_gateway_account.this) == 0 && length(aws_iam_role.logging) == 0 && length(aws_iam_role_policy_attachment.logging) == 0
    error_message = "manage_account_logging = false leaves the account's setting alone."
  }

  assert {
    condition     = aws_cloudwatch_log_group.access.kms_key_id == var.kms_key_arn && aws_cloudwatch_log_group.execution.kms_key_id == var.kms_key_arn
    error_message = "The stack's key encrypts the logs."
  }

  assert {
    condition     = aws_api_gateway_method_settings.route["GET /items/products"].method_path == "items/products/GET"
    error_message = "For MiniStack, which stores paths unescaped, the setting's path is unescaped too."
  }
}

run "no_routes" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {}
  }

  # Terraform refuses an API without routes at plan. API Gateway would refuse it too, but only after minutes of
  # `terraform apply`.
  expect_failures = [var.routes]
}

run "unknown_method" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "FETCH /x" = { fixed = { status = 200, body = "{}" } }
    }
  }

  # Terraform refuses the HTTP method FETCH, because API Gateway doesn't support it.
  expect_failures = [var.routes]
}

run "path_that_is_too_deep" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /a/b/c/d/e/f" = { fixed = { status = 200, body = "{}" } }
    }
  }

  # Terraform refuses a path of six segments, because module api has resource blocks only for one to five segments.
  expect_failures = [var.routes]
}

run "proxy_path" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /a/{proxy+}" = { fixed = { status = 200, body = "{}" } }
    }
  }

  # Terraform refuses the greedy parameter {proxy+} outside /backends, because its value may contain slashes. These
  # routes are static, so that no value in a path can confuse them.
  expect_failures = [var.routes]
}

run "route_without_an_integration" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = {}
    }
  }

  # Terraform refuses a route without function, document, fixed or backend, because API Gateway can't deploy a method
  # without an integration.
  expect_failures = [var.routes]
}

run "route_with_two_integrations" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { function = "read", fixed = { status = 200, body = "{}" } }
    }
  }

  # Terraform refuses a route with both function and fixed, because API Gateway would silently ignore one of them.
  expect_failures = [var.routes]
}

run "reads_an_unknown_kind_of_input" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { function = "read", reads = ["body.x"] }
    }
  }

  # Terraform refuses an input that is no path parameter, query parameter or header, because nothing else can be part of
  # a cache key.
  expect_failures = [var.routes]
}

run "cache_key_with_an_unknown_kind_of_input" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { function = "read", cache = { ttl = 60, key = ["cookie.x", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] } }
    }
  }

  # Terraform refuses an input that is no path parameter, query parameter or header, because nothing else can be part of
  # a cache key.
  expect_failures = [var.routes]
}

run "reads_a_parameter_that_is_not_in_the_path" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = { function = "read", reads = ["path.item"] }
    }
  }

  # Terraform refuses "path.item", because the path has only {item_id}. The misspelt name would leave the real parameter
  # out of the cache key.
  expect_failures = [var.routes]
}

run "document_of_an_unknown_parameter" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = { document = { key = "public/{item}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" } }
    }
  }

  # Terraform refuses {item} in the object key, because the path has only {item_id}. The braces would stay in the key,
  # and S3 would have no such document.
  expect_failures = [var.routes]
}

run "document_key_with_a_leading_slash" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = { document = { key = "/public/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" } }
    }
  }

  # Terraform refuses a document key with a leading slash. The keys of published documents have none, so S3 would have
  # no such document.
  expect_failures = [var.routes]
}

run "path_parameter_called_sub" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{sub}" = { document = { key = "public/{sub}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }, scopes = ["readplane/read"], per_caller = true }
    }
  }

  # Terraform refuses a path parameter named sub, because {sub} in a document key stands for the caller's user id. The
  # module could take the value in the path for it.
  expect_failures = [var.routes]
}

run "document_route_that_writes" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "PUT /x/{item_id}" = { document = { key = "public/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" } }
    }
  }

  # Terraform refuses a document route whose method isn't GET, because only `publish` and `poll` write documents.
  expect_failures = [var.routes]
}

run "owner_document_without_a_caller" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = { document = { key = "owner/{sub}/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }, per_caller = true }
    }
  }

  # Terraform refuses {sub} in the document key of a route without scopes. Such a route is open to everybody, so there
  # is no token to take the user id from.
  expect_failures = [var.routes]
}

run "owner_document_without_per_caller" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = { document = { key = "owner/{sub}/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }, scopes = ["readplane/read"] }
    }
  }

  # Terraform refuses {sub} in a document key without per_caller. The route could be cached, and one owner would get
  # another's document.
  expect_failures = [var.routes]
}

run "fixed_body_is_not_json" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { fixed = { status = 200, body = "ok" } }
    }
  }

  # Terraform refuses a fixed body that isn't JSON, because the response's Content-Type is application/json.
  expect_failures = [var.routes]
}

run "fixed_body_is_a_template" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { fixed = { status = 200, body = "{\"a\":\"$context.authorizer\"}" } }
    }
  }

  # Terraform refuses a fixed body with template code, because API Gateway would evaluate it.
  expect_failures = [var.routes]
}

run "fixed_response_with_an_invalid_status" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { fixed = { status = 99, body = "{}" } }
    }
  }

  # Terraform refuses a fixed response whose status isn't a valid HTTP status.
  expect_failures = [var.routes]
}

run "route_throttled_to_nothing" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { fixed = { status = 200, body = "{}" }, throttle = { rate = 0, burst = 1 } }
    }
  }

  # Terraform refuses a throttle of 0, because API Gateway would respond 429 to every request.
  expect_failures = [var.routes]
}

run "cached_write" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "POST /x" = { function = "write", cache = { ttl = 60, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] } }
    }
  }

  # Terraform refuses a cache on a route that writes. If the response came from the cache, the write wouldn't happen.
  expect_failures = [var.routes]
}

run "cached_per_caller" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { function = "read", per_caller = true, cache = { ttl = 60, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] } }
    }
  }

  # Terraform refuses a cache on a route with per_caller. The cache key doesn't contain the caller, so one caller would
  # get another's response.
  expect_failures = [var.routes]
}

run "cached_fixed_response" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { fixed = { status = 200, body = "{}" }, cache = { ttl = 60, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] } }
    }
  }

  # Terraform refuses a cache on a fixed response. API Gateway calls nothing to make the response, so a cache would save
  # nothing.
  expect_failures = [var.routes]
}

run "cache_too_short" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { function = "read", cache = { ttl = 0, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] } }
    }
  }

  # Terraform refuses a cache TTL of 0. API Gateway wouldn't cache the responses, although the route has cache settings.
  expect_failures = [var.routes]
}

run "cache_too_long" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { function = "read", cache = { ttl = 3601, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] } }
    }
  }

  # Terraform refuses a cache TTL above 3600 seconds, which is API Gateway's limit.
  expect_failures = [var.routes]
}

run "cache_key_complete" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = { function = "read", reads = ["path.item_id", "querystring.limit"], cache = { ttl = 60, key = ["path.item_id", "querystring.limit", "header.if-none-match", "header.readplane-min-version", "header.origin"] } }
    }
  }

  assert {
    condition     = length(terraform_data.cache_rule) == 1
    error_message = "A complete cache key is accepted, with header names in any case."
  }
}

run "cache_key_incomplete" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /path/{item_id}"          = { function = "read", reads = ["path.item_id", "querystring.limit"], cache = { ttl = 60, key = ["querystring.limit", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] } }
      "GET /query/{item_id}"         = { function = "read", reads = ["path.item_id", "querystring.limit"], cache = { ttl = 60, key = ["path.item_id", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] } }
      "GET /if_none_match/{item_id}" = { function = "read", reads = ["path.item_id", "querystring.limit"], cache = { ttl = 60, key = ["path.item_id", "querystring.limit", "header.Readplane-Min-Version", "header.Origin"] } }
      "GET /min_version/{item_id}"   = { function = "read", reads = ["path.item_id", "querystring.limit"], cache = { ttl = 60, key = ["path.item_id", "querystring.limit", "header.If-None-Match", "header.Origin"] } }
      "GET /origin/{item_id}"        = { function = "read", reads = ["path.item_id", "querystring.limit"], cache = { ttl = 60, key = ["path.item_id", "querystring.limit", "header.If-None-Match", "header.Readplane-Min-Version"] } }
      "GET /forgotten/{item_id}"     = { function = "read", cache = { ttl = 60, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] } }
      "GET /document/{item_id}"      = { document = { key = "public/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }, cache = { ttl = 60, key = ["path.item_id", "header.Readplane-Min-Version", "header.Origin"] } }
    }
  }

  # Terraform refuses all these routes, because the cache key of each lacks an input. Requests that differ in that input
  # would get each other's responses. Each comment says what would happen.
  expect_failures = [
    terraform_data.cache_rule["GET /path/{item_id}"],          # every request would get the first requested item
    terraform_data.cache_rule["GET /query/{item_id}"],         # every request would get the first requested page
    terraform_data.cache_rule["GET /if_none_match/{item_id}"], # a client without a copy would get a 304
    terraform_data.cache_rule["GET /min_version/{item_id}"],   # a client wouldn't see its own write
    terraform_data.cache_rule["GET /origin/{item_id}"],        # one origin would get the CORS header of another
    terraform_data.cache_rule["GET /forgotten/{item_id}"],     # refused too, although the route has no `reads`
    terraform_data.cache_rule["GET /document/{item_id}"],      # refused too, because the rule also covers documents
  ]
}

run "cache_key_without_the_only_origin" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = { function = "read", reads = ["path.item_id", "querystring.limit"], cache = { ttl = 60, key = ["path.item_id", "querystring.limit", "header.If-None-Match", "header.Readplane-Min-Version"] } }
    }
    cors_origins = ["https://app.example.com"]
  }

  assert {
    condition     = length(terraform_data.cache_rule) == 1
    error_message = "With a single origin, the key needn't hold it, because every response has the same CORS header."
  }
}

run "cached_route_without_a_cluster" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = { function = "read", reads = ["path.item_id", "querystring.limit"], cache = { ttl = 60, key = ["path.item_id", "querystring.limit", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] } }
    }
    cache_size = null
  }

  # Terraform refuses a route with a cache if cache_size is null, because without a cache cluster API Gateway never
  # caches.
  expect_failures = [terraform_data.cache_rule["GET /x/{item_id}"]]
}

run "scopes_without_a_user_pool" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { function = "read", scopes = ["readplane/read"] }
    }
    user_pool_arn = null
  }

  # Terraform refuses a route with scopes if user_pool_arn is null, because API Gateway couldn't check tokens.
  expect_failures = [aws_api_gateway_rest_api.this]
}

run "document_without_a_bucket" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = { document = { key = "public/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" } }
    }
    documents_bucket = null
  }

  # Terraform refuses a document route if documents_bucket is null, because there is no bucket to read from.
  expect_failures = [aws_api_gateway_rest_api.this]
}

run "unknown_function" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { fixed = { status = 200, body = "{}" } }
      "GET /y" = { function = "reed" }
    }
  }

  # Terraform refuses the function name "reed", because var.functions has no such function.
  expect_failures = [aws_api_gateway_rest_api.this]
}

run "too_many_resources" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = { for n in range(60) : "GET /a${n}/b/c/d/e" => { fixed = { status = 200, body = "{}" } } }
  }

  # Terraform refuses these routes, because 60 paths of 5 segments each and the root are 301 resources. API Gateway
  # allows 300 and would fail only when Terraform creates the 301st.
  expect_failures = [aws_api_gateway_rest_api.this]
}
