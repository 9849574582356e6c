# API Gateway itself passes requests to the back offices, on the domain of this API. No function waits for a back
# office, so a back office that stalls delays only its own callers.
#
# An uncached route passes the whole request on (an HTTP_PROXY integration), and the whole response back. A cached route
# must not let anything but its cache key reach the back office, because its response goes to other callers too. So its
# integration (HTTP) passes on the inputs that the key holds, and nothing else.
locals {
  # A back office must not see the credentials with which callers use this API. An HTTP_PROXY integration forwards every
  # header and can't drop one, but a mapping can overwrite a header's value. The mappings below set the value "-", which
  # no server accepts as a credential. An empty value isn't safe, because API Gateway may treat an empty mapping as no
  # mapping (LocalStack does) and forward the header. The list also contains the headers for session cookies of browsers
  # and for credentials of proxies.
  credential_headers = ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"]

  # Behind an edge, the header Referer holds the secret of the lock (policy.tf), and not what the client sent. No
  # setting forwards it.
  lock_headers = var.origin == null ? [] : ["Referer"]

  # Uncached route -> the credential headers that its back office may not see.
  hidden_headers = { for key, route in local.backend_routes : key => concat(local.lock_headers, [
    for header in local.credential_headers : header
    if !contains([for forwarded in route.backend.forward_headers : lower(forwarded)], lower(header))
  ]) if route.cache == null }

  # Route -> the headers with which API Gateway calls the back office, instead of the caller's. Accept-Encoding asks for
  # a response that isn't compressed. This API has no binary media types (see rest_api.tf), so API Gateway would treat a
  # compressed body as text and corrupt it.
  backend_headers = { for key, route in local.backend_routes : key => merge(
    { Accept-Encoding = "'identity'" },
    route.cache == null ? {} : { Accept = "'*/*'" }, # API Gateway would send "application/json"
    { for header in lookup(local.hidden_headers, key, []) : header => "'-'" },
  ) }

  backend_parameters = { for key, route in local.backend_routes : key => merge(
    { for input in try(route.cache.key, ["path.proxy"]) : "integration.request.${input}" => "method.request.${input}" },
    { for header, value in local.backend_headers[key] : "integration.request.header.${header}" => value },
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
    lookup(local.cached_backends, key, {}),
    local.cache_key_parameters[key],
  ) }

  # Cached route -> the fields of its integration that differ from an uncached one's. The template is a comment, so the
  # request to the back office has no body. If a request has another Content-Type than application/json, API Gateway
  # responds 415 instead of passing on the body. API Gateway caches responses of the back office, and not its own.
  cached_backends = { for key, route in local.backend_routes : key => {
    type                = "http"
    passthroughBehavior = "never"
    requestTemplates    = { "application/json" = "##" }
    responses           = local.backend_mappings[key]
  } if route.cache != null }

  # The statuses of a back office that a cached route gives to the caller, with the back office's own body. An HTTP
  # integration can't pass on any status, because each needs a response of its own. Every other status becomes API
  # Gateway's own 502, also the back office's 502, because only one response can have that status. A 304 is among the
  # others, because API Gateway sends no condition.
  backend_statuses = [
    "200", "203", "204", "301", "302", "303", "307", "308", "400", "401", "403", "404", "405", "406", "409", "410",
    "422", "429", "500", "501", "503", "504",
  ]

  # The headers of a back office that a cached route gives to the caller.
  passed_headers = [
    "Cache-Control", "Content-Disposition", "Content-Language", "Content-Type", "ETag", "Expires", "Last-Modified",
    "Link", "Location", "Retry-After",
  ]

  # The headers of a back office's response on a cached route. API Gateway itself sets the CORS headers, because the
  # back office doesn't see the request's origin.
  backend_response_headers = merge(
    { for header in local.passed_headers : header => "integration.response.header.${header}" },
    { for header, value in local.cors_response_headers : header => "'${value}'" },
  )

  # Cached route -> status of the back office -> the response to the client.
  backend_mappings = { for key, route in local.backend_routes : key => merge(
    { for status in local.backend_statuses : status => {
      statusCode = status
      responseParameters = { for header, value in merge(local.backend_response_headers, local.vary_headers[key]) :
        "method.response.header.${header}" => value
      }
    } },
    { default = {
      statusCode = "502"
      responseParameters = { for header, value in merge(local.mapped_problem_headers, local.vary_headers[key]) :
        "method.response.header.${header}" => value
      }
      responseTemplates = { "application/json" = local.problems["502"] }
    } },
  ) if route.cache != null }

  # Strings that the API's resource policy refuses in any path below /backends. API Gateway decodes a path parameter
  # before it puts the parameter into the back office's URL, so an encoded ".." could lead out of the base path. The
  # policy refuses these strings plain, encoded once and encoded twice, because AWS doesn't say whether it compares a
  # policy with the decoded or the encoded path. An encoded slash would reach the back office as a plain slash
  # anyway. Harmless paths that contain one of the strings, such as "a..b", are refused too.
  refused_in_paths = ["..", "%2e", "%2E", "%2f", "%2F", "%25", "%00"]

  # The statement of the resource policy that refuses them.
  path_statements = [for paths in [local.refused_in_paths] : {
    Sid       = "NoWayOutOfABasePath"
    Effect    = "Deny"
    Principal = "*"
    Action    = ["execute-api:Invoke"]
    Resource  = [for text in paths : "${local.stage_arn}/*/backends/*${text}*"]
  } if length(local.backend_routes) > 0]

  # The aliases that the authorizer may call. functions.tf says why there may be two.
  authorizer_aliases = var.key_authorizer == null || length(local.key_routes) == 0 ? [] : compact([
    var.key_authorizer.qualifier, var.key_authorizer.released_alias,
  ])
}

# Allows the API to ask which backend a key opens. An import gives each authorizer a new id, so the permission can't
# name one. The API has only one authorizer that calls a function.
#
# Another source ARN needs another statement_id, because Terraform adds the new permission before it removes the old
# one, and Lambda refuses a second statement with the same id. Version 0.1.0 used "…-api-key-authorizer" for one
# authorizer.
resource "aws_lambda_permission" "authorizer" {
  count = length(local.authorizer_aliases)

  statement_id  = "${var.name}-api-authorizers"
  action        = "lambda:InvokeFunction"
  function_name = var.key_authorizer.function_name
  qualifier     = local.authorizer_aliases[count.index]
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/authorizers/*"
}

# The usage plan of each backend with API keys. It limits each key, counted over all of the backend's methods. AWS
# enforces the limits on a best-effort basis, so they protect a back office but are too inexact for billing.
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

locals {
  # Our own id of an API key -> the key's usage plan, and its id in API Gateway.
  plan_keys = merge([for backend, plan in var.usage_plans : {
    for id, key_id in plan.key_ids : id => { plan = backend, key_id = key_id }
  }]...)
}

resource "aws_api_gateway_usage_plan_key" "this" {
  for_each = local.plan_keys

  usage_plan_id = aws_api_gateway_usage_plan.this[each.value.plan].id
  key_id        = each.value.key_id
  key_type      = "API_KEY"

  # A new value of a key is in the plan before the old one leaves it.
  lifecycle {
    create_before_destroy = true
  }
}
