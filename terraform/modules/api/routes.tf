# The routes in groups, one for each kind of route that the rest of this module treats in its own way.
locals {
  # Each GET route also answers HEAD, in the same way, for the same callers and with the same limits. There are two
  # exceptions. A cached route has no HEAD, because API Gateway caches only the GET, and the two could contradict each
  # other. A backend has a HEAD only if its settings list it, because the back office would have to answer it.
  head_routes = {
    for key, route in var.routes : replace(key, "/^GET /", "HEAD ") => route
    if startswith(key, "GET ") && route.cache == null && route.backend == null
  }

  routes = { for key, route in merge(local.head_routes, var.routes) : key => merge(route, {
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
  # Cached route -> the path and query parameters that its cache key lacks. With an incomplete key, a request can get
  # the response to another request.
  missing_keys = { for key, route in local.cached_routes : key => setsubtract(
    concat(route.inputs, route.reads), route.cache.key
  ) }

  # Document route -> the header with which S3 answers 304 if the client has the document already. A cached route has
  # none, because API Gateway would give the 304 to clients that don't have the document.
  conditional_headers = { for key, route in local.document_routes : key => [
    for header in ["If-None-Match"] : header if route.cache == null
  ] }

  # Route -> every input that its method declares. API Gateway refuses a cache key or mapping with another input.
  inputs = { for key, route in local.routes : key => distinct(concat(
    route.inputs,
    route.reads,
    try(route.cache.key, []),
    formatlist("header.%s", lookup(local.conditional_headers, key, [])),
  )) }

  # Route -> the header that tells caches of browsers not to give a response to another user, or after signing out. API
  # Gateway sets it wherever it maps the headers of a response.
  vary_headers = { for key, route in local.routes : key => {
    for header, value in { Vary = "'Authorization'" } : header => value if length(route.scopes) > 0
  } }
}
