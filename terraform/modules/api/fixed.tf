# Routes that API Gateway answers by itself, with a constant body.
locals {
  fixed_parameters = merge(
    { "method.response.header.Cache-Control" = "'no-store'" },
    { for header, value in local.cors_response_headers : "method.response.header.${header}" => "'${value}'" },
  )

  fixed_integrations = { for key, route in local.fixed_routes : key => {
    type = "mock"

    # With "never", API Gateway responds 415 to a request whose Content-Type isn't application/json. A mock integration
    # takes the status code from a template, and another Content-Type has no template. If API Gateway passed such a
    # request through, the response would be a 500.
    passthroughBehavior = "never"
    requestTemplates    = { "application/json" = jsonencode({ statusCode = route.fixed.status }) }

    responses = { default = {
      statusCode         = tostring(route.fixed.status)
      responseParameters = local.fixed_parameters
      responseTemplates  = { "application/json" = route.fixed.body }
    } }
  } }
}
