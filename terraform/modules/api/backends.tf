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
  #
  # Accept can't be one of them, because OpenAPI ignores a header parameter of that name. A cached route sends a
  # constant instead, so that its response can't depend on the caller's.
  negotiation_headers = [
    "header.Accept-Language", "header.If-Match", "header.If-Modified-Since", "header.If-None-Match", "header.If-Range",
    "header.If-Unmodified-Since", "header.Origin", "header.Range",
  ]

  # Route -> the credential headers that its back office may not see.
  hidden_headers = { for key, route in local.backend_routes : key => [
    for header in local.credential_headers : header
    if !contains([for forwarded in route.backend.forward_headers : lower(forwarded)], lower(header))
  ] }

  backend_parameters = { for key, route in local.backend_routes : key => merge(
    { "integration.request.path.proxy" = "method.request.path.proxy" },
    # The header asks the back office not to compress its response. This API has no binary media types (see
    # rest_api.tf), so API Gateway would treat a compressed body as text and corrupt it.
    { "integration.request.header.Accept-Encoding" = "'identity'" },
    route.cache == null ? {} : { "integration.request.header.Accept" = "'*/*'" },
    { for header in local.hidden_headers[key] : "integration.request.header.${header}" => "'-'" },
  ) }

  backend_integrations = { for key, route in local.backend_routes : key => merge(
    {
      type                = "http_proxy"
      httpMethod          = route.method
      uri                 = "${route.backend.url}/{proxy}"
      requestParameters   = local.backend_parameters[key]
      passthroughBehavior = "when_no_match"
      timeoutInMillis     = route.backend.timeout_ms
      connectionType      = route.backend.vpc_link_id == null ? "INTERNET" : "VPC_LINK"
    },
    { for field, id in { connectionId = route.backend.vpc_link_id } : field => id if id != null },
    local.cache_key_parameters[key],
  ) }

  # Strings that the API's resource policy refuses in any path below /backends. API Gateway decodes a path parameter
  # before it puts the parameter into the back office's URL, so an encoded ".." could lead out of the base path. The
  # policy refuses these strings plain, encoded once and encoded twice, because AWS doesn't say whether it compares a
  # policy with the decoded or the encoded path. An encoded slash would reach the back office as a plain slash
  # anyway. Harmless paths that contain one of the strings, such as "a..b", are refused too.
  refused_in_paths = ["..", "%2e", "%2E", "%2f", "%2F", "%25", "%00"]

  # The resource policy of the API. It applies to every method, whatever authorizer the method has. The ARNs name the
  # API in full, because API Gateway completes the short form "execute-api:/…" only in a policy that is set by itself.
  policy = length(local.backend_routes) == 0 ? null : {
    Version = "2012-10-17"
    Statement = [
      {
        # Allows every call, because each method's authorizer decides who may call the method. Without this statement,
        # the resource policy would refuse every call.
        Sid       = "MethodsDecide"
        Effect    = "Allow"
        Principal = "*"
        Action    = ["execute-api:Invoke"]
        Resource  = ["${local.stage_arn}/*"]
      },
      {
        Sid       = "NoWayOutOfABasePath"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["execute-api:Invoke"]
        Resource  = [for text in local.refused_in_paths : "${local.stage_arn}/*/backends/*${text}*"]
      },
    ]
  }

  stage_arn = "${aws_api_gateway_rest_api.this.execution_arn}/${local.stage_name}"
}

# Allows the API to ask which backend a key opens. An import gives each authorizer a new id, so the permission can't
# name one. The API has only one authorizer that calls a function.
resource "aws_lambda_permission" "authorizer" {
  count = var.key_authorizer == null || length(local.key_routes) == 0 ? 0 : 1

  statement_id  = "${var.name}-api-key-authorizer"
  action        = "lambda:InvokeFunction"
  function_name = var.key_authorizer.function_name
  qualifier     = var.key_authorizer.qualifier
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/authorizers/*"
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
