# The responses that API Gateway itself makes when it refuses a request. Their bodies are problem documents
# (application/problem+json), like every other error of the API.
locals {
  titles = {
    "400" = "Bad Request"
    "401" = "Unauthorized"
    "403" = "Forbidden"
    "404" = "Not Found"
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
    request_id = "$context.requestId"
  }) }

  # API Gateway's response type -> the status of the response. No method of this API takes AWS signatures, but on an
  # unknown path API Gateway reads a bearer token as an AWS signature. So a missing or invalid signature always means
  # that the route doesn't exist, and the status is 404.
  gateway_statuses = {
    ACCESS_DENIED                  = "403"
    API_CONFIGURATION_ERROR        = "500"
    AUTHORIZER_CONFIGURATION_ERROR = "500"
    AUTHORIZER_FAILURE             = "500"
    BAD_REQUEST_BODY               = "400"
    BAD_REQUEST_PARAMETERS         = "400"
    EXPIRED_TOKEN                  = "401"
    INTEGRATION_FAILURE            = "502"
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

  gateway_headers = merge(
    { "Content-Type" = "application/problem+json", "Cache-Control" = "no-store" },
    local.cors_headers,
  )

  gateway_headers_by_status = {
    "401" = { "WWW-Authenticate" = "Bearer" }
    "429" = { "Retry-After" = "1" }
    "504" = { "Retry-After" = "1" }
  }

  # Response type -> the headers of the response.
  gateway_parameters = merge(
    { for type, status in local.gateway_statuses : type => merge(
      local.gateway_headers,
      lookup(local.gateway_headers_by_status, status, {}),
    ) },
    { for type in keys(local.default_responses) : type => local.gateway_headers },
  )

  # Response type -> the response, in the form that the OpenAPI document needs.
  gateway_responses = { for type, headers in local.gateway_parameters : type => merge(
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
      request_id = "$context.requestId"
    }) },
  )
}
