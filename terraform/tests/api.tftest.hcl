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
      invoke_arn    = "arn:aws:apigateway:eu-central-1:lambda:path/readplane-read:live/invocations"
      function_name = "readplane-read"
      qualifier     = "live"
    }
    write = {
      arn           = "arn:aws:lambda:eu-central-1:111122223333:function:readplane-write:live"
      invoke_arn    = "arn:aws:apigateway:eu-central-1:lambda:path/readplane-write:live/invocations"
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
        key = [
          "querystring.limit", "querystring.cursor",
          "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin",
        ]
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
      document = {
        key      = "public/products/{item_id}.json"
        role_arn = "arn:aws:iam::111122223333:role/documents-public"
      }
      reads = ["path.item_id"]
      cache = {
        ttl = 30
        key = ["path.item_id", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"]
      }
    }
    "GET /documents/profiles/{item_id}" = {
      document = {
        key      = "owner/profiles/{sub}/{item_id}.json"
        role_arn = "arn:aws:iam::111122223333:role/documents-owner"
      }
      scopes     = ["readplane/read"]
      per_caller = true
      reads      = ["path.item_id"]
    }
  }

  cors_origins = ["https://app.example.com", "https://admin.example.com"]

  # What the assertions of several runs expect: the headers that scripts may send and read.
  sent_headers = "Authorization,Content-Type,Idempotency-Key,If-None-Match,Readplane-Min-Version"
  exposed      = "'ETag,Location,Readplane-Stale,Readplane-Version,Retry-After'"
}

run "everything" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    # What the assertions below expect.
    permission = ["lambda:InvokeFunction", "apigateway.amazonaws.com", "live"]
    callers = {
      "read GET"     = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/GET/*"
      "write DELETE" = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/DELETE/*"
      "write POST"   = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/POST/*"
      "write PUT"    = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/PUT/*"
    }

    # What could be a secret or personal data, as fields of the access log name it.
    secrets = "(?i)authorization[^.]|header|identity.apiKey[^I]|error.message|input|[$]context.path\""

    stage_settings = {
      caching_enabled        = false
      data_trace_enabled     = false
      metrics_enabled        = true
      throttling_rate_limit  = 100
      throttling_burst_limit = 200
    }

    protection = {
      cache_data_encrypted                       = true
      require_authorization_for_cache_control    = true
      unauthorized_cache_control_header_strategy = "SUCCEED_WITHOUT_RESPONSE_HEADER"
    }

    method_paths = {
      "GET /items/products"               = "~1items~1products/GET"
      "GET /items/products/{item_id}"     = "~1items~1products~1{item_id}/GET"
      "GET /documents/products/{item_id}" = "~1documents~1products~1{item_id}/GET"
    }

    limit_names = ["caching_enabled", "cache_ttl_in_seconds", "throttling_rate_limit", "throttling_burst_limit"]
    limits = {
      "GET /items/products"               = [true, 60, 100, 200]
      "GET /items/products/{item_id}"     = [false, 0, 5, 10]
      "GET /documents/products/{item_id}" = [true, 30, 100, 200]
    }

    logging_policy = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
  }

  # --- The API and its document

  assert {
    condition     = output.routes == sort(keys(var.routes)) && output.stage_name == "v1"
    error_message = "Every route is deployed and in the output, and the stage is the first segment of every path."
  }

  assert {
    condition     = aws_api_gateway_rest_api.this.endpoint_configuration[0].types == tolist(["REGIONAL"])
    error_message = "By default, the endpoint is regional."
  }

  assert {
    condition     = aws_api_gateway_rest_api.this.disable_execute_api_endpoint == false
    error_message = "Clients call the default endpoint, so it stays on."
  }

  assert {
    condition     = try(length(aws_api_gateway_rest_api.this.binary_media_types), 0) == 0
    error_message = "Without binary media types, API Gateway doesn't re-encode bodies, so documents stay byte for byte."
  }

  assert {
    condition = (
      aws_api_gateway_rest_api_put.this.body == output.document
      && aws_api_gateway_rest_api_put.this.rest_api_id == aws_api_gateway_rest_api.this.id
    )
    error_message = "The document is put into this API."
  }

  assert {
    condition     = aws_api_gateway_rest_api_put.this.fail_on_warnings == true
    error_message = "API Gateway refuses what it doesn't understand."
  }

  assert {
    condition     = aws_api_gateway_deployment.this.triggers == tomap({ document = sha256(output.document) })
    error_message = "A deployment follows from the document and from nothing else."
  }

  assert {
    condition     = jsondecode(output.document).info.title == aws_api_gateway_rest_api.this.name
    error_message = "An import sets the API's name. Another name would make every plan differ."
  }

  assert {
    condition     = jsondecode(output.document).info.description == aws_api_gateway_rest_api.this.description
    error_message = "An import sets the API's description. Another description would make every plan differ."
  }

  # --- Who may call the functions

  assert {
    condition     = { for key, call in aws_lambda_permission.invoke : key => call.source_arn } == var.callers
    error_message = <<-EOT
      Only this API, on this stage and with a route's method, may call a function, and the policy doesn't grow with the
      routes.
    EOT
  }

  assert {
    condition = alltrue([for call in aws_lambda_permission.invoke :
      [call.action, call.principal, call.qualifier] == var.permission
    ])
    error_message = "API Gateway may invoke the live alias of a function, and do nothing else."
  }

  # --- The stage

  assert {
    condition     = aws_api_gateway_stage.this.xray_tracing_enabled && aws_api_gateway_stage.this.stage_name == "v1"
    error_message = "Requests are traced."
  }

  assert {
    condition     = !can(regex(var.secrets, aws_api_gateway_stage.this.access_log_settings[0].format))
    error_message = "The access log holds no token, header or message that could quote one."
  }

  assert {
    condition = (
      jsondecode(aws_api_gateway_stage.this.access_log_settings[0].format).request_id == "$context.requestId"
    )
    error_message = "The access log is JSON, and names the request."
  }

  assert {
    condition     = aws_api_gateway_method_settings.stage.method_path == "*/*"
    error_message = "The stage's settings apply to every method."
  }

  assert {
    condition = var.stage_settings == {
      for name in keys(var.stage_settings) : name => aws_api_gateway_method_settings.stage.settings[0][name]
    }
    error_message = "The stage has throttles and metrics, logs no bodies, and caches nothing unless a route says so."
  }

  assert {
    condition = { for key, method in aws_api_gateway_method_settings.route : key => method.method_path
    } == var.method_paths
    error_message = "A method's settings have its path with ~1 for every slash; with plain slashes they have no effect."
  }

  assert {
    condition = var.limits == { for key, method in aws_api_gateway_method_settings.route : key => [
      for name in var.limit_names : method.settings[0][name]
    ] }
    error_message = "A route is cached only if it has a cache, and uses its own throttle, or else the stage's."
  }

  assert {
    condition = var.protection == {
      for name in keys(var.protection) : name => aws_api_gateway_method_settings.stage.settings[0][name]
    }
    error_message = "The cache is encrypted, and a browser's reload neither empties it nor fails."
  }

  assert {
    condition = alltrue([for route in aws_api_gateway_method_settings.route :
      [for key in keys(var.protection) : route.settings[0][key]] == values(var.protection)
    ])
    error_message = "The cache of each route is encrypted, and a browser's reload neither empties it nor fails."
  }

  assert {
    condition = alltrue([for method in aws_api_gateway_method_settings.route :
      method.settings[0].metrics_enabled && !method.settings[0].data_trace_enabled
    ])
    error_message = "A route with settings of its own has metrics too, and logs no bodies either."
  }

  assert {
    condition = (
      aws_api_gateway_stage.this.cache_cluster_enabled
      && aws_api_gateway_stage.this.cache_cluster_size == var.cache_size
    )
    error_message = "cache_size creates the cache cluster."
  }

  # --- The logs

  assert {
    condition     = aws_cloudwatch_log_group.execution.name == "API-Gateway-Execution-Logs_a1b2c3d4e5/v1"
    error_message = "The execution log has the log group that API Gateway writes to."
  }

  assert {
    condition = alltrue([
      for log in [aws_cloudwatch_log_group.access, aws_cloudwatch_log_group.execution] : log.retention_in_days == 30
    ])
    error_message = "The logs expire. If API Gateway created the log group, its entries would not."
  }

  assert {
    condition = alltrue([
      for log in [aws_cloudwatch_log_group.access, aws_cloudwatch_log_group.execution] : log.kms_key_id == null
    ])
    error_message = "Without a key, the log groups have none."
  }

  assert {
    condition = (
      length(aws_api_gateway_account.this) == 1
      && aws_iam_role_policy_attachment.logging[0].policy_arn == var.logging_policy
    )
    error_message = "The account has a role for logs. Without it, API Gateway refuses a stage with logs."
  }

  assert {
    condition = jsondecode(aws_iam_role.logging[0].assume_role_policy).Statement[0].Principal == {
      Service = "apigateway.amazonaws.com"
    }
    error_message = "Only API Gateway may assume the role for logs."
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
    parameters = {
      "GET /items/products" = [
        "query.limit", "query.cursor", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin",
      ]
      "GET /items/products/{item_id}"                     = ["path.item_id"]
      "PUT /items/products/{item_id}"                     = ["path.item_id"]
      "DELETE /items/products/{item_id}"                  = ["path.item_id"]
      "GET /items/products/{item_id}/changes/{change_id}" = ["path.item_id", "path.change_id"]
      "GET /documents/products/{item_id}" = [
        "path.item_id", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin",
      ]
      "GET /documents/profiles/{item_id}" = ["path.item_id", "header.If-None-Match"]
    }

    security = {
      "POST /items/products"              = [{ access_token = ["readplane/write"] }]
      "PUT /items/products/{item_id}"     = [{ access_token = ["readplane/write"] }]
      "DELETE /items/products/{item_id}"  = [{ access_token = ["readplane/write"] }]
      "GET /documents/profiles/{item_id}" = [{ access_token = ["readplane/read"] }]
    }

    schemes = {
      access_token = {
        type                           = "apiKey"
        name                           = "Authorization"
        in                             = "header"
        "x-amazon-apigateway-authtype" = "cognito_user_pools"
        "x-amazon-apigateway-authorizer" = {
          type         = "cognito_user_pools"
          providerARNs = [var.user_pool_arn]
        }
      }
    }

    put = {
      parameters = [{ name = "item_id", in = "path", required = true, schema = { type = "string" } }]
      security   = [{ access_token = ["readplane/write"] }]
      responses  = { "200" = { description = "200 response" } }
      "x-amazon-apigateway-integration" = {
        type                = "aws_proxy"
        httpMethod          = "POST"
        uri                 = var.functions.write.invoke_arn
        passthroughBehavior = "when_no_match"
      }
    }

    cache_key = [
      "method.request.querystring.limit",
      "method.request.querystring.cursor",
      "method.request.header.If-None-Match",
      "method.request.header.Readplane-Min-Version",
      "method.request.header.Origin",
    ]

    document_request = {
      type        = "aws"
      httpMethod  = "GET"
      credentials = "arn:aws:iam::111122223333:role/documents-public"
      uri = join("/", [
        "arn:aws:apigateway:eu-central-1:s3:path", var.documents_bucket, "public/products/{item_id}.json",
      ])
      requestParameters = {
        "integration.request.header.If-None-Match" = "method.request.header.If-None-Match"
        "integration.request.path.item_id"         = "'-'"
      }
      passthroughBehavior = "never"
      requestTemplates = { "application/json" = join("", [
        "#set($item_id = \"$input.params().path.get('item_id')\")",
        "#if($item_id.matches('[A-Za-z0-9][A-Za-z0-9._~-]{0,255}'))",
        "#set($context.requestOverride.path.item_id = $item_id)",
        "#end",
      ]) }
      cacheKeyParameters = [
        "method.request.path.item_id",
        "method.request.header.If-None-Match",
        "method.request.header.Readplane-Min-Version",
        "method.request.header.Origin",
      ]
    }

    owner_templates = { "application/json" = join("", [
      "#set($item_id = \"$input.params().path.get('item_id')\")",
      "#set($sub = \"$context.authorizer.claims.sub\")",
      "#if($item_id.matches('[A-Za-z0-9][A-Za-z0-9._~-]{0,255}') && $sub.matches('[A-Za-z0-9][A-Za-z0-9-]{0,127}'))",
      "#set($context.requestOverride.path.item_id = $item_id)",
      "#set($context.requestOverride.path.sub = $sub)",
      "#end",
    ]) }

    document_response = {
      status = "200"
      headers = {
        "Content-Type"                  = "integration.response.header.Content-Type"
        "ETag"                          = "integration.response.header.ETag"
        "Cache-Control"                 = "integration.response.header.Cache-Control"
        "Last-Modified"                 = "integration.response.header.Last-Modified"
        "Readplane-Version"             = "integration.response.header.x-amz-meta-readplane-version"
        "Access-Control-Allow-Origin"   = "'*'"
        "Access-Control-Expose-Headers" = var.exposed
      }
      body = null
    }

    problem           = "'application/problem+json'"
    declared_statuses = ["200", "304", "404", "502", "503"]

    # The pattern of S3's statuses -> the status of the response.
    document_statuses = { "200" = "200", "304" = "304", "403|404" = "404", "500|503" = "503", default = "502" }

    health = {
      type                = "mock"
      passthroughBehavior = "never"
      requestTemplates    = { "application/json" = "{\"statusCode\":200}" }
      responses = { default = {
        statusCode        = "200"
        responseTemplates = { "application/json" = var.routes["GET /health"].fixed.body }
        responseParameters = {
          "method.response.header.Access-Control-Allow-Origin"   = "'*'"
          "method.response.header.Access-Control-Expose-Headers" = var.exposed
          "method.response.header.Cache-Control"                 = "'no-store'"
        }
      } }
    }

    refusals = {
      ACCESS_DENIED                  = "403"
      API_CONFIGURATION_ERROR        = "500"
      AUTHORIZER_CONFIGURATION_ERROR = "500"
      AUTHORIZER_FAILURE             = "500"
      BAD_REQUEST_BODY               = "400"
      BAD_REQUEST_PARAMETERS         = "400"
      DEFAULT_4XX                    = null
      DEFAULT_5XX                    = null
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

    # The refusal -> the header that says what the caller can do.
    advice = { UNAUTHORIZED = "WWW-Authenticate", THROTTLED = "Retry-After", INTEGRATION_TIMEOUT = "Retry-After" }
  }

  assert {
    condition     = output.document.openapi == "3.0.1"
    error_message = "API Gateway imports OpenAPI 3.0, not 3.1."
  }

  assert {
    condition = toset(keys(var.routes)) == toset([
      for route in keys(output.operations) : route if !startswith(route, "OPTIONS ")
    ])
    error_message = "The document has exactly the routes of the table."
  }

  assert {
    condition     = output.parameters == var.parameters
    error_message = "Each route declares what it reads and caches by. API Gateway refuses an undeclared cache key."
  }

  assert {
    condition     = output.required_parameters == tolist(["path"])
    error_message = "A request may leave out every header and query parameter."
  }

  # --- Who may call

  assert {
    condition     = output.security == var.security
    error_message = "Every route with scopes has the authorizer and its scopes. Without them it would accept ID tokens."
  }

  assert {
    condition     = output.document.components.securitySchemes == var.schemes
    error_message = "Tokens are checked against this stack's user pool."
  }

  # --- Who answers

  assert {
    condition     = output.operations["PUT /items/products/{item_id}"] == var.put
    error_message = "A function is called through its alias, and Lambda is always called by POST."
  }

  assert {
    condition     = output.integrations["GET /items/products"].cacheKeyParameters == var.cache_key
    error_message = "The cache key reaches API Gateway."
  }

  assert {
    condition     = output.requests["GET /documents/products/{item_id}"] == var.document_request
    error_message = <<-EOT
      Each document route reads its own prefix with its own role. No part of a request is mapped into an object key: the
      constant there is no item's id, and only a whole id of the allowed form replaces it, so nothing encoded gets in. A
      GET with another Content-Type is refused, because the template wouldn't run for it.
    EOT
  }

  assert {
    condition     = output.integrations["GET /documents/profiles/{item_id}"].requestTemplates == var.owner_templates
    error_message = "The subject of the checked token, and nothing of the request, selects an owner's document."
  }

  assert {
    condition     = output.responses["GET /documents/products/{item_id}"]["200"] == var.document_response
    error_message = "S3's headers and bytes pass through unchanged."
  }

  assert {
    condition = var.document_statuses == {
      for pattern, response in output.responses["GET /documents/products/{item_id}"] : pattern => response.status
    }
    error_message = "S3's 403 for a missing key becomes a 404, and every status without a pattern becomes a 502."
  }

  assert {
    condition = alltrue([
      for error in output.errors["GET /documents/products/{item_id}"] : error.body.status == tonumber(error.status)
    ])
    error_message = "S3's errors become problem documents, without S3's XML, which names bucket and key."
  }

  assert {
    condition = alltrue([
      for error in output.errors["GET /documents/products/{item_id}"] : error.headers["Content-Type"] == var.problem
    ])
    error_message = "Problem documents have their own content type."
  }

  assert {
    condition     = length(output.undeclared_headers) == 0
    error_message = "API Gateway refuses to set a header that the method's response doesn't declare."
  }

  assert {
    condition     = keys(output.operations["GET /documents/products/{item_id}"].responses) == var.declared_statuses
    error_message = "The method declares every status that its responses have."
  }

  assert {
    condition     = output.integrations["GET /health"] == var.health
    error_message = "A fixed response calls nothing."
  }

  assert {
    condition     = keys(output.operations["GET /health"].responses) == ["200"]
    error_message = "A fixed response has one status."
  }

  # --- What API Gateway answers when it refuses a request

  assert {
    condition     = { for type, response in output.gateway_responses : type => response.status } == var.refusals
    error_message = <<-EOT
      Each refusal has its status. An unknown route, which API Gateway calls a missing token, is a 404. The defaults set
      no status, because it would be forced on other types.
    EOT
  }

  assert {
    condition = alltrue([
      for response in output.gateway_responses : lookup(response.body, "status", null) == tonumber(response.status)
    ])
    error_message = "The problem document of a refusal names the status of the response."
  }

  assert {
    condition     = alltrue([for r in output.gateway_responses : r.headers["Content-Type"] == var.problem])
    error_message = "Refusals are problem documents."
  }

  assert {
    condition     = alltrue([for r in output.gateway_responses : r.body.request_id == "$context.requestId"])
    error_message = "A refusal names the request, so that operators find it in the log."
  }

  assert {
    condition     = !strcontains(jsonencode(values(output.gateway_responses)[*].body), "context.error")
    error_message = "Refusals leave out API Gateway's own message, which can quote the Authorization header."
  }

  assert {
    condition = [for type, header in var.advice : output.gateway_responses[type].headers[header]] == [
      "'1'", "'1'", "'Bearer'",
    ]
    error_message = "WWW-Authenticate says how to sign in, and Retry-After when to retry."
  }

  # --- What scripts of web pages may read

  assert {
    condition     = alltrue([for headers in output.own_headers : headers["Access-Control-Allow-Origin"] == "'*'"])
    error_message = "With several origins, API Gateway's own responses allow all of them."
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
    condition     = !aws_api_gateway_stage.this.cache_cluster_enabled
    error_message = "cache_size = null creates no cluster, because a cluster costs by the hour."
  }

  assert {
    condition = (
      length(aws_api_gateway_method_settings.route) == 0
      && !aws_api_gateway_method_settings.stage.settings[0].caching_enabled
    )
    error_message = "Without a cluster, nothing is cached."
  }

  assert {
    condition     = length(aws_lambda_permission.invoke) == 0
    error_message = "Without a function, nobody may call one."
  }

  assert {
    condition     = jsondecode(output.document).components.securitySchemes == {}
    error_message = "Without a protected route, the document has no authorizer."
  }

  assert {
    condition     = keys(jsondecode(output.document).paths) == ["/health"]
    error_message = "The document has no path that no route needs."
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
}

# The document of the run "edge_and_one_origin".
run "document_with_one_origin" {
  command = plan

  module {
    source = "./tests/document"
  }

  variables {
    document = run.edge_and_one_origin.document

    # What the assertions below expect.
    preflight_paths = distinct([for route in keys(var.routes) : split(" ", route)[1]])
    preflight = {
      status = "204"
      headers = {
        "Access-Control-Allow-Headers" = "'${var.sent_headers}'"
        "Access-Control-Allow-Methods" = "'DELETE,GET,PUT'"
        "Access-Control-Allow-Origin"  = "'https://app.example.com'"
        "Access-Control-Max-Age"       = "'7200'"
      }
      body = null
    }
  }

  assert {
    condition = toset(var.preflight_paths) == toset([
      for route in keys(output.operations) : trimprefix(route, "OPTIONS ") if startswith(route, "OPTIONS ")
    ])
    error_message = "Every path with a method has a preflight."
  }

  assert {
    condition = alltrue([
      for route, integration in output.integrations : integration.type == "mock" if startswith(route, "OPTIONS ")
    ])
    error_message = "A preflight calls nothing."
  }

  assert {
    condition     = !anytrue([for route in keys(output.security) : startswith(route, "OPTIONS ")])
    error_message = "A preflight needs no token, because a browser sends none with it."
  }

  assert {
    condition     = output.responses["OPTIONS /items/products/{item_id}"] == { default = var.preflight }
    error_message = "A preflight allows the path's own methods, and names Authorization because no wildcard covers it."
  }

  assert {
    condition     = length(output.undeclared_headers) == 0
    error_message = "API Gateway refuses to set a header that the method's response doesn't declare."
  }

  assert {
    condition = alltrue([
      for headers in output.own_headers : headers["Access-Control-Allow-Origin"] == "'https://app.example.com'"
    ])
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
    condition     = !strcontains(output.document, "Access-Control") && !strcontains(output.document, "\"options\"")
    error_message = "Without origins there is neither a preflight nor a CORS header."
  }

  assert {
    condition = (
      length(aws_api_gateway_account.this) == 0
      && length(aws_iam_role.logging) + length(aws_iam_role_policy_attachment.logging) == 0
    )
    error_message = "manage_account_logging = false leaves the account's setting alone."
  }

  assert {
    condition = alltrue([for group in [aws_cloudwatch_log_group.access, aws_cloudwatch_log_group.execution] :
      group.kms_key_id == var.kms_key_arn
    ])
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
    source = "./tests/routes"
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
    source = "./tests/routes"
  }

  variables {
    routes = {
      "FETCH /x" = { fixed = { status = 200, body = "{}" } }
    }
  }

  # Terraform refuses the HTTP method FETCH, because API Gateway doesn't support it.
  expect_failures = [var.routes]
}

run "proxy_path" {
  command = plan

  module {
    source = "./tests/routes"
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
    source = "./tests/routes"
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
    source = "./tests/routes"
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
  expect_failures = [terraform_data.rules]
}

run "cache_key_with_an_unknown_kind_of_input" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = {
        function = "read"
        cache = {
          ttl = 60
          key = ["cookie.x", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"]
        }
      }
    }
  }

  # Terraform refuses an input that is no path parameter, query parameter or header, because nothing else can be part of
  # a cache key.
  expect_failures = [terraform_data.rules]
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
  expect_failures = [terraform_data.rules]
}

run "document_of_an_unknown_parameter" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        document = { key = "public/{item}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }
      }
    }
  }

  # Terraform refuses {item} in the object key, because the path has only {item_id}. The braces would stay in the key,
  # and S3 would have no such document.
  expect_failures = [terraform_data.rules]
}

run "document_key_with_a_leading_slash" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        document = { key = "/public/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }
      }
    }
  }

  # Terraform refuses a document key with a leading slash. The keys of published documents have none, so S3 would have
  # no such document.
  expect_failures = [var.routes]
}

run "path_parameter_called_sub" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "GET /x/{sub}" = {
        document   = { key = "public/{sub}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }
        scopes     = ["readplane/read"]
        per_caller = true
      }
    }
  }

  # Terraform refuses a path parameter named sub, because {sub} in a document key stands for the caller's user id. The
  # module could take the value in the path for it.
  expect_failures = [var.routes]
}

run "document_route_that_writes" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "PUT /x/{item_id}" = {
        document = { key = "public/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }
      }
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
      "GET /x/{item_id}" = {
        document = {
          key      = "owner/{sub}/{item_id}.json"
          role_arn = "arn:aws:iam::111122223333:role/documents-public"
        }
        per_caller = true
      }
    }
  }

  # Terraform refuses {sub} in the document key of a route without scopes. Such a route is open to everybody, so there
  # is no token to take the user id from.
  expect_failures = [terraform_data.rules]
}

run "owner_document_without_per_caller" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        document = { key = "owner/{sub}/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }
        scopes   = ["readplane/read"]
      }
    }
  }

  # Terraform refuses {sub} in a document key without per_caller. The route could be cached, and one owner would get
  # another's document.
  expect_failures = [terraform_data.rules]
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
  expect_failures = [terraform_data.rules]
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
  expect_failures = [terraform_data.rules]
}

run "fixed_response_with_an_invalid_status" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "GET /x" = { fixed = { status = 99, body = "{}" } }
    }
  }

  # Terraform refuses a fixed response whose status isn't a valid HTTP status.
  expect_failures = [var.routes]
}

run "fixed_response_with_a_status_above_599" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "GET /x" = { fixed = { status = 600, body = "{}" } }
    }
  }

  # Terraform refuses a fixed response whose status isn't a valid HTTP status.
  expect_failures = [var.routes]
}

run "route_throttled_to_nothing" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "GET /x" = { fixed = { status = 200, body = "{}" }, throttle = { rate = 0, burst = 1 } }
    }
  }

  # Terraform refuses a throttle of 0, because API Gateway would respond 429 to every request.
  expect_failures = [var.routes]
}

run "route_with_a_burst_of_nothing" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "GET /x" = { fixed = { status = 200, body = "{}" }, throttle = { rate = 1, burst = 0 } }
    }
  }

  # Terraform refuses a burst of 0, because API Gateway would respond 429 to every request.
  expect_failures = [var.routes]
}

run "cached_write" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "POST /x" = {
        function = "write"
        cache    = { ttl = 60, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] }
      }
    }
  }

  # Terraform refuses a cache on a route that writes. If the response came from the cache, the write wouldn't happen.
  expect_failures = [var.routes]
}

run "cached_per_caller" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "GET /x" = {
        function   = "read"
        per_caller = true
        cache      = { ttl = 60, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] }
      }
    }
  }

  # Terraform refuses a cache on a route with per_caller. The cache key doesn't contain the caller, so one caller would
  # get another's response.
  expect_failures = [var.routes]
}

run "cached_fixed_response" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "GET /x" = {
        fixed = { status = 200, body = "{}" }
        cache = { ttl = 60, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] }
      }
    }
  }

  # Terraform refuses a cache on a fixed response. API Gateway calls nothing to make the response, so a cache would save
  # nothing.
  expect_failures = [var.routes]
}

run "cache_too_short" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "GET /x" = {
        function = "read"
        cache    = { ttl = 0, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] }
      }
    }
  }

  # Terraform refuses a cache TTL of 0. API Gateway wouldn't cache the responses, although the route has cache settings.
  expect_failures = [var.routes]
}

run "cache_too_long" {
  command = plan

  module {
    source = "./tests/routes"
  }

  variables {
    routes = {
      "GET /x" = {
        function = "read"
        cache    = { ttl = 3601, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] }
      }
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
      "GET /x/{item_id}" = {
        function = "read"
        reads    = ["path.item_id", "querystring.limit"]
        cache = {
          ttl = 60
          key = [
            "path.item_id", "querystring.limit",
            "header.if-none-match", "header.readplane-min-version", "header.origin",
          ]
        }
      }
    }
  }

  assert {
    condition     = length(regexall("cacheKeyParameters", output.document)) == 1
    error_message = "A complete cache key is accepted, with header names in any case."
  }
}

run "cache_key_without_path_parameter" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        function = "read"
        reads    = ["path.item_id", "querystring.limit"]
        cache = {
          ttl = 60
          key = ["querystring.limit", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"]
        }
      }
    }
  }

  # Terraform refuses this cache key: every request would get the first requested item.
  expect_failures = [terraform_data.rules]
}

run "cache_key_without_query_parameter" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        function = "read"
        reads    = ["path.item_id", "querystring.limit"]
        cache = {
          ttl = 60
          key = ["path.item_id", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"]
        }
      }
    }
  }

  # Terraform refuses this cache key: every request would get the first requested page.
  expect_failures = [terraform_data.rules]
}

run "cache_key_without_if_none_match" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        function = "read"
        reads    = ["path.item_id"]
        cache    = { ttl = 60, key = ["path.item_id", "header.Readplane-Min-Version", "header.Origin"] }
      }
    }
  }

  # Terraform refuses this cache key: a client without a copy would get a 304.
  expect_failures = [terraform_data.rules]
}

run "cache_key_without_min_version" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        function = "read"
        reads    = ["path.item_id"]
        cache    = { ttl = 60, key = ["path.item_id", "header.If-None-Match", "header.Origin"] }
      }
    }
  }

  # Terraform refuses this cache key: a client wouldn't see its own write.
  expect_failures = [terraform_data.rules]
}

run "cache_key_without_origin" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        function = "read"
        reads    = ["path.item_id"]
        cache    = { ttl = 60, key = ["path.item_id", "header.If-None-Match", "header.Readplane-Min-Version"] }
      }
    }
  }

  # Terraform refuses this cache key: one origin would get the CORS header of another.
  expect_failures = [terraform_data.rules]
}

run "cache_key_without_undeclared_path_parameter" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        function = "read"
        reads    = []
        cache    = { ttl = 60, key = ["header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"] }
      }
    }
  }

  # Terraform refuses this cache key: every request would get the first requested item, although the route has no
  # `reads`.
  expect_failures = [terraform_data.rules]
}

run "cache_key_of_a_document_without_if_none_match" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        document = { key = "public/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }
        cache    = { ttl = 60, key = ["path.item_id", "header.Readplane-Min-Version", "header.Origin"] }
      }
    }
  }

  # Terraform refuses this cache key, because the rule also covers documents.
  expect_failures = [terraform_data.rules]
}

run "cache_key_with_a_header_that_imports_ignore" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = {
        function = "read"
        cache = {
          ttl = 60
          key = ["header.accept", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"]
        }
      }
    }
  }

  # Terraform refuses the header Accept, because API Gateway would leave it out of the cache key.
  expect_failures = [terraform_data.rules]
}

run "reads_a_header_that_imports_ignore" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { function = "read", reads = ["header.Content-Type"] }
    }
  }

  # Terraform refuses the header Content-Type, because API Gateway would leave it out of the method's parameters.
  expect_failures = [terraform_data.rules]
}

run "cache_key_without_the_only_origin" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        function = "read"
        reads    = ["path.item_id", "querystring.limit"]
        cache = {
          ttl = 60
          key = ["path.item_id", "querystring.limit", "header.If-None-Match", "header.Readplane-Min-Version"]
        }
      }
    }
    cors_origins = ["https://app.example.com"]
  }

  assert {
    condition     = length(regexall("cacheKeyParameters", output.document)) == 1
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
      "GET /x/{item_id}" = {
        function = "read"
        reads    = ["path.item_id", "querystring.limit"]
        cache = {
          ttl = 60
          key = [
            "path.item_id", "querystring.limit",
            "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin",
          ]
        }
      }
    }
    cache_size = null
  }

  # Terraform refuses a route with a cache if cache_size is null, because without a cache cluster API Gateway never
  # caches.
  expect_failures = [terraform_data.rules]
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
  expect_failures = [terraform_data.rules]
}

run "document_without_a_bucket" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        document = { key = "public/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }
      }
    }
    documents_bucket = null
  }

  # Terraform refuses a document route if documents_bucket is null, because there is no bucket to read from.
  expect_failures = [terraform_data.rules]
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
  expect_failures = [terraform_data.rules]
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
  expect_failures = [terraform_data.rules]
}
