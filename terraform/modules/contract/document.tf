# Puts the contract together: operations into paths, and paths and components into the document.
locals {
  references_to = { for name in keys(local.parameters) : name => { "$ref" = "#/components/parameters/${name}" } }

  contents = merge(local.operations, local.backends)

  # Route -> the names of its error responses. Only a route that needs a token or an API key can respond 401.
  error_names = { for key, route in local.routes : key => concat(
    local.contents[key].errors,
    route.token || route.api_key ? ["Unauthorized"] : [],
  ) }

  responses_of = { for key, content in local.contents : key => merge(content.successes, {
    for name in local.error_names[key] : tostring(local.errors[name].status) => {
      "$ref" = "#/components/responses/${name}"
    }
  }) }

  # Route -> the security schemes that a caller needs, all of them together.
  schemes_of = { for key, route in local.routes : key => {
    for name, needed in { cognito = route.token, apiKey = route.api_key } : name => [] if needed
  } }

  whole_operations = { for key, content in local.contents : key => {
    operationId = content.id
    tags        = [content.tag]
    summary     = content.summary
    description = join(" ", concat(content.sentences, [local.callers[key], local.rates[key]]))
    security    = [for schemes in [local.schemes_of[key]] : schemes if length(schemes) > 0]
    parameters  = content.parameters
    requestBody = content.body
    responses   = local.responses_of[key]
  } }

  # Leave out members without a value.
  present_operations = { for key, operation in local.whole_operations : key => {
    for member, value in operation : member => value
    if value != null && (member == "security" || try(length(value), 1) > 0)
  } }

  keys_of_path = { for key, route in local.routes : route.path => key... }
  paths = { for path, keys in local.keys_of_path : path => {
    for key in keys : local.routes[key].method => local.present_operations[key]
  } }

  # The schemas of each collection's items and pages.
  times = { for c in keys(var.collections) : c => (
    contains(local.sourced, c)
    ? "The back office's own time of the item's last change."
    : "The time of the item's last change."
  ) }
  item_components = { for c, name in local.collection_name : "${name}Item" => {
    type        = "object"
    description = "An item of the collection `${c}`."
    required    = ["id", "collection", "version", "as_of", "data"]
    properties = {
      id         = { type = "string" }
      collection = { type = "string", const = c }
      version    = { "$ref" = "#/components/schemas/Version" }
      as_of      = { type = "string", format = "date-time", description = local.times[c] }
      data       = { "$ref" = "#/components/schemas/${local.data_name[c]}" }
    }
  } }
  page_components = { for c, name in local.collection_name : "${name}Page" => {
    type        = "object"
    description = "A page of items of the collection `${c}`."
    required    = ["items", "next"]
    properties = {
      items = { type = "array", items = { "$ref" = "#/components/schemas/${name}Item" } }
      next  = { type = ["string", "null"], description = "The cursor of the next page; null on the last page." }
    }
  } }

  all_schemas = merge(
    local.schemas,
    local.data_schemas,
    local.item_components,
    local.page_components,
  )

  # The contract contains only the components that something refers to, because linters warn of the others. For example,
  # a stack without sources has no schema of freshness. The texts below are searched for a name with the quote that ends
  # a reference, so that `Item` isn't found in `ItemPage`.
  text_of_paths = jsonencode(local.paths)
  used_parameters = { for name, parameter in local.parameters : name => parameter
  if strcontains(local.text_of_paths, "/parameters/${name}\"") }
  used_responses = { for name, response in local.responses : name => response
  if strcontains(local.text_of_paths, "/responses/${name}\"") }
  used_schemes = { for name, scheme in local.security_schemes : name => scheme
  if strcontains(local.text_of_paths, "\"${name}\":[]") }

  text_of_responses = jsonencode([local.paths, local.used_responses])
  used_headers = { for name, header in local.headers : name => header
  if strcontains(local.text_of_responses, "/headers/${name}\"") }

  text_of_schemas = jsonencode([local.used_parameters, local.used_headers, local.all_schemas])
  used_schemas = { for name, schema in local.all_schemas : name => schema
  if strcontains("${local.text_of_responses}${local.text_of_schemas}", "/schemas/${name}\"") }

  components = {
    parameters      = local.used_parameters
    headers         = local.used_headers
    schemas         = local.used_schemas
    responses       = local.used_responses
    securitySchemes = local.used_schemes
  }

  # Tag -> its description.
  tags_of_collections = { for c in keys(var.collections) : local.unique_tags[c] => "The collection `${c}`." }
  tags_of_backends = { for name in keys(var.backends) : local.unique_tags[name] => (
    contains(keys(var.collections), name)
    ? "The collection `${name}`, and the back office `${name}` behind the API."
    : "The back office `${name}` behind the API."
  ) }
  tag_texts = merge({ health = "Whether the API responds." }, local.tags_of_collections, local.tags_of_backends)
  tags      = [for name, text in local.tag_texts : { name = name, description = text }]

  origins = join(", ", [for origin in var.cors_origins : "`${origin}`"])
  cors = length(var.cors_origins) == 0 ? "Scripts of other web origins can't call this API." : (
    "Scripts of these web origins can call this API: ${local.origins}."
  )

  document = {
    openapi = "3.1.0"
    info = {
      title   = var.title
      version = var.contract_version
      description = join(" ", [
        "A write gets the status 202 as soon as it is durable, and Readplane applies it a moment later.",
        "A read never waits for a back office, except through a backend.",
        "Every error is a problem document (RFC 9457).",
        "A query parameter that an operation doesn't list gets 400.",
        "But documents, cached operations and /health ignore it, and uncached operations below /backends pass it on.",
        "A path responds 405 to a method that it doesn't have, and the header Allow lists its methods.",
        "HEAD works like GET, except on cached operations and below /backends.",
        local.cors,
      ])
    }
    servers    = var.servers
    tags       = local.tags
    paths      = local.paths
    components = { for kind, members in local.components : kind => members if length(members) > 0 }
  }
}
