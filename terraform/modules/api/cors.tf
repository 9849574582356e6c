locals {
  # The CORS headers of responses that no function makes. If var.cors_origins has a single origin, every response of the
  # API names that origin, so a cached response is the same for all callers. With several origins, a function's response
  # names the origin of the request. A response that API Gateway itself makes can't choose an origin and names "*". That
  # is safe, because callers are identified by a bearer token and never by a cookie.
  cors_headers = length(var.cors_origins) == 0 ? {} : {
    "Access-Control-Allow-Origin"   = length(var.cors_origins) == 1 ? var.cors_origins[0] : "*"
    "Access-Control-Expose-Headers" = "ETag,Location,Readplane-Stale,Readplane-Version,Retry-After"
  }

  # The paths that need an OPTIONS method. Every route's path needs one, because a browser sends a preflight before it
  # sends a token or a JSON body.
  preflight_paths = length(var.cors_origins) == 0 ? toset([]) : local.route_paths

  preflight_headers = { for path in local.preflight_paths : path => {
    "Access-Control-Allow-Origin" = local.cors_headers["Access-Control-Allow-Origin"]
    # The allowed headers are listed one by one, because a "*" wouldn't cover Authorization.
    "Access-Control-Allow-Headers" = join(",", concat(
      ["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Readplane-Min-Version"],
      startswith(path, "backends/") ? ["X-Api-Key"] : [],
    ))
    "Access-Control-Allow-Methods" = join(",", sort([for route in values(local.routes) : route.method if route.path == path]))
    "Access-Control-Max-Age"       = "7200" # seconds, the longest for which Chromium caches a preflight
  } }
}

# The OPTIONS methods that answer preflights. They have no authorizer, because a preflight carries no token.
resource "aws_api_gateway_method" "preflight" {
  #checkov:skip=CKV2_AWS_53:A preflight has no body or parameters to validate.

  for_each = local.preflight_paths

  rest_api_id   = aws_api_gateway_rest_api.this.id
  resource_id   = local.resource_ids[each.value]
  http_method   = "OPTIONS"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "preflight" {
  for_each = local.preflight_paths

  rest_api_id          = aws_api_gateway_rest_api.this.id
  resource_id          = local.resource_ids[each.value]
  http_method          = aws_api_gateway_method.preflight[each.value].http_method
  type                 = "MOCK"
  passthrough_behavior = "NEVER"
  request_templates    = { "application/json" = jsonencode({ statusCode = 204 }) }

  # A mock integration calls nothing, so it has no HTTP method. The emulator MiniStack reports one anyway. Without
  # ignore_changes, Terraform would replace the integration because of that difference.
  lifecycle {
    ignore_changes = [integration_http_method]
  }
}

resource "aws_api_gateway_method_response" "preflight" {
  for_each = local.preflight_paths

  rest_api_id         = aws_api_gateway_rest_api.this.id
  resource_id         = local.resource_ids[each.value]
  http_method         = aws_api_gateway_method.preflight[each.value].http_method
  status_code         = "204"
  response_parameters = { for header in keys(local.preflight_headers[each.value]) : "method.response.header.${header}" => true }
}

resource "aws_api_gateway_integration_response" "preflight" {
  for_each = local.preflight_paths

  rest_api_id         = aws_api_gateway_rest_api.this.id
  resource_id         = local.resource_ids[each.value]
  http_method         = aws_api_gateway_integration.preflight[each.value].http_method
  status_code         = aws_api_gateway_method_response.preflight[each.value].status_code
  response_parameters = { for header, value in local.preflight_headers[each.value] : "method.response.header.${header}" => "'${value}'" }
}
