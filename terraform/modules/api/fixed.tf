# Routes that API Gateway answers by itself, with a constant body.
locals {
  fixed_headers = merge(local.cors_headers, { "Cache-Control" = "no-store" })

  fixed_parameters = { for header, value in local.fixed_headers : "method.response.header.${header}" => "'${value}'" }

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

  fixed_responses = { for key, route in local.fixed_routes : key => {
    (tostring(route.fixed.status)) = {
      description = "${route.fixed.status} response"
      headers     = { for header in keys(local.fixed_headers) : header => { schema = { type = "string" } } }
    }
  } }
}
