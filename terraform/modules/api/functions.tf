# Routes that a function answers.
locals {
  function_integrations = { for key, route in local.function_routes : key => merge(
    {
      type                = "aws_proxy"
      httpMethod          = "POST" # API Gateway must call Lambda's Invoke API by POST
      uri                 = try(var.functions[route.function].invoke_arn, "")
      passthroughBehavior = "when_no_match"
    },
    local.cache_key_parameters[key],
  ) }

  # With one statement per route, some 50 collections would exceed the 20 KB that a function's policy may have.
  calls = { for call in distinct([
    for route in values(local.function_routes) : { function = route.function, method = route.method }
  ]) : "${call.function} ${call.method}" => call if !contains(local.unknown_functions, call.function) }

  # The API may also call the alias that CodeDeploy moves, because it still calls one of the aliases while Terraform
  # switches it to the other.
  permissions = merge(
    { for key, call in local.calls : key => merge(call, { alias = var.functions[call.function].qualifier }) },
    { for key, call in local.calls : "${key} released" =>
      merge(call, { alias = var.functions[call.function].released_alias })
      if var.functions[call.function].released_alias != null
    },
  )
}

# Allows the API to invoke the functions, with one policy statement per function and HTTP method.
#
# The source ARN names the stage. So the test console of API Gateway can't invoke the functions, because it uses another
# stage.
resource "aws_lambda_permission" "invoke" {
  for_each = local.permissions

  statement_id  = "${var.name}-api-${each.value.method}"
  action        = "lambda:InvokeFunction"
  function_name = var.functions[each.value.function].function_name
  qualifier     = each.value.alias
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/${local.stage_name}/${each.value.method}/*"
}
