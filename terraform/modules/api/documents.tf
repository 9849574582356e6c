# Documents come from S3 through API Gateway's own integration: no function, no cold start.
#
# What a caller sends must reach no other object. So the integration maps nothing of the request straight into the object key: each
# parameter of the key is the constant "-", which is no item's id, and only the template replaces it, by a value that consists of
# unreserved characters alone (nothing in it needs or has an encoding). A value that isn't such an id, encoded slashes and dots
# included, leaves the "-", and S3 has no such object: 404.
locals {
  # parameter of an object key -> its value and what that must look like
  key_sources = { for key, route in local.document_routes : key => {
    for found in regexall("[{]([^}]*)[}]", route.document.key) : found[0] => (
      found[0] == "sub"
      # The caller's own subject, from the token that the authorizer has checked; never from the request.
      ? { value = "$context.authorizer.claims.sub", pattern = "[A-Za-z0-9][A-Za-z0-9-]{0,127}" }
      : { value = "$input.params().path.get('${found[0]}')", pattern = "[A-Za-z0-9][A-Za-z0-9._~-]{0,255}" }
    )
  } }

  # An override is final and can be made once per parameter, so all conditions come first. One line and no output, because what a
  # template prints becomes the body of the call to S3.
  document_templates = { for key, sources in local.key_sources : key => length(sources) == 0 ? "##" : join("", concat(
    [for name, source in sources : format("#set($%s = \"%s\")", name, source.value)],
    [format("#if(%s)", join(" && ", [for name, source in sources : format("$%s.matches('%s')", name, source.pattern)]))],
    [for name in keys(sources) : format("#set($context.requestOverride.path.%s = $%s)", name, name)],
    ["#end"],
  )) }

  document_headers = merge(
    {
      "Content-Type"      = "integration.response.header.Content-Type"
      "ETag"              = "integration.response.header.ETag"
      "Cache-Control"     = "integration.response.header.Cache-Control"
      "Last-Modified"     = "integration.response.header.Last-Modified"
      "Readplane-Version" = "integration.response.header.x-amz-meta-readplane-version"
    },
    { for header, value in local.cors_headers : header => "'${value}'" },
  )

  document_problem_headers = merge(
    { "Content-Type" = "'application/problem+json'", "Cache-Control" = "'no-store'" },
    { for header, value in local.cors_headers : header => "'${value}'" },
  )

  # For AWS services the pattern is matched with the status. What no pattern matches is the one without a pattern.
  document_answers = {
    "200" = { pattern = "200", headers = local.document_headers, body = null }
    "304" = {
      pattern = "304"
      headers = { for header, value in local.document_headers : header => value if !contains(["Content-Type", "Last-Modified"], header) }
      body    = null
    }
    # S3 answers 403 for a missing key to a role that may not list the bucket.
    "404" = { pattern = "403|404", headers = local.document_problem_headers, body = local.problems["404"] }
    "503" = {
      pattern = "500|503" # S3's "slow down" and its own passing errors: asking again helps
      headers = merge(local.document_problem_headers, { "Retry-After" = "'1'" })
      body    = local.problems["503"]
    }
    "502" = { pattern = null, headers = local.document_problem_headers, body = local.problems["502"] }
  }

  document_responses = merge([for key, route in local.document_routes : {
    for status, answer in local.document_answers : "${key} ${status}" => merge(answer, { route = key, path = route.path, status = status })
  }]...)
}

resource "aws_api_gateway_integration" "document" {
  for_each = local.document_routes

  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = local.resource_ids[each.value.path]
  http_method             = aws_api_gateway_method.route[each.key].http_method
  type                    = "AWS"
  integration_http_method = "GET"
  credentials             = each.value.document.role_arn
  uri = join("", [
    "arn:${data.aws_partition.current.partition}:apigateway:${data.aws_region.current.name}:s3:path/",
    "${coalesce(var.documents_bucket, "none")}/${each.value.document.key}",
  ])

  request_parameters = merge(
    { "integration.request.header.If-None-Match" = "method.request.header.If-None-Match" },
    { for name in keys(local.key_sources[each.key]) : "integration.request.path.${name}" => "'-'" },
  )

  # The template is chosen by the request's Content-Type, on a GET too; without that header it is application/json's. NEVER answers 415 to
  # any other, where the default would skip the template and pass the body on.
  passthrough_behavior = "NEVER"
  request_templates    = { "application/json" = local.document_templates[each.key] }

  cache_key_parameters = [for input in try(each.value.cache.key, []) : "method.request.${input}"]
}

resource "aws_api_gateway_method_response" "document" {
  for_each = local.document_responses

  rest_api_id = aws_api_gateway_rest_api.this.id
  resource_id = local.resource_ids[each.value.path]
  http_method = aws_api_gateway_method.route[each.value.route].http_method
  status_code = each.value.status

  response_parameters = { for header in keys(each.value.headers) : "method.response.header.${header}" => true }
}

resource "aws_api_gateway_integration_response" "document" {
  for_each = local.document_responses

  rest_api_id       = aws_api_gateway_rest_api.this.id
  resource_id       = local.resource_ids[each.value.path]
  http_method       = aws_api_gateway_integration.document[each.value.route].http_method
  status_code       = aws_api_gateway_method_response.document[each.key].status_code
  selection_pattern = each.value.pattern

  response_parameters = { for header, value in each.value.headers : "method.response.header.${header}" => value }

  # Without a template the body passes as it is. The one template there is serves any Accept header.
  response_templates = each.value.body == null ? {} : { "application/json" = each.value.body }
}
