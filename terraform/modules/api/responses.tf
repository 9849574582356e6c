# The responses that API Gateway itself makes when it refuses a request. Their bodies are problem documents
# (application/problem+json), like every other error of the API.
locals {
  # The id of a request in problem documents and in the logs. AWS documents that clients can override
  # $context.requestId. The override isn't escaped here, and a cached problem document would give it to other clients.
  request_id = "$context.extendedRequestId"

  titles = {
    "400" = "Bad Request"
    "401" = "Unauthorized"
    "403" = "Forbidden"
    "404" = "Not Found"
    "405" = "Method Not Allowed"
    "413" = "Content Too Large"
    "415" = "Unsupported Media Type"
    "429" = "Too Many Requests"
    "500" = "Internal Server Error"
    "502" = "Bad Gateway"
    "503" = "Service Unavailable"
    "504" = "Gateway Timeout"
  }

  details = {
    "400" = "The request is malformed."
    "401" = "Send a valid access token as a bearer token, or an API key where one is asked for."
    "403" = "This caller may not do that."
    "404" = "There is nothing here."
    "405" = "This path doesn't have that method. The header Allow lists the methods that it has."
    "413" = "The request is too large."
    "415" = "This content type isn't accepted here."
    "429" = "Too many requests. Try again later."
    "500" = "The request could not be served."
    "502" = "The request could not be served now."
    "503" = "The request could not be served now."
    "504" = "The answer took too long."
  }

  # Status -> the problem document for it. The document leaves out API Gateway's own message, because that message can
  # quote the Authorization header.
  problems = { for status, title in local.titles : status => jsonencode({
    type       = "about:blank"
    title      = title
    status     = tonumber(status)
    detail     = local.details[status]
    request_id = local.request_id
  }) }

  # API Gateway's response type -> the status of the response. No method of this API takes AWS signatures, but on an
  # unknown path API Gateway reads a bearer token as an AWS signature. So a missing or invalid signature always means
  # that the route doesn't exist, and the status is 404. AWS's messages for a bearer token there vary ("Authorization
  # header requires 'Credential' parameter", "not a valid key=value pair"), but its list of response types has no other
  # type for a signature.
  #
  # INTEGRATION_FAILURE includes a function without free concurrency, for which a retry helps, so its status is 503.
  gateway_statuses = {
    ACCESS_DENIED                  = "403"
    API_CONFIGURATION_ERROR        = "500"
    AUTHORIZER_CONFIGURATION_ERROR = "500"
    AUTHORIZER_FAILURE             = "500"
    BAD_REQUEST_BODY               = "400"
    BAD_REQUEST_PARAMETERS         = "400"
    EXPIRED_TOKEN                  = "401"
    INTEGRATION_FAILURE            = "503"
    INTEGRATION_TIMEOUT            = "504"
    INVALID_API_KEY                = "403"
    INVALID_SIGNATURE              = "404"
    MISSING_AUTHENTICATION_TOKEN   = "404"
    QUOTA_EXCEEDED                 = "429"
    REQUEST_TOO_LARGE              = "413"
    RESOURCE_NOT_FOUND             = "404"
    THROTTLED                      = "429"
    UNAUTHORIZED                   = "401"
    UNSUPPORTED_MEDIA_TYPE         = "415"
    WAF_FILTERED                   = "403"
  }

  # The detail texts for all response types that aren't listed above: one text for the types with a 4xx status, one for
  # those with a 5xx status. Such a type keeps the status that API Gateway gives it. So these two responses set no
  # status, and their problem documents contain none.
  default_responses = {
    DEFAULT_4XX = "The request was refused."
    DEFAULT_5XX = "The request could not be served now."
  }

  # The headers of every problem document that API Gateway makes.
  problem_headers = merge(
    { "Content-Type" = "application/problem+json", "Cache-Control" = "no-store" },
    local.cors_response_headers,
  )

  # The response types after which a retry in a second may succeed. A quota lasts longer, and the other types need a
  # change: of the request or of the API.
  retried_types = ["AUTHORIZER_FAILURE", "DEFAULT_5XX", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "THROTTLED"]

  # Response type -> the headers of the response.
  gateway_headers = { for type in keys(local.gateway_bodies) : type => merge(
    local.problem_headers,
    lookup(local.gateway_statuses, type, "") == "401" ? { "WWW-Authenticate" = "Bearer" } : {},
    contains(local.retried_types, type) ? { "Retry-After" = "1" } : {},
  ) }

  # Response type -> the response, in the form that the OpenAPI document needs.
  gateway_responses = { for type, headers in local.gateway_headers : type => merge(
    contains(keys(local.gateway_statuses), type) ? { statusCode = local.gateway_statuses[type] } : {},
    {
      responseParameters = { for header, value in headers : "gatewayresponse.header.${header}" => "'${value}'" }
      responseTemplates  = { "application/json" = local.gateway_bodies[type] }
    },
  ) }

  gateway_bodies = merge(
    { for type, status in local.gateway_statuses : type => local.problems[status] },
    { for type, detail in local.default_responses : type => jsonencode({
      type       = "about:blank"
      title      = "Request failed"
      detail     = detail
      request_id = local.request_id
    }) },
  )
}
