# Back offices behind the same domain: passed through by API Gateway itself. No function waits for them, so a back office that stalls
# holds up nobody else.
locals {
  # What identifies the caller here is nobody else's business. HTTP_PROXY passes every header on and can't drop one, but a mapping replaces
  # what came. By a constant and not by '', because an empty mapping may count as none (on LocalStack it does) and let the header through;
  # no server takes "-" for a credential. The header of a browser's session and of a proxy in between are no different.
  credential_headers = ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"]

  # Whatever a back office is likely to answer differently for, so that a cached 304, a part of a body or another language is only given
  # to those who asked for just that.
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
    # This API has no binary media types (see resources.tf): a compressed body would be read as text, and spoiled.
    { "integration.request.header.Accept-Encoding" = "'identity'" },
    { for header in local.credential_headers : "integration.request.header.${header}" => "'-'"
    if !contains([for named in route.backend.forward_headers : lower(named)], lower(header)) },
  ) }

  # API Gateway decodes a path parameter before it puts it into the back office's URL, where dots would climb out of the base path. So these
  # are refused in any path below /backends, as they are and as they are written encoded, once or twice: AWS doesn't say which of the two
  # forms a policy is compared with. None of them is needed: an encoded slash would arrive as a plain one.
  refused_in_paths = ["..", "%2e", "%2E", "%2f", "%2F", "%25", "%00"]

  # Holds for every method, whoever authorises it.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Who may call what is decided by each method's authorizer; without this statement nobody could call anything.
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

  # With scopes the token decides. Without, the key does.
  key_routes = { for key, route in local.backend_routes : key => route if route.api_key && length(route.scopes) == 0 }
}

resource "aws_api_gateway_rest_api_policy" "this" {
  count = length(local.backend_routes) > 0 ? 1 : 0

  rest_api_id = aws_api_gateway_rest_api.this.id
  policy      = local.policy
}

# API Gateway itself only checks that a key is in some usage plan of the stage: the key of one back office would open every other, and AWS
# advises against keys as authorisation for just that reason. (A throttle of 0 for the others' methods is no way out: AWS calls throttles
# best effort.) So this authorizer says which back office a key opens. Its answer is kept per key and names paths, not the request at hand.
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

# The limits of one back office's callers, counted over all its methods. AWS applies them with best effort: they protect, they don't bill.
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
