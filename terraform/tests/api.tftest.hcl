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
      cache    = { ttl = 60, key = ["querystring.limit", "querystring.cursor"] }
    }
    "POST /items/products" = { function = "write", scopes = ["readplane/write"], per_caller = true }
    "GET /items/products/{item_id}" = {
      function = "read"
      reads    = ["path.item_id", "querystring.min_version"]
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
      cache = { ttl = 30, key = ["path.item_id"] }
    }
    "GET /documents/prices/{item_id}" = {
      document = {
        key      = "authenticated/prices/{item_id}.json"
        role_arn = "arn:aws:iam::111122223333:role/documents-authenticated"
      }
      scopes = ["readplane/read"]
      reads  = ["path.item_id"]
      cache  = { ttl = 30, key = ["path.item_id"] }
    }
    "GET /documents/sources/shop" = {
      document = {
        key      = "public/sources/shop.json"
        role_arn = "arn:aws:iam::111122223333:role/documents-public"
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

  # What the assertions expect: the headers that scripts may send and read, the type of an error's body, and the id in
  # it, which a client can't choose.
  sent_headers = [
    "Authorization", "Content-Type", "Idempotency-Key", "If-None-Match",
    "Content-Encoding", "Content-Range", "If-Match", "If-Unmodified-Since",
    "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override",
    "traceparent", "sentry-trace",
  ]
  exposed    = "'Allow,Cache-Status,ETag,Location,Readplane-Stale,Readplane-Version,Retry-After'"
  problem    = "'application/problem+json'"
  request_id = "$context.extendedRequestId"
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
      "read HEAD"    = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/HEAD/*"
      "write DELETE" = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/DELETE/*"
      "write POST"   = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/POST/*"
      "write PUT"    = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1/PUT/*"
    }

    # What could be a secret or personal data, as fields of the access log name it.
    secrets = "(?i)authorization[^.]|header|identity.apiKey[^I]|error.message|input|[$]context.path\""

    stage_settings = {
      caching_enabled        = false
      data_trace_enabled     = false
      metrics_enabled        = false
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
      "HEAD /items/products/{item_id}"    = "~1items~1products~1{item_id}/HEAD"
      "GET /documents/products/{item_id}" = "~1documents~1products~1{item_id}/GET"
      "GET /documents/prices/{item_id}"   = "~1documents~1prices~1{item_id}/GET"
    }

    limit_names = ["caching_enabled", "cache_ttl_in_seconds", "throttling_rate_limit", "throttling_burst_limit"]
    limits = {
      "GET /items/products"               = [true, 60, 100, 200]
      "GET /items/products/{item_id}"     = [false, 0, 5, 10]
      "HEAD /items/products/{item_id}"    = [false, 0, 5, 10]
      "GET /documents/products/{item_id}" = [true, 30, 100, 200]
      "GET /documents/prices/{item_id}"   = [true, 30, 100, 200]
    }

  }

  # --- The API and its document

  assert {
    condition     = output.routes == sort(keys(var.routes)) && output.stage_name == "v1"
    error_message = "The output has the routes of the table, and the stage is the first segment of every path."
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
      jsondecode(aws_api_gateway_stage.this.access_log_settings[0].format).request_id == var.request_id
    )
    error_message = "The access log is JSON, and names the request by the same id as a problem document."
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
    error_message = "A route is cached only if it has a cache. It has its own throttle or the stage's, for HEAD too."
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
      !method.settings[0].metrics_enabled && !method.settings[0].data_trace_enabled
    ])
    error_message = "A route with settings of its own has no metrics that cost money either, and logs no bodies."
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
    condition     = length(aws_api_gateway_domain_name.this) + length(aws_route53_record.this) == 0
    error_message = "Without a domain, the API has only its own address."
  }

  assert {
    condition     = !aws_api_gateway_rest_api.this.disable_execute_api_endpoint
    error_message = "Without a domain, the API answers on its own address."
  }
}

# The document of the run "everything".
run "metrics_of_each_method" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    method_metrics = true
  }

  assert {
    condition     = aws_api_gateway_method_settings.stage.settings[0].metrics_enabled
    error_message = "method_metrics buys the metrics of every method."
  }

  assert {
    condition = alltrue([
      for method in aws_api_gateway_method_settings.route : method.settings[0].metrics_enabled
    ])
    error_message = "method_metrics also buys the metrics of the methods with settings of their own."
  }
}

run "document" {
  command = plan

  module {
    source = "./tests/document"
  }

  variables {
    document = run.everything.document

    # What the assertions below expect.
    parameters = {
      "GET /items/products"                                = ["query.limit", "query.cursor"]
      "GET /items/products/{item_id}"                      = ["path.item_id", "query.min_version"]
      "HEAD /items/products/{item_id}"                     = ["path.item_id", "query.min_version"]
      "PUT /items/products/{item_id}"                      = ["path.item_id"]
      "DELETE /items/products/{item_id}"                   = ["path.item_id"]
      "GET /items/products/{item_id}/changes/{change_id}"  = ["path.item_id", "path.change_id"]
      "HEAD /items/products/{item_id}/changes/{change_id}" = ["path.item_id", "path.change_id"]
      "GET /documents/products/{item_id}"                  = ["path.item_id"]
      "GET /documents/prices/{item_id}"                    = ["path.item_id"]
      "GET /documents/profiles/{item_id}"                  = ["path.item_id", "header.If-None-Match"]
      "HEAD /documents/profiles/{item_id}"                 = ["path.item_id", "header.If-None-Match"]
      "GET /documents/sources/shop"                        = ["header.If-None-Match"]
      "HEAD /documents/sources/shop"                       = ["header.If-None-Match"]
    }

    # The HEAD routes that follow from the GET routes.
    head_routes = [
      "HEAD /documents/profiles/{item_id}",
      "HEAD /documents/sources/shop",
      "HEAD /health",
      "HEAD /items/products/{item_id}",
      "HEAD /items/products/{item_id}/changes/{change_id}",
    ]

    security = {
      "POST /items/products"               = [{ access_token = ["readplane/write"] }]
      "PUT /items/products/{item_id}"      = [{ access_token = ["readplane/write"] }]
      "DELETE /items/products/{item_id}"   = [{ access_token = ["readplane/write"] }]
      "GET /documents/prices/{item_id}"    = [{ access_token = ["readplane/read"] }]
      "GET /documents/profiles/{item_id}"  = [{ access_token = ["readplane/read"] }]
      "HEAD /documents/profiles/{item_id}" = [{ access_token = ["readplane/read"] }]
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

    cache_key = ["method.request.querystring.limit", "method.request.querystring.cursor"]

    document_request = {
      type        = "aws"
      httpMethod  = "GET"
      credentials = "arn:aws:iam::111122223333:role/documents-public"
      uri = join("/", [
        "arn:aws:apigateway:eu-central-1:s3:path", var.documents_bucket, "public/products/{item_id}.json",
      ])
      requestParameters   = { "integration.request.path.item_id" = "'-'" }
      passthroughBehavior = "never"
      requestTemplates = { "application/json" = join("", [
        "#set($item_id = \"$input.params().path.get('item_id')\")",
        "#if($item_id.matches('([A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,256}'))",
        "#set($item_id = $util.urlDecode($item_id))",
        "#end",
        "#if($item_id.matches('[A-Za-z0-9][A-Za-z0-9._~-]{0,255}'))",
        "#set($context.requestOverride.path.item_id = $item_id)",
        "#end",
      ]) }
      cacheKeyParameters = ["method.request.path.item_id"]
    }

    owner_parameters = {
      "integration.request.header.If-None-Match" = "method.request.header.If-None-Match"
      "integration.request.path.item_id"         = "'-'"
      "integration.request.path.sub"             = "'-'"
    }

    owner_templates = { "application/json" = join("", [
      "#set($item_id = \"$input.params().path.get('item_id')\")",
      "#set($sub = \"$context.authorizer.claims.sub\")",
      "#if($item_id.matches('([A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,256}'))",
      "#set($item_id = $util.urlDecode($item_id))",
      "#end",
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

    # The pattern of S3's statuses -> the status of the response.
    document_statuses = { "200" = "200", "304" = "304", "403|404" = "404", "500|503" = "503", default = "502" }

    # Route -> status -> when to retry, in seconds. The 503 of a cached route stays for its ttl.
    document_retries = {
      "GET /documents/prices/{item_id}"    = { "503" = "'30'" }
      "GET /documents/products/{item_id}"  = { "503" = "'30'" }
      "GET /documents/profiles/{item_id}"  = { "503" = "'1'" }
      "HEAD /documents/profiles/{item_id}" = { "503" = "'1'" }
      "GET /documents/sources/shop"        = { "503" = "'1'" }
      "HEAD /documents/sources/shop"       = { "503" = "'1'" }
    }

    shared_with = {
      "GET /documents/prices/{item_id}"    = "'Authorization'"
      "GET /documents/profiles/{item_id}"  = "'Authorization'"
      "HEAD /documents/profiles/{item_id}" = "'Authorization'"
    }

    # Path -> its own methods, which a 405 names.
    allowed = {
      "/documents/prices/{item_id}"                   = "'GET,OPTIONS'"
      "/documents/products/{item_id}"                 = "'GET,OPTIONS'"
      "/documents/profiles/{item_id}"                 = "'GET,HEAD,OPTIONS'"
      "/documents/sources/shop"                       = "'GET,HEAD,OPTIONS'"
      "/health"                                       = "'GET,HEAD,OPTIONS'"
      "/items/products"                               = "'GET,OPTIONS,POST'"
      "/items/products/{item_id}"                     = "'DELETE,GET,HEAD,OPTIONS,PUT'"
      "/items/products/{item_id}/changes/{change_id}" = "'GET,HEAD,OPTIONS'"
    }

    refusal = {
      status = "405"
      headers = {
        "Access-Control-Allow-Origin"   = "'*'"
        "Access-Control-Expose-Headers" = var.exposed
        "Allow"                         = "'GET,HEAD,OPTIONS'"
        "Cache-Control"                 = "'no-store'"
        "Content-Type"                  = var.problem
      }
      body = {
        type       = "about:blank"
        title      = "Method Not Allowed"
        status     = 405
        detail     = "This path doesn't have that method. The header Allow lists the methods that it has."
        request_id = "$context.extendedRequestId"
      }
    }

    refused_types = [
      "application/json",
      "application/json-patch+json",
      "application/merge-patch+json",
      "application/octet-stream",
      "application/x-www-form-urlencoded",
      "application/xml",
      "multipart/form-data",
      "text/plain",
      "text/xml",
    ]

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
      INTEGRATION_FAILURE            = "503"
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

    # The refusals after which a retry in a second may succeed.
    retried = ["AUTHORIZER_FAILURE", "DEFAULT_5XX", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "THROTTLED"]
  }

  assert {
    condition     = output.document.openapi == "3.0.1"
    error_message = "API Gateway imports OpenAPI 3.0, not 3.1."
  }

  assert {
    condition = setunion(keys(var.routes), var.head_routes) == toset([
      for route in keys(output.operations) : route if !can(regex("^(OPTIONS|ANY) ", route))
    ])
    error_message = "The document has the routes of the table, and a HEAD for each GET that isn't cached."
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
    condition = alltrue([
      for route in ["/items/products/{item_id}", "/health"] :
      output.operations["HEAD ${route}"] == output.operations["GET ${route}"]
    ])
    error_message = "A HEAD is answered like its GET: by the same function or the same fixed response."
  }

  assert {
    condition = output.requests["HEAD /documents/profiles/{item_id}"] == merge(
      output.requests["GET /documents/profiles/{item_id}"], { httpMethod = "HEAD" }
    )
    error_message = "S3 answers the HEAD of a document, from the same key and by the same role."
  }

  assert {
    condition = (
      output.responses["HEAD /documents/profiles/{item_id}"] == output.responses["GET /documents/profiles/{item_id}"]
    )
    error_message = "The HEAD of a document has the statuses and headers of its GET."
  }

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
      constant there is no item's id, and only a whole id of the allowed form replaces it, after one decoding. A GET
      with another Content-Type is refused, because the template wouldn't run for it. A cached route maps no header.
    EOT
  }

  assert {
    condition     = output.integrations["GET /documents/profiles/{item_id}"].requestParameters == var.owner_parameters
    error_message = "On a route without a cache, S3 answers 304 if the client has the document already."
  }

  assert {
    condition     = output.integrations["GET /documents/sources/shop"].requestTemplates["application/json"] == "##"
    error_message = "The template of a key without parameters prints nothing."
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
      for pattern, response in output.responses["GET /documents/profiles/{item_id}"] : pattern => response.status
    }
    error_message = "S3's 403 for a missing key becomes a 404, and every status without a pattern becomes a 502."
  }

  assert {
    condition = keys(output.responses["GET /documents/products/{item_id}"]) == [
      for pattern in keys(var.document_statuses) : pattern if pattern != "304"
    ]
    error_message = "A cached route has no 304, because a client without the document would get it from the cache."
  }

  assert {
    condition     = output.retries == var.document_retries
    error_message = "Only after a 503 may a retry help. On a cached route, the client waits until the 503 is gone."
  }

  assert {
    condition     = output.shared_with == var.shared_with
    error_message = "A browser's cache gives a document that needs a token only to requests with the same token."
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
    condition = toset(values(var.document_statuses)) == toset(
      keys(output.operations["GET /documents/profiles/{item_id}"].responses)
    )
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

  # --- What API Gateway answers to a method that a path doesn't have

  assert {
    condition     = { for path, refusal in output.refusals : path => refusal.headers.Allow } == var.allowed
    error_message = "Every path of a route refuses other methods, and names those that it has."
  }

  assert {
    condition     = output.refusals["/health"] == var.refusal
    error_message = "The refusal is a problem document that scripts of web pages can read."
  }

  assert {
    condition = output.integrations["ANY /items/products"].requestTemplates == {
      for type in var.refused_types : type => "{\"statusCode\":405}"
    }
    error_message = "A request with one of the usual content types gets a 405, whatever its body says."
  }

  assert {
    condition = alltrue([
      for route, call in output.integrations : call.type == "mock" && call.passthroughBehavior == "never"
      if startswith(route, "ANY ")
    ])
    error_message = "The refusal calls nothing, and no body can choose the status."
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
    condition     = alltrue([for r in output.gateway_responses : r.body.request_id == var.request_id])
    error_message = "A refusal names the request, so that operators find it in the log."
  }

  assert {
    condition     = !strcontains(jsonencode(output.document), "$context.requestId")
    error_message = "No response contains an id that the client can choose."
  }

  assert {
    condition     = !strcontains(jsonencode(values(output.gateway_responses)[*].body), "context.error")
    error_message = "Refusals leave out API Gateway's own message, which can quote the Authorization header."
  }

  assert {
    condition = var.retried == [
      for type, response in output.gateway_responses : type if lookup(response.headers, "Retry-After", "") == "'1'"
    ]
    error_message = "Retry-After says when to retry, if a retry can succeed."
  }

  assert {
    condition = ["EXPIRED_TOKEN", "UNAUTHORIZED"] == [
      for type, response in output.gateway_responses : type if can(response.headers.WWW-Authenticate)
    ]
    error_message = "WWW-Authenticate says how to sign in."
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
    cors_origins     = []
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
    cors_headers  = ["traceparent", "sentry-trace"]
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
    preflight_paths = distinct(concat([for route in keys(var.routes) : split(" ", route)[1]], ["/", "/{proxy+}"]))
    preflight = {
      status = "204"
      headers = {
        "Access-Control-Allow-Headers" = "'${join(",", var.sent_headers)}'"
        "Access-Control-Allow-Methods" = "'DELETE,GET,HEAD,PATCH,POST,PUT'"
        "Access-Control-Allow-Origin"  = "'https://app.example.com'"
        "Access-Control-Max-Age"       = "'7200'"
      }
      body = null
    }
  }

  assert {
    condition     = toset(var.preflight_paths) == toset(keys(output.preflights))
    error_message = "Every path has a preflight, also one that no route has, so that a script can read the 404."
  }

  assert {
    condition = toset(["OPTIONS /", "OPTIONS /{proxy+}"]) == toset([
      for route in keys(output.operations) : route if can(regex(" /([{]proxy[+][}])?$", route))
    ])
    error_message = "Unknown paths have nothing but a preflight, so every other request to them gets a 404."
  }

  assert {
    condition = alltrue([
      for route, integration in output.integrations : integration.type == "mock" if startswith(route, "OPTIONS ")
    ])
    error_message = "A preflight calls nothing."
  }

  assert {
    condition     = !anytrue([for route in keys(output.security) : can(regex("^(OPTIONS|ANY) ", route))])
    error_message = "A preflight needs no token, because a browser sends none with it. A refusal needs none either."
  }

  assert {
    condition     = output.preflights["/items/products/{item_id}"] == var.preflight
    error_message = <<-EOT
      A preflight allows every method, so that scripts can read a 405. It allows every header that the API reads or
      refuses, and those of cors_headers. It names Authorization, because no wildcard covers it.
    EOT
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

run "key_and_unescaped_paths" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    cors_origins        = []
    kms_key_arn         = "arn:aws:kms:eu-central-1:111122223333:key/k"
    escape_method_paths = false
  }

  assert {
    condition     = !strcontains(output.document, "Access-Control") && !strcontains(output.document, "\"options\"")
    error_message = "Without origins there is neither a preflight nor a CORS header."
  }

  assert {
    condition     = !strcontains(output.document, "{proxy+}")
    error_message = "Without origins, no resource is needed for the preflights of unknown paths."
  }

  assert {
    condition = strcontains(
      jsonencode(jsondecode(output.document).paths["/health"].x-amazon-apigateway-any-method), "'GET,HEAD'"
    )
    error_message = "Without origins, a path has no OPTIONS, so a 405 doesn't name it."
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

  # Terraform refuses an input that is no path parameter and no query parameter, because nothing else can be part of a
  # cache key.
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
        cache    = { ttl = 60, key = ["cookie.x"] }
      }
    }
  }

  # Terraform refuses an input that is no path parameter and no query parameter, because nothing else can be part of a
  # cache key.
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
        cache    = { ttl = 60, key = [] }
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
        cache      = { ttl = 60, key = [] }
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
        cache = { ttl = 60, key = [] }
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
        cache    = { ttl = 0, key = [] }
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
        cache    = { ttl = 3601, key = [] }
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
        cache    = { ttl = 60, key = ["path.item_id", "querystring.limit"] }
      }
    }
  }

  assert {
    condition     = length(regexall("cacheKeyParameters", output.document)) == 1
    error_message = "A complete cache key is accepted, with several origins too, because every response names \"*\"."
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
        cache    = { ttl = 60, key = ["querystring.limit"] }
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
        cache    = { ttl = 60, key = ["path.item_id"] }
      }
    }
  }

  # Terraform refuses this cache key: every request would get the first requested page.
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
        cache    = { ttl = 60, key = [] }
      }
    }
  }

  # Terraform refuses this cache key: every request would get the first requested item, although the route has no
  # `reads`.
  expect_failures = [terraform_data.rules]
}

run "cache_key_of_a_document_without_its_parameter" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x/{item_id}" = {
        document = { key = "public/{item_id}.json", role_arn = "arn:aws:iam::111122223333:role/documents-public" }
        cache    = { ttl = 60, key = [] }
      }
    }
  }

  # Terraform refuses this cache key, because the rule also covers documents.
  expect_failures = [terraform_data.rules]
}

run "cache_key_with_a_header" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { function = "read", cache = { ttl = 60, key = ["header.if-none-match"] } }
    }
  }

  # Terraform refuses a header in a cache key. An HTTP/2 client sends the name in another case than the key has it, so
  # its value would be missing from the key.
  expect_failures = [terraform_data.rules]
}

run "cached_route_that_reads_a_header" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x" = { function = "read", reads = ["header.Origin"], cache = { ttl = 60, key = [] } }
    }
  }

  # Terraform refuses a cached response that depends on a header, because other callers would get it too.
  expect_failures = [terraform_data.rules]
}

run "head_of_the_table" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /x"  = { function = "read" }
      "HEAD /x" = { function = "write" }
    }
  }

  assert {
    condition = strcontains(
      jsondecode(output.document).paths["/x"].head.x-amazon-apigateway-integration.uri, "readplane-write"
    )
    error_message = "A HEAD route of the table wins over the one that follows from a GET route."
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
        cache    = { ttl = 60, key = ["path.item_id", "querystring.limit"] }
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

  # Terraform refuses these routes, because 60 paths of 5 segments each, the root and {proxy+} are 302 resources. API
  # Gateway allows 300 and would fail only when Terraform puts in the document.
  expect_failures = [terraform_data.rules]
}

run "too_many_resources_with_the_path_of_preflights" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = { for n in range(299) : "GET /a${n}" => { fixed = { status = 200, body = "{}" } } }
  }

  # Terraform refuses these routes, because 299 paths and the root leave no resource for {proxy+}.
  expect_failures = [terraform_data.rules]
}

run "as_many_resources_as_an_api_holds" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    cors_origins = []
    routes       = { for n in range(299) : "GET /a${n}" => { fixed = { status = 200, body = "{}" } } }
  }

  assert {
    condition     = length(output.routes) == 299
    error_message = "Without preflights, the routes may use all 300 resources but the root."
  }
}

run "document_with_another_cache_control_than_in_s3" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = { "GET /documents/prices/{item_id}" = {
      scopes = ["readplane/read"]
      document = {
        key           = "authenticated/documents/prices/{item_id}"
        role_arn      = "arn:aws:iam::111122223333:role/documents-authenticated"
        cache_control = "private, max-age=30"
      }
    } }

    route        = "GET /documents/prices/{item_id}"
    header       = "method.response.header.Cache-Control"
    expected_200 = "'private, max-age=30'"
    expected_404 = "'no-store'"
  }

  assert {
    condition = alltrue([for s in ["200", "304"] : (
      local.document_mappings[var.route][s].responseParameters[var.header] == var.expected_200
    )])
    error_message = "The API doesn't repeat the Cache-Control that S3 has for the edge."
  }

  assert {
    condition     = local.document_mappings[var.route]["403|404"].responseParameters[var.header] == var.expected_404
    error_message = "An error keeps its own Cache-Control."
  }
}
