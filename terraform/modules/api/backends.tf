# API Gateway itself passes requests to the back offices, on the domain of this API. No function waits for a back
# office, so a back office that stalls delays only its own callers.
locals {
  # A back office must not see the credentials with which callers use this API. An HTTP_PROXY integration forwards every
  # header and can't drop one, but a mapping can overwrite a header's value. The mappings below set the value "-", which
  # no server accepts as a credential. An empty value isn't safe, because API Gateway may treat an empty mapping as no
  # mapping (LocalStack does) and forward the header. The list also contains the headers for session cookies of browsers
  # and for credentials of proxies.
  credential_headers = ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"]

  # Request headers on which a back office's response is likely to depend. They are part of every cache key of a
  # backend, so that a cached 304, partial body or translation goes only to callers who asked for it.
  negotiation_headers = [
    "header.Accept", "header.Accept-Language", "header.If-Match", "header.If-Modified-Since", "header.If-None-Match", "header.If-Range",
    "header.If-Unmodified-Since", "header.Origin", "header.Range",
  ]

  cache_keys = { for key, route in local.routes : key => distinct(concat(
    try(route.cache.key, []),
    route.backend != null && route.cache != null ? local.negotiation_headers : [],
  )) }

  backend_parameters = { for key, route in local.backend_routes : key => merge(
    { "integration.request.path.proxy" = "method.request.path.proxy" },
    # The header asks the back office not to compress its response. This API has no binary media types (see
    # resources.tf), so API Gateway would treat a compressed body as text and corrupt it.
    { "integration.request.header.Accept-Encoding" = "'identity'" },
    { for header in local.credential_headers : "integration.request.header.${header}" => "'-'"
    if !contains([for named in route.backend.forward_headers : lower(named)], lower(header)) },
  ) }

  # Strings that the API's resource policy refuses in any path below /backends. API Gateway decodes a path parameter
  # before it puts the parameter into the back office's URL, so an encoded ".." could lead out of the base path. The
  # policy refuses these strings plain, encoded once and encoded twice, because AWS doesn't say whether it compares a
  # policy with the decoded or the encoded path. No caller loses anything. For example, an encoded slash in a path
  # would reach the back office as a plain slash anyway.
  refused_in_paths = ["..", "%2e", "%2E", "%2f", "%2F", "%25", "%00"]

  # The resource policy of the API. It applies to every method, whatever authorizer the method has.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Allows every call, because each method's authorizer decides who may call the method. Without this statement,
        # the resource policy would refuse every call.
        Sid       = "MethodsDecide"
        Effect    = "Allow"
        Principal = "*"
        Action    = ["execute-api:Invoke"]
        Resource  = ["${aws_api_gateway_rest_api.this.execution_arn}/${local.stage_name}/*"]
      },
      {
        Sid       = "NoWayOutOfABasePath"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["execute-api:Invoke"]
        Resource  = [for text in local.refused_in_paths : "${aws_api_gateway_rest_api.this.execution_arn}/${local.stage_name}/*/backends/*${text}*"]
      },
    ]
  })

  # The routes whose callers need an API key and no token. On these routes, the key alone decides who may call.
  key_routes = { for key, route in local.backend_routes : key => route if route.api_key && length(route.scopes) == 0 }
}

resource "aws_api_gateway_rest_api_policy" "this" {
  count = length(local.backend_routes) > 0 ? 1 : 0

  rest_api_id = aws_api_gateway_rest_api.this.id
  policy      = local.policy
}

# The authorizer that decides which backend an API key opens. API Gateway itself only checks that a key belongs to some
# usage plan of the stage. So without this authorizer, one backend's key would open every other backend. (A throttle of
# 0 on the other backends' methods is no solution, because AWS enforces throttles only on a best-effort basis.) AWS too
# advises against authorising callers by API Gateway's own check of keys.
#
# API Gateway caches the authorizer's decision by key and applies it to every request with that key. So the decision
# names all paths that the key opens and doesn't depend on the current request.
resource "aws_api_gateway_authorizer" "key" {
  count = length(local.key_routes) > 0 ? 1 : 0

  rest_api_id                      = aws_api_gateway_rest_api.this.id
  name                             = "api-key"
  type                             = "REQUEST"
  authorizer_uri                   = var.key_authorizer.invoke_arn
  identity_source                  = "method.request.header.X-Api-Key"
  authorizer_result_ttl_in_seconds = 300
}

resource "aws_lambda_permission" "authorizer" {
  count = length(local.key_routes) > 0 ? 1 : 0

  statement_id  = "${var.name}-api-key-authorizer"
  action        = "lambda:InvokeFunction"
  function_name = var.key_authorizer.function_name
  qualifier     = var.key_authorizer.qualifier
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/authorizers/${aws_api_gateway_authorizer.key[0].id}"
}

resource "aws_api_gateway_integration" "backend" {
  for_each = local.backend_routes

  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = local.resource_ids[each.value.path]
  http_method             = aws_api_gateway_method.route[each.key].http_method
  type                    = "HTTP_PROXY"
  integration_http_method = each.value.method
  uri                     = "${each.value.backend.url}/{proxy}"
  request_parameters      = local.backend_parameters[each.key]
  timeout_milliseconds    = each.value.backend.timeout_ms
  connection_type         = each.value.backend.vpc_link_id == null ? "INTERNET" : "VPC_LINK"
  connection_id           = each.value.backend.vpc_link_id
  cache_key_parameters    = [for input in local.cache_keys[each.key] : "method.request.${input}"]
}

# The usage plan of each backend with API keys. It limits the callers of the backend, counted over all of the backend's
# methods. AWS enforces the limits on a best-effort basis, so they protect a back office but are too inexact for
# billing.
resource "aws_api_gateway_usage_plan" "this" {
  for_each = var.usage_plans

  name        = "${var.name}-${each.key}"
  description = "Callers of the back office ${each.key}"

  api_stages {
    api_id = aws_api_gateway_rest_api.this.id
    stage  = aws_api_gateway_stage.this.stage_name
  }

  throttle_settings {
    rate_limit  = each.value.throttle.rate
    burst_limit = each.value.throttle.burst
  }

  dynamic "quota_settings" {
    for_each = each.value.quota == null ? [] : [each.value.quota]

    content {
      limit  = quota_settings.value.limit
      period = quota_settings.value.period
    }
  }
}

resource "aws_api_gateway_usage_plan_key" "this" {
  for_each = var.usage_plans

  usage_plan_id = aws_api_gateway_usage_plan.this[each.key].id
  key_id        = each.value.key_id
  key_type      = "API_KEY"
}
