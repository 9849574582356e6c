# Rules that need locals computed from var.routes. A validation of var.routes can't use such locals (variables.tf).
resource "terraform_data" "rules" {
  lifecycle {
    precondition {
      condition     = local.resource_count <= 300
      error_message = <<-EOT
        These routes need ${local.resource_count} resources; API Gateway allows 300 in an API. Declare fewer
        collections, or split the stack.
      EOT
    }

    precondition {
      condition     = length(local.unknown_functions) == 0
      error_message = "A route names a function that functions doesn't have: ${join(", ", local.unknown_functions)}."
    }

    precondition {
      condition     = length(local.unknown_inputs) == 0
      error_message = <<-EOT
        Write reads and cache.key entries as "path.x" or "querystring.x". Mend ${join(", ", local.unknown_inputs)}.
      EOT
    }

    precondition {
      condition     = length(local.header_inputs) == 0
      error_message = <<-EOT
        Name no headers in reads and cache.key. A cached response may depend on no header: API Gateway compares headers'
        names with case, and HTTP/2 clients send them in lower case, so a header in a cache key protects nobody. An
        uncached response may depend on any header. Remove ${join(", ", local.header_inputs)}.
      EOT
    }

    precondition {
      condition     = length(local.unknown_path_inputs) == 0
      error_message = <<-EOT
        A route reads or keys on a path parameter that its path doesn't have: "path.x" needs {x} in the path. Mend
        ${join(", ", local.unknown_path_inputs)}.
      EOT
    }

    precondition {
      condition     = length(local.incomplete_cache_keys) == 0
      error_message = <<-EOT
        A cache key lacks an input: requests that differ in it would get each other's answers. Add to cache.key:
        ${join("; ", local.incomplete_cache_keys)}.
      EOT
    }

    precondition {
      condition     = var.cache_size != null || length(local.cached_routes) == 0
      error_message = <<-EOT
        Some routes have a cache, but the stage has none: set cache_size, or remove the cache of
        ${join(", ", keys(local.cached_routes))}.
      EOT
    }

    precondition {
      condition     = var.documents_bucket != null || length(local.document_routes) == 0
      error_message = "Some routes answer with a document: set documents_bucket."
    }

    precondition {
      condition     = length(local.unknown_key_parameters) == 0
      error_message = <<-EOT
        A document key names a parameter that the route's path doesn't have. Use the path's parameters and {sub}. Mend
        ${join(", ", local.unknown_key_parameters)}.
      EOT
    }

    precondition {
      condition     = length(local.unsafe_owner_routes) == 0
      error_message = <<-EOT
        A document key with {sub} needs scopes, because an open route has no caller, and per_caller = true, because a
        cache would hand one caller's document to the next. Mend ${join(", ", local.unsafe_owner_routes)}.
      EOT
    }

    precondition {
      condition     = length(local.unsafe_bodies) == 0
      error_message = <<-EOT
        A fixed answer needs a JSON text as body, without "$" and "#": API Gateway would take them for template code.
        Mend ${join(", ", local.unsafe_bodies)}.
      EOT
    }

    precondition {
      condition     = var.user_pool_arn != null || length(local.token_routes) == 0
      error_message = "Some routes have scopes, but there is no user pool to check tokens with: set user_pool_arn."
    }

    precondition {
      condition     = var.key_authorizer != null || length(local.key_routes) == 0
      error_message = <<-EOT
        Some routes take an API key and no token, but there is no function to say which key opens what: set
        key_authorizer.
      EOT
    }

    precondition {
      condition     = length(local.backends_without_plan) == 0
      error_message = <<-EOT
        A route takes an API key, but its back office has no usage plan: API Gateway would refuse every key. Add
        ${join(", ", local.backends_without_plan)} to usage_plans.
      EOT
    }
  }
}

locals {
  # The paths of the routes, the root, and with CORS the path {proxy+}, which answers the preflights of unknown paths.
  resource_count = length(local.paths) + (length(var.cors_origins) == 0 ? 1 : 2)

  unknown_functions = setsubtract([for route in values(local.function_routes) : route.function], keys(var.functions))

  # The messages name the routes of the table, and not the HEAD routes that follow from them.
  declared_documents = { for key, route in var.routes : key => route if route.document != null }
  fixed_bodies       = { for key, route in var.routes : key => route.fixed.body if route.fixed != null }

  # Every input that a route reads or has in its cache key.
  named_inputs = flatten([for key, route in var.routes : [
    for input in concat(route.reads, try(route.cache.key, [])) : { route = key, name = input }
  ]])

  unknown_inputs = [
    for input in local.named_inputs : "${input.name} of ${input.route}"
    if !can(regex("^(path|querystring|header)[.][A-Za-z0-9._$-]+$", input.name))
  ]

  header_inputs = [
    for input in local.named_inputs : "${input.name} of ${input.route}" if startswith(input.name, "header.")
  ]

  unknown_path_inputs = [
    for input in local.named_inputs : "${input.name} of ${input.route}"
    if startswith(input.name, "path.") && !contains(local.routes[input.route].inputs, input.name)
  ]

  incomplete_cache_keys = [
    for key, inputs in local.missing_keys : "${key} lacks ${join(", ", inputs)}" if length(inputs) > 0
  ]

  unknown_key_parameters = flatten([for key, route in local.declared_documents : [
    for found in regexall("[{][^}]*[}]", route.document.key) : "${found} of ${key}"
    if found != "{sub}" && !strcontains(key, found)
  ]])

  unsafe_owner_routes = [
    for key, route in local.declared_documents : key
    if strcontains(route.document.key, "{sub}") && (length(route.scopes) == 0 || !route.per_caller)
  ]

  unsafe_bodies = [
    for key, body in local.fixed_bodies : key if !can(jsondecode(body)) || can(regex("[$#]", body))
  ]

  backends_without_plan = setsubtract(
    [for route in values(local.backend_routes) : route.backend.name if route.api_key],
    keys(var.usage_plans),
  )
}
