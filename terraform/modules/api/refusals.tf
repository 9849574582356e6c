# API Gateway's method ANY answers every method that a path doesn't otherwise have: 405, with the methods that the path
# has in the header Allow. Without it, the response would be the 404 of an unknown path.
locals {
  # Path -> the methods that it has.
  allowed_methods = { for path, keys in local.methods_by_path : path => sort(concat(
    [for key in keys : split(" ", key)[0]],
    contains(local.preflight_paths, path) ? ["OPTIONS"] : [],
  )) }

  # The Content-Types whose requests get the 405. A mock integration takes the status code from a template, and API
  # Gateway chooses the template by the request's Content-Type. A request without that header counts as
  # application/json. With passthroughBehavior "never", requests of any other type get a 415. By default, the request's
  # own body would replace the template, and so choose the status code.
  refused_types = [
    "application/json", "application/json-patch+json", "application/merge-patch+json", "application/octet-stream",
    "application/x-www-form-urlencoded", "application/xml", "multipart/form-data", "text/plain", "text/xml",
  ]

  refusal_parameters = { for path, methods in local.allowed_methods : path => {
    for header, value in merge(local.problem_headers, { Allow = join(",", methods) }) :
    "method.response.header.${header}" => "'${value}'"
  } }

  # "ANY /path" -> the integration that refuses. Like a preflight, it needs no token. A path with all seven methods of
  # API Gateway needs no refusal.
  refusal_integrations = { for path, parameters in local.refusal_parameters : "ANY /${path}" => {
    type                = "mock"
    passthroughBehavior = "never"
    requestTemplates    = { for type in local.refused_types : type => jsonencode({ statusCode = 405 }) }
    responses = { default = {
      statusCode         = "405"
      responseParameters = parameters
      responseTemplates  = { "application/json" = local.problems["405"] }
    } }
  } if length(local.allowed_methods[path]) < 7 }
}
