# The routes in groups, one for each kind of route that the rest of this module treats in its own way.
locals {
  routes = { for key, route in var.routes : key => merge(route, {
    method = split(" ", key)[0]
    path   = trimprefix(split(" ", key)[1], "/")
    # The path parameters that the route declares. The greedy parameter {proxy+} is named "proxy".
    inputs = [for found in regexall("[{]([^}+]*)[+]?[}]", key) : "path.${found[0]}"]
  }) }

  function_routes = { for key, route in local.routes : key => route if route.function != null }
  document_routes = { for key, route in local.routes : key => route if route.document != null }
  fixed_routes    = { for key, route in local.routes : key => route if route.fixed != null }
  backend_routes  = { for key, route in local.routes : key => route if route.backend != null }
  cached_routes   = { for key, route in local.routes : key => route if route.cache != null }

  # Routes whose callers need a token.
  token_routes = { for key, route in local.routes : key => route if length(route.scopes) > 0 }

  # Routes whose callers need an API key and no token. On these routes, the key alone decides who may call.
  key_routes = { for key, route in local.routes : key => route if route.api_key && length(route.scopes) == 0 }

  # Path -> the keys of its routes, one for each method.
  methods_by_path = { for key, route in local.routes : route.path => key... }

  # The paths of the API's resources: those of the routes, and every shorter path that leads to one.
  paths = distinct(flatten([for path in keys(local.methods_by_path) : [
    for depth in range(1, length(split("/", path)) + 1) : join("/", slice(split("/", path), 0, depth))
  ]]))
}

# What a route reads from a request, and what its cache key must therefore hold.
locals {
  # Cached route -> the inputs (path and query parameters, headers) that its cache key must contain. If one is missing,
  # a request can get the response to another request: a 304 although the client has no copy, an old version although
  # the client asked for its own write, or another origin's CORS header.
  required_keys = { for key, route in local.cached_routes : key => distinct(concat(
    route.inputs,
    route.reads,
    route.backend == null ? ["header.If-None-Match", "header.Readplane-Min-Version"] : [],
    length(var.cors_origins) > 1 ? ["header.Origin"] : [],
  )) }

  # Cached route -> the inputs that form its cache key.
  cache_keys = { for key, route in local.cached_routes : key => distinct(concat(
    route.cache.key,
    route.backend == null ? [] : local.negotiation_headers,
  )) }

  # The comparison ignores the case of header names, but not of path and query parameters.
  compared_keys = { for key, inputs in local.cache_keys : key => [
    for input in inputs : startswith(input, "header.") ? lower(input) : input
  ] }

  # Cached route -> the required inputs that its cache key lacks.
  missing_keys = { for key, inputs in local.required_keys : key => [
    for input in inputs : input
    if !contains(local.compared_keys[key], startswith(input, "header.") ? lower(input) : input)
  ] }

  # Route -> every input that its method declares. API Gateway refuses a cache key or mapping with another input.
  inputs = { for key, route in local.routes : key => distinct(concat(
    route.inputs,
    route.reads,
    lookup(local.cache_keys, key, []),
    route.document == null ? [] : ["header.If-None-Match"],
  )) }
}
