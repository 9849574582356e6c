locals {
  # Cached route -> the inputs (path and query parameters, headers) that its cache key must contain. If one is missing,
  # a request can get the response to another request: a 304 although the client has no copy, an old version although
  # the client asked for its own write, or another origin's CORS header.
  key_rules = { for key, route in local.routes : key => distinct(concat(
    route.inputs,
    route.reads,
    route.backend == null ? ["header.If-None-Match", "header.Readplane-Min-Version"] : [],
    length(var.cors_origins) > 1 ? ["header.Origin"] : [],
  )) if route.cache != null }

  # Cached route -> the required inputs that its cache key lacks. The comparison ignores the case of header names, but
  # not of path and query parameters.
  missing_keys = { for key, needed in local.key_rules : key => [
    for input in needed : input if !contains(
      [for entry in local.cache_keys[key] : startswith(entry, "header.") ? lower(entry) : entry],
      startswith(input, "header.") ? lower(input) : input,
    )
  ] }

  # Route -> the request parameters that its method declares, and whether API Gateway requires them in a request. API
  # Gateway refuses a cache key or mapping that uses an undeclared parameter. Only path parameters are required, because
  # every request has them.
  parameters = { for key, route in local.routes : key => { for input in distinct(concat(
    route.inputs,
    route.reads,
    local.cache_keys[key],
    route.document == null ? [] : ["header.If-None-Match"],
  )) : "method.request.${input}" => startswith(input, "path.") } }
}

resource "aws_api_gateway_authorizer" "this" {
  count = local.authorised ? 1 : 0

  rest_api_id     = aws_api_gateway_rest_api.this.id
  name            = "access-token"
  type            = "COGNITO_USER_POOLS"
  provider_arns   = [var.user_pool_arn]
  identity_source = "method.request.header.Authorization"

  # This Cognito authorizer checks the signature, issuer, expiry and scopes of a token, but not the client that the
  # token was issued to. The functions check the client.
}

resource "aws_api_gateway_method" "route" {
  #checkov:skip=CKV2_AWS_53:The function validates bodies; an unusual Content-Type would bypass a gateway model.

  for_each = local.routes

  rest_api_id   = aws_api_gateway_rest_api.this.id
  resource_id   = local.resource_ids[each.value.path]
  http_method   = each.value.method
  authorization = length(each.value.scopes) > 0 ? "COGNITO_USER_POOLS" : each.value.api_key ? "CUSTOM" : "NONE"
  authorizer_id = length(each.value.scopes) > 0 ? aws_api_gateway_authorizer.this[0].id : each.value.api_key ? aws_api_gateway_authorizer.key[0].id : null

  # With scopes, the Cognito authorizer accepts only access tokens. On a method without scopes, it would accept ID
  # tokens.
  authorization_scopes = length(each.value.scopes) > 0 ? each.value.scopes : null

  # API Gateway counts a call in the key's usage plan only if the method requires an API key. The authorizer alone isn't
  # enough.
  api_key_required = each.value.api_key

  request_parameters = local.parameters[each.key]
}

# Checks the cache settings of every cached route in one place, because each kind of route (function, document, backend)
# has an integration resource of its own.
resource "terraform_data" "cache_rule" {
  for_each = { for key, route in local.routes : key => route.cache if route.cache != null }

  input = each.value

  lifecycle {
    precondition {
      condition     = length(local.missing_keys[each.key]) == 0
      error_message = "The cache key of ${each.key} lacks ${join(", ", local.missing_keys[each.key])}: requests that differ in it would get each other's answers. Add it to cache.key."
    }

    precondition {
      condition     = var.cache_size != null
      error_message = "${each.key} has a cache, but the stage has none: set cache_size, or remove the route's cache."
    }
  }
}

resource "aws_api_gateway_integration" "function" {
  for_each = local.function_routes

  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = local.resource_ids[each.value.path]
  http_method             = aws_api_gateway_method.route[each.key].http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST" # API Gateway must call Lambda's Invoke API by POST
  uri                     = var.functions[each.value.function].invoke_arn

  cache_key_parameters = [for input in try(each.value.cache.key, []) : "method.request.${input}"]
}

# Allows the API to invoke the functions, with one policy statement per function and HTTP method. With one statement per
# route, some 50 collections would exceed the 20 KB that a function's policy may have.
#
# The source ARN names the stage. So the test console of API Gateway can't invoke the functions, because it uses another
# stage.
resource "aws_lambda_permission" "invoke" {
  for_each = { for pair in distinct([for route in values(local.function_routes) : { function = route.function, method = route.method }]) :
  "${pair.function} ${pair.method}" => pair }

  statement_id  = "${var.name}-api-${each.value.method}"
  action        = "lambda:InvokeFunction"
  function_name = var.functions[each.value.function].function_name
  qualifier     = var.functions[each.value.function].qualifier
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/${local.stage_name}/${each.value.method}/*"
}

resource "aws_api_gateway_integration" "fixed" {
  for_each = local.fixed_routes

  rest_api_id = aws_api_gateway_rest_api.this.id
  resource_id = local.resource_ids[each.value.path]
  http_method = aws_api_gateway_method.route[each.key].http_method
  type        = "MOCK"

  # With NEVER, API Gateway responds 415 to a request whose Content-Type isn't application/json. A mock integration
  # takes the status code from a template, and another Content-Type has no template. If API Gateway passed such a
  # request through, the response would be a 500.
  passthrough_behavior = "NEVER"
  request_templates    = { "application/json" = jsonencode({ statusCode = each.value.fixed.status }) }

  # A mock integration calls nothing, so it has no HTTP method. The emulator MiniStack reports one anyway. Without
  # ignore_changes, Terraform would replace the integration because of that difference.
  lifecycle {
    ignore_changes = [integration_http_method]
  }
}

resource "aws_api_gateway_method_response" "fixed" {
  for_each = local.fixed_routes

  rest_api_id = aws_api_gateway_rest_api.this.id
  resource_id = local.resource_ids[each.value.path]
  http_method = aws_api_gateway_method.route[each.key].http_method
  status_code = each.value.fixed.status

  response_parameters = { for header in keys(local.fixed_headers) : "method.response.header.${header}" => true }
}

resource "aws_api_gateway_integration_response" "fixed" {
  for_each = local.fixed_routes

  rest_api_id = aws_api_gateway_rest_api.this.id
  resource_id = local.resource_ids[each.value.path]
  http_method = aws_api_gateway_integration.fixed[each.key].http_method
  status_code = aws_api_gateway_method_response.fixed[each.key].status_code

  response_parameters = { for header, value in local.fixed_headers : "method.response.header.${header}" => "'${value}'" }
  response_templates  = { "application/json" = each.value.fixed.body }
}

locals {
  fixed_headers = merge(local.cors_headers, { "Cache-Control" = "no-store" })
}
