locals {
  # The CORS headers of documents and of the responses that API Gateway itself makes. Functions set their own CORS
  # headers, and API Gateway passes on those of a back office.
  #
  # With a single origin in var.cors_origins, both these responses and those of functions name that origin, so a cached
  # response is the same for all callers. With several origins, a function's response names the origin of the request.
  # API Gateway can't choose an origin, so its responses name "*". That is safe, because a bearer token identifies the
  # caller, and a cookie never does.
  cors_headers = length(var.cors_origins) == 0 ? {} : {
    "Access-Control-Allow-Origin"   = length(var.cors_origins) == 1 ? var.cors_origins[0] : "*"
    "Access-Control-Expose-Headers" = "ETag,Location,Readplane-Stale,Readplane-Version,Retry-After"
  }

  # The paths that need an OPTIONS method. Every route's path needs one, because a browser sends a preflight before it
  # sends a token or a JSON body.
  preflight_paths = length(var.cors_origins) == 0 ? toset([]) : toset(keys(local.methods_by_path))

  # The allowed headers are listed one by one, because a "*" wouldn't cover Authorization.
  sent_headers = ["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Readplane-Min-Version"]

  preflight_headers = { for path in local.preflight_paths : path => {
    "Access-Control-Allow-Origin"  = local.cors_headers["Access-Control-Allow-Origin"]
    "Access-Control-Allow-Headers" = join(",", local.sent_headers, startswith(path, "backends/") ? ["X-Api-Key"] : [])
    "Access-Control-Allow-Methods" = join(",", sort([for key in local.methods_by_path[path] : split(" ", key)[0]]))
    "Access-Control-Max-Age"       = "7200" # seconds, the longest for which Chromium caches a preflight
  } }

  # "OPTIONS /path" -> the integration that answers preflights. The method has no authorizer, because a preflight
  # carries no token.
  preflight_integrations = { for path, headers in local.preflight_headers : "OPTIONS /${path}" => {
    type                = "mock"
    passthroughBehavior = "never"
    requestTemplates    = { "application/json" = jsonencode({ statusCode = 204 }) }
    responses = { default = {
      statusCode         = "204"
      responseParameters = { for header, value in headers : "method.response.header.${header}" => "'${value}'" }
    } }
  } }
}
