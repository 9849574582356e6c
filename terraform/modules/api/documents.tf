# API Gateway reads documents from S3 through its own integration, without a function and the cold start of one.
#
# A request must not be able to reach an object outside its route. So the integration copies nothing from the request
# directly into the object key. Each parameter of the key starts as the constant "-", which is no item's id. A template
# decodes the request's value once, because API Gateway gives it the path as it came, and replaces the "-" with the
# result only if that consists of unreserved characters. For any other value, such as one with an encoded slash or one
# that is encoded twice, the "-" stays. S3 has no object with that key, so the response is a 404.
locals {
  # Route of a document -> for each parameter of the object key, where its value comes from and the pattern that the
  # value must match.
  key_sources = { for key, route in local.document_routes : key => {
    for found in regexall("[{]([^}]*)[}]", route.document.key) : found[0] => (
      found[0] == "sub"
      # {sub} is the caller's own user id. It comes from the token that the authorizer has checked, never from the
      # request.
      ? { value = "$context.authorizer.claims.sub", pattern = "[A-Za-z0-9][A-Za-z0-9-]{0,127}" }
      : { value = "$input.params().path.get('${found[0]}')", pattern = "[A-Za-z0-9][A-Za-z0-9._~-]{0,255}" }
    )
  } }

  # Route of a document -> the template that replaces the "-" of each key parameter. API Gateway lets a template
  # override a parameter only once, and the override is final. So the template checks all values before it overrides
  # any. The template is a single line that prints nothing, because whatever it prints becomes the body of the request
  # to S3.
  #
  # It decodes only what consists of unreserved characters and whole escapes. AWS doesn't say what urlDecode does with a
  # broken escape, and it would turn a "+" into a space. Both stay as they are, so that the check refuses them.
  document_templates = { for key, sources in local.key_sources : key => length(sources) == 0 ? "##" : join("", concat(
    [for name, source in sources : format("#set($%s = \"%s\")", name, source.value)],
    [for name, source in sources : replace(local.decode_template, "NAME", name) if name != "sub"],
    ["#if(${join(" && ", local.key_checks[key])})"],
    [for name in keys(sources) : format("#set($context.requestOverride.path.%s = $%s)", name, name)],
    ["#end"],
  )) }

  decode_template = join("", [
    "#if($NAME.matches('([A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,256}'))",
    "#set($NAME = $util.urlDecode($NAME))",
    "#end",
  ])

  key_checks = { for key, sources in local.key_sources : key => [
    for name, source in sources : format("$%s.matches('%s')", name, source.pattern)
  ] }

  # The headers that a client gets with a document: S3's own, and the version that `publish` gave the S3 object.
  document_headers = merge(
    {
      "Content-Type"      = "integration.response.header.Content-Type"
      "ETag"              = "integration.response.header.ETag"
      "Cache-Control"     = "integration.response.header.Cache-Control"
      "Last-Modified"     = "integration.response.header.Last-Modified"
      "Readplane-Version" = "integration.response.header.x-amz-meta-readplane-version"
    },
    { for header, value in local.cors_response_headers : header => "'${value}'" },
  )

  not_modified_headers = {
    for header, value in local.document_headers : header => value
    if !contains(["Content-Type", "Last-Modified"], header)
  }

  mapped_problem_headers = { for header, value in local.problem_headers : header => "'${value}'" }

  # Status of the API's response -> the pattern of the S3 statuses that lead to it, and the response's headers and body.
  # The pattern "default" applies to all other S3 statuses.
  document_statuses = {
    "200" = { pattern = "200", headers = local.document_headers, body = null }
    "304" = { pattern = "304", headers = local.not_modified_headers, body = null }
    # S3 responds 403 for a missing document, because the role may not list the bucket. So a 403 from S3 becomes a 404.
    "404" = { pattern = "403|404", headers = local.mapped_problem_headers, body = local.problems["404"] }
    # S3's throttling ("Slow Down") and internal errors, for which a retry helps
    "503" = { pattern = "500|503", headers = local.mapped_problem_headers, body = local.problems["503"] }
    "502" = { pattern = "default", headers = local.mapped_problem_headers, body = local.problems["502"] }
  }

  # Route of a document -> status -> a header that depends on the route. A cached route gives its 503 to everybody until
  # the ttl is over, so an earlier retry would only get the same 503.
  document_retries = { for key, route in local.document_routes : key => {
    "503" = { "Retry-After" = "'${try(route.cache.ttl, 1)}'" } # seconds
  } }

  # Route of a document -> the Cache-Control with which the API sends it, instead of the one that the S3 object has.
  document_cache_control = { for key, route in local.document_routes : key => {
    for header in ["Cache-Control"] : header => "'${route.document.cache_control}'"
    if route.document.cache_control != null
  } }

  document_integrations = { for key, route in local.document_routes : key => merge(
    {
      type        = "aws"
      httpMethod  = route.method # S3 answers HEAD too, with the permission to read the object
      credentials = route.document.role_arn
      uri         = "${local.s3_path}/${route.document.key}"

      requestParameters = merge(
        { for header in local.conditional_headers[key] :
          "integration.request.header.${header}" => "method.request.header.${header}"
        },
        { for name in keys(local.key_sources[key]) : "integration.request.path.${name}" => "'-'" },
      )

      # API Gateway chooses the template by the request's Content-Type, even for a GET. A request without that header
      # counts as application/json. For any other type, "never" makes API Gateway respond 415. By default, API Gateway
      # would skip the template and pass the body on.
      passthroughBehavior = "never"
      requestTemplates    = { "application/json" = local.document_templates[key] }
      responses           = local.document_mappings[key]
    },
    local.cache_key_parameters[key],
  ) }

  s3_path = join("", [
    "arn:${data.aws_partition.current.partition}:apigateway:${data.aws_region.current.name}:s3:path/",
    coalesce(var.documents_bucket, "none"),
  ])

  # Route of a document -> pattern of S3 statuses -> the response to the client. Without a template, API Gateway passes
  # the body from S3 through unchanged. If there is only one template, API Gateway uses it whatever the request's Accept
  # header is.
  document_mappings = { for key in keys(local.document_routes) : key => {
    for status, response in local.document_statuses : response.pattern => merge(
      {
        statusCode = status
        responseParameters = { for header, value in merge(
          response.headers,
          contains(["200", "304"], status) ? local.document_cache_control[key] : {},
          local.vary_headers[key],
          lookup(local.document_retries[key], status, {}),
        ) : "method.response.header.${header}" => value }
      },
      response.body == null ? {} : { responseTemplates = { "application/json" = response.body } },
    ) if status != "304" || length(local.conditional_headers[key]) > 0
  } }
}
