locals {
  # The CORS headers of documents and of the responses that API Gateway itself makes. Functions set the same ones (the
  # headers that scripts may read are EXPOSED_HEADERS in api/response.py). API Gateway passes on those of a back office,
  # unless it caches the response.
  #
  # With a single origin in var.cors_origins, every response names that origin. With several origins, every response
  # names "*", because a response that names the origin of one request could reach another origin from a cache. That is
  # safe, because a bearer token identifies the caller, and a cookie never does.
  cors_response_headers = length(var.cors_origins) == 0 ? {} : {
    "Access-Control-Allow-Origin"   = length(var.cors_origins) == 1 ? var.cors_origins[0] : "*"
    "Access-Control-Expose-Headers" = "Allow,Cache-Status,ETag,Location,Readplane-Stale,Readplane-Version,Retry-After"
  }

  # The paths that need an OPTIONS method: those of the routes, and every other path, so that a script can read the 404
  # of an unknown one. {proxy+} stands for all paths but the root, which is the empty text here.
  #
  # {proxy+} takes no request away from the routes. API Gateway chooses the most specific path among those that have the
  # request's method, and {proxy+} has only OPTIONS. So a GET of an unknown path is still one without a method.
  preflight_paths = length(var.cors_origins) == 0 ? toset([]) : toset(
    concat(keys(local.methods_by_path), ["", "{proxy+}"])
  )

  # The request headers that a script may send, one by one, because a "*" wouldn't cover Authorization. The second and
  # third lines are headers with which `write` refuses a request. A script may send them too, because otherwise its
  # browser would hide the problem document that says so.
  sent_headers = concat(
    ["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"],
    ["Content-Encoding", "Content-Range", "If-Match", "If-Unmodified-Since"],
    ["X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override"],
    var.cors_headers,
  )

  preflight_headers = { for path in local.preflight_paths : path => {
    "Access-Control-Allow-Origin"  = local.cors_response_headers["Access-Control-Allow-Origin"]
    "Access-Control-Allow-Headers" = join(",", local.sent_headers, endswith(path, "{proxy+}") ? ["X-Api-Key"] : [])
    # All methods, so that a script can read a 405.
    "Access-Control-Allow-Methods" = "DELETE,GET,HEAD,PATCH,POST,PUT"
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
