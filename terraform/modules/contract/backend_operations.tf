# What the contract says about routes that API Gateway passes through to a back office. The back office decides about
# the responses, so the contract leaves them open.
locals {
  # Headers that carry a caller's credentials for this API. A back office sees only those that its forward_headers name.
  credential_headers = ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"]
  withheld_headers = { for name, backend in var.backends : name => [
    for header in local.credential_headers : header
    if !contains([for forwarded in backend.forward_headers : lower(forwarded)], lower(header))
  ] }

  # OpenAPI ignores header parameters with these names.
  reserved_headers = ["accept", "authorization", "content-type"]

  # Backend -> the query parameters and headers on which a cached response depends.
  cache_inputs = { for name, backend in var.backends : name => backend.cache == null ? [] : concat(
    [for parameter in backend.cache.cache_query_parameters : { in = "query", name = parameter }],
    [
      for header in backend.cache.headers : { in = "header", name = header }
      if !contains(local.reserved_headers, lower(header))
    ],
  ) }
  cache_parameters = { for name, inputs in local.cache_inputs : name => [for input in inputs : {
    name        = input.name
    in          = input.in
    description = "Part of the cache key."
    schema      = { type = "string" }
  }] }

  backend_caches = { for name, backend in var.backends : name => backend.cache == null ? [] : [
    "API Gateway caches a response for ${backend.cache.ttl} seconds."
  ] }
  backend_quotas = { for name, backend in var.backends : name => backend.quota == null ? [] : [
    "The key may send ${backend.quota.limit} requests per ${lower(backend.quota.period)}."
  ] }

  any_content  = { "*/*" = { schema = {} } }
  backend_body = { description = "What the back office takes.", content = local.any_content }

  # The methods whose requests have a body.
  with_body = ["post", "put", "patch"]

  # Route -> its successful response. The response to a HEAD has no content.
  backend_successes = { for key, route in local.by_operation.call_backend : key => {
    for name, value in { description = "What the back office responds.", content = local.any_content } :
    name => value if name != "content" || route.method != "head"
  } }

  # Route -> the headers that a back office doesn't get as the caller sent them: those that are withheld, and those that
  # API Gateway replaces.
  changed_headers = { for key, route in local.by_operation.call_backend : key => sort(concat(
    local.withheld_headers[route.subject],
    ["Accept-Encoding"],
    route.method == "get" && var.backends[route.subject].cache != null ? ["Accept"] : [],
  )) }

  backends = { for key, route in local.by_operation.call_backend : key => {
    id      = "${route.method}${local.backend_name[route.subject]}"
    tag     = local.unique_tags[route.subject]
    summary = "Pass a ${upper(route.method)} through to the back office `${route.subject}`."
    sentences = concat(
      ["API Gateway waits ${var.backends[route.subject].timeout_ms} ms for the back office."],
      ["Query parameters and headers pass unchanged, except ${join(", ", local.changed_headers[key])}."],
      local.backend_quotas[route.subject],
      route.method == "get" ? local.backend_caches[route.subject] : [],
    )
    body = contains(local.with_body, route.method) ? local.backend_body : null
    parameters = concat(
      [local.references_to.Proxy],
      route.method == "get" ? local.cache_parameters[route.subject] : [],
    )
    successes = {
      "200"   = local.backend_successes[key]
      default = { description = "Any other response of the back office." }
    }
    errors = ["Forbidden", "TooManyRequests", "BadGateway", "GatewayTimeout"]
  } }
}
