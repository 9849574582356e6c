data "aws_region" "current" {}

data "aws_partition" "current" {}

resource "aws_api_gateway_rest_api" "this" {
  name        = var.name
  description = "Readplane: reads from the read plane, writes to the write log."

  # The default endpoint stays on, because clients call the API there: this module sets up no custom domain. The default
  # endpoint negotiates the highest TLS version that both sides support. Only a custom domain could require TLS 1.2 or
  # later.
  disable_execute_api_endpoint = false

  # binary_media_types and compression stay unset, because with either of them API Gateway would re-encode bodies. A
  # client must get a document byte for byte as S3 stores it, because the document's ETag comes from S3.

  endpoint_configuration {
    types = [var.endpoint_type]
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = length(local.paths) + 1 <= 300
      error_message = "These routes need ${length(local.paths) + 1} resources; API Gateway allows 300 in an API. Declare fewer collections, or split the stack."
    }

    precondition {
      condition     = var.user_pool_arn != null || !local.authorised
      error_message = "Some routes have scopes, but there is no user pool to check tokens with: set user_pool_arn."
    }

    precondition {
      condition     = var.key_authorizer != null || length(local.key_routes) == 0
      error_message = "Some routes take an API key and no token, but there is no function to say which key opens what: set key_authorizer."
    }

    precondition {
      condition     = length(setsubtract([for route in values(local.backend_routes) : route.backend.name if route.api_key], keys(var.usage_plans))) == 0
      error_message = "A route takes an API key, but its back office has no usage plan: API Gateway would refuse every key. Add it to usage_plans."
    }

    precondition {
      condition     = var.documents_bucket != null || length(local.document_routes) == 0
      error_message = "Some routes answer with a document: set documents_bucket."
    }

    precondition {
      condition     = length(setsubtract([for route in values(local.function_routes) : route.function], keys(var.functions))) == 0
      error_message = "A route names a function that functions doesn't have: ${join(", ", setsubtract([for route in values(local.function_routes) : route.function], keys(var.functions)))}."
    }
  }
}

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

  authorised = anytrue([for route in values(local.routes) : length(route.scopes) > 0])

  route_paths = toset([for route in values(local.routes) : route.path])
  paths = distinct(flatten([for path in local.route_paths : [
    for depth in range(1, length(split("/", path)) + 1) : join("/", slice(split("/", path), 0, depth))
  ]]))
  paths_by_depth = { for depth in range(1, 6) : depth => toset([for path in local.paths : path if length(split("/", path)) == depth]) }

  resource_ids = { for path, resource in merge(
    aws_api_gateway_resource.depth_1,
    aws_api_gateway_resource.depth_2,
    aws_api_gateway_resource.depth_3,
    aws_api_gateway_resource.depth_4,
    aws_api_gateway_resource.depth_5,
  ) : path => resource.id }
}

# One resource block for each depth of a path (number of segments). One block for all depths isn't possible, because a
# segment refers to its parent segment, and instances of one resource block can't refer to each other.
resource "aws_api_gateway_resource" "depth_1" {
  for_each = local.paths_by_depth[1]

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = each.value
}

resource "aws_api_gateway_resource" "depth_2" {
  for_each = local.paths_by_depth[2]

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.depth_1[regex("^(.*)/[^/]*$", each.value)[0]].id
  path_part   = regex("[^/]*$", each.value)
}

resource "aws_api_gateway_resource" "depth_3" {
  for_each = local.paths_by_depth[3]

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.depth_2[regex("^(.*)/[^/]*$", each.value)[0]].id
  path_part   = regex("[^/]*$", each.value)
}

resource "aws_api_gateway_resource" "depth_4" {
  for_each = local.paths_by_depth[4]

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.depth_3[regex("^(.*)/[^/]*$", each.value)[0]].id
  path_part   = regex("[^/]*$", each.value)
}

resource "aws_api_gateway_resource" "depth_5" {
  for_each = local.paths_by_depth[5]

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.depth_4[regex("^(.*)/[^/]*$", each.value)[0]].id
  path_part   = regex("[^/]*$", each.value)
}
