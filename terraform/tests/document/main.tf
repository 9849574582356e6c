# Takes the OpenAPI document of module api apart, so that the tests can compare its parts. It creates nothing.
#
# A key "METHOD /path" stands for a route. The methods OPTIONS, which answer preflights, and ANY, which refuse every
# other method, are among the routes.
variable "document" {
  description = "The OpenAPI document that module api puts into API Gateway, as JSON text."
  type        = string
}

locals {
  document = jsondecode(var.document)

  operations = merge([for path, item in local.document.paths : {
    for method, operation in item : "${lookup(local.extension_methods, method, upper(method))} ${path}" => operation
  }]...)

  extension_methods = { x-amazon-apigateway-any-method = "ANY" }

  integrations = { for route, operation in local.operations : route => operation["x-amazon-apigateway-integration"] }

  # The headers that API Gateway sets in its own responses, as "route status header", and those that the operations
  # declare.
  set_headers = flatten([for route, responses in local.responses : [
    for response in values(responses) : formatlist("%s %s %s", route, response.status, keys(response.headers))
  ]])
  declared_headers = flatten([for route, operation in local.operations : [
    for status, response in operation.responses : formatlist("%s %s %s", route, status, keys(response.headers))
    if can(response.headers)
  ]])

  # Route -> the parts of a request that API Gateway sends otherwise than they came.
  mappings = {
    for route, integration in local.integrations : route => integration.requestParameters
    if can(integration.requestParameters)
  }

  # Route -> the pattern of the status that API Gateway gets -> the response that it makes of it.
  responses = { for route, integration in local.integrations : route => {
    for pattern, response in lookup(integration, "responses", {}) : pattern => {
      status  = response.statusCode
      headers = { for name, text in response.responseParameters : trimprefix(name, "method.response.header.") => text }
      body    = can(response.responseTemplates) ? jsondecode(response.responseTemplates["application/json"]) : null
    }
  } }

  gateway_responses = { for type, response in local.document["x-amazon-apigateway-gateway-responses"] : type => {
    status  = lookup(response, "statusCode", null)
    headers = { for name, text in response.responseParameters : trimprefix(name, "gatewayresponse.header.") => text }
    body    = jsondecode(response.responseTemplates["application/json"])
  } }

  own_responses = concat(
    flatten([for responses in values(local.responses) : values(responses)]),
    values(local.gateway_responses),
  )
}

output "document" {
  description = "The whole document."
  value       = local.document
}

output "operations" {
  description = "Route -> its operation."
  value       = local.operations
}

output "parameters" {
  description = "Route -> the inputs that it declares, as path.x, query.x or header.X; only routes that declare any."
  value = { for route, operation in local.operations : route => [
    for parameter in operation.parameters : "${parameter.in}.${parameter.name}"
  ] if can(operation.parameters) }
}

output "required_parameters" {
  description = "The kinds of inputs that a request must have."
  value = distinct(flatten([for operation in values(local.operations) : [
    for parameter in lookup(operation, "parameters", []) : parameter.in if parameter.required
  ]]))
}

output "security" {
  description = "Route -> what its callers need; only routes whose callers need something."
  value       = { for route, operation in local.operations : route => operation.security if can(operation.security) }
}

output "integrations" {
  description = "Route -> its integration."
  value       = local.integrations
}

output "requests" {
  description = "Route -> its integration without the responses: what API Gateway calls, and what it sends."
  value = { for route, integration in local.integrations : route => {
    for field, value in integration : field => value if field != "responses"
  } }
}

output "sent_paths" {
  description = "Route -> parameter of the path that API Gateway calls -> its value; only routes that map a request."
  value = { for route, mapping in local.mappings : route => {
    for part, text in mapping : trimprefix(part, "integration.request.path.") => text if strcontains(part, ".path.")
  } }
}

output "sent_headers" {
  description = "Route -> header that API Gateway sends by itself -> its value; only routes that map a request."
  value = { for route, mapping in local.mappings : route => {
    for part, text in mapping : trimprefix(part, "integration.request.header.") => text if strcontains(part, ".header.")
  } }
}

output "preflights" {
  description = "Path -> the response to its preflight."
  value = {
    for route, responses in local.responses : trimprefix(route, "OPTIONS ") => responses.default
    if startswith(route, "OPTIONS ")
  }
}

output "refusals" {
  description = "Path -> the response to a method that the path doesn't have."
  value = {
    for route, responses in local.responses : trimprefix(route, "ANY ") => responses.default
    if startswith(route, "ANY ")
  }
}

output "shared_with" {
  description = "Route -> the header Vary of its responses, which says who may share them; only routes that set it."
  value = {
    for route, responses in local.responses :
    route => join(",", distinct([for response in responses : response.headers.Vary]))
    if alltrue([for response in responses : can(response.headers.Vary)]) && length(responses) > 0
  }
}

output "responses" {
  description = "Route -> the pattern of a status -> status, headers and body of the response that API Gateway makes."
  value       = local.responses
}

output "retries" {
  description = "Route -> status of API Gateway's own response -> when to retry; only responses that say so."
  value = { for route, responses in local.responses : route => {
    for response in values(responses) : response.status => response.headers["Retry-After"]
    if can(response.headers["Retry-After"])
  } if length([for response in responses : response if can(response.headers["Retry-After"])]) > 0 }
}

output "errors" {
  description = "Route -> those of its responses that have a status of 400 or more."
  value = { for route, responses in local.responses : route => [
    for response in values(responses) : response if response.status >= 400
  ] }
}

output "gateway_responses" {
  description = "Type of a refusal -> status, headers and body of the response that API Gateway makes."
  value       = local.gateway_responses
}

output "undeclared_headers" {
  description = "The headers that API Gateway sets although the operation doesn't declare them."
  value       = setsubtract(local.set_headers, local.declared_headers)
}

output "own_headers" {
  description = "The headers of every response that API Gateway itself makes."
  value       = local.own_responses[*].headers
}
