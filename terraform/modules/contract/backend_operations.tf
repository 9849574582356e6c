# What the contract says about routes that API Gateway passes through to a back office. The back office decides about
# the responses, so the contract leaves them open.
locals {
  # Headers that carry a caller's credentials for this API. A back office sees only those that its forward_headers name.
  credential_headers = ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"]
  withheld_headers = { for name, backend in var.backends : name => [
    for header in local.credential_headers : header
    if !contains([for forwarded in backend.forward_headers : lower(forwarded)], lower(header))
  ] }

  # Backend -> the only query parameters of a cached GET that reach the back office.
  cache_parameters = { for name, backend in var.backends : name => backend.cache == null ? [] : [
    for parameter in distinct(backend.cache.cache_query_parameters) : {
      name        = parameter
      in          = "query"
      description = "Part of the cache key."
      schema      = { type = "string" }
    }
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

  # Route -> what reaches the back office, as sentences. Module `api` sends Accept-Encoding with a value of its own.
  changed_headers = { for name, headers in local.withheld_headers : name => sort(concat(headers, ["Accept-Encoding"])) }
  passed_on = { for key, route in local.by_operation.call_backend : key => (
    route.cache == null
    ? ["Query parameters and headers pass unchanged, except ${join(", ", local.changed_headers[route.subject])}."]
    : [
      "API Gateway caches a response for ${route.cache.ttl} seconds, errors included.",
      "Only the path and the query parameters that are listed here reach the back office.",
      "No header and no body does.",
      "API Gateway passes the common statuses and headers on, and responds 502 in place of any other status.",
    ]
  ) }

  backends = { for key, route in local.by_operation.call_backend : key => {
    id      = "${route.method}${local.backend_name[route.subject]}"
    tag     = local.unique_tags[route.subject]
    summary = "Pass a ${upper(route.method)} through to the back office `${route.subject}`."
    sentences = concat(
      ["API Gateway waits ${var.backends[route.subject].timeout_ms} ms for the back office."],
      local.passed_on[key],
      local.backend_quotas[route.subject],
    )
    body = contains(local.with_body, route.method) ? local.backend_body : null
    parameters = concat(
      [local.references_to.Proxy],
      route.cache == null ? [] : local.cache_parameters[route.subject],
    )
    successes = {
      "200"   = local.backend_successes[key]
      default = { description = "Any other response of the back office." }
    }
    errors = concat(
      ["Forbidden", "TooManyRequests"],
      route.cache == null ? [] : ["UnsupportedMediaType"],
      local.server_errors,
    )
  } }
}
