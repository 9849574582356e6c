# What the contract says about each route. One local holds the routes of one kind.
locals {
  routes = { for key, route in var.routes : key => merge(route, {
    method = lower(split(" ", key)[0])
    # OpenAPI has no greedy parameters, so {proxy+} becomes {proxy}.
    path     = replace(split(" ", key)[1], "+}", "}")
    throttle = route.throttle == null ? var.throttle : route.throttle
    token    = length(route.scopes) > 0
  }) }

  by_operation = { for operation in local.known_operations : operation => {
    for key, route in local.routes : key => route if route.operation == operation
  } }

  # Who may call a route, as a sentence for its description.
  token_texts = { for key, route in local.routes : key => (
    "an access token with one of the scopes ${join(", ", [for scope in route.scopes : "`${scope}`"])}"
  ) }
  callers = { for key, route in local.routes : key => (
    route.token && route.api_key ? "Needs an API key and ${local.token_texts[key]}." :
    route.token ? "Needs ${local.token_texts[key]}." :
    route.api_key ? "Needs the API key of this backend." :
    "Needs no token."
  ) }

  # How often a route may be called, as a sentence for its description.
  rates = { for key, route in local.routes : key => (
    "The rate limit for all callers together is ${route.throttle.rate} per second, burst ${route.throttle.burst}."
  ) }

  # Who may write a collection's items, as a sentence.
  writers = { for c, collection in var.collections : c => (
    collection.read == "owner" ? "Callers write only their own items." :
    "Only members of ${join(", ", [for group in collection.write_groups : "`${group}`"])} may write."
  ) }

  # Which items of a collection a GET returns, as sentences.
  owners = { for c, collection in var.collections : c => (
    collection.read == "owner" ? ["Callers see only their own items."] : []
  ) }

  # Route -> how long API Gateway caches its responses, and what follows for callers, as sentences.
  caches = { for key, route in local.routes : key => route.cache == null ? [] : [
    "API Gateway caches a response for ${route.cache.ttl} seconds, errors included.",
    "The response depends only on the path and on the query parameters that are listed here.",
    "Any other query parameter and any header but the token's is ignored.",
  ] }

  # Route -> what a conditional request needs. On a cached route no header may change the response, so there is no 304.
  conditions = { for key, route in local.routes : key => route.cache == null ? [local.references_to.IfNoneMatch] : [] }
  not_modified = { for key, route in local.routes : key => {
    for status in ["304"] : status => { "$ref" = "#/components/responses/NotModified" } if route.cache == null
  } }

  # The collections that sources feed, and those that a snapshot feeds.
  sourced   = [for source in values(var.sources) : source.collection]
  snapshots = [for source in values(var.sources) : source.collection if source.mode == "snapshot"]

  # Route -> the header that keeps caches from giving a response to a request with another token.
  vary_headers = { for key, route in local.routes : key => {
    for header in ["Vary"] : header => { "$ref" = "#/components/headers/Vary" } if route.token
  } }

  # Route -> the header that says what the item cache did. `read` sets it, so a document from S3 has none.
  cache_status_headers = { for key, route in local.routes : key => {
    for header in ["Cache-Status"] : header => { "$ref" = "#/components/headers/CacheStatus" }
    if route.document == null && contains(var.cached_collections, coalesce(route.subject, "health"))
  } }

  cache_control_header = { "Cache-Control" = { "$ref" = "#/components/headers/CacheControl" } }
  stale_header         = { "Readplane-Stale" = { "$ref" = "#/components/headers/Stale" } }
  stale_headers = { for c in keys(var.collections) : c => {
    for header, value in local.stale_header : header => value if contains(local.sourced, c)
  } }
  etag_headers = merge(local.cache_control_header, { ETag = { "$ref" = "#/components/headers/ETag" } })
  version_headers = merge(local.etag_headers, {
    "Readplane-Version" = { "$ref" = "#/components/headers/Version" }
  })

  json = { for name in local.response_schemas : name => {
    "application/json" = { schema = { "$ref" = "#/components/schemas/${name}" } }
  } }
  response_schemas = concat(
    ["Health", "ChangeStatus", "Freshness", "FreshnessDocument"],
    flatten([for c in keys(var.collections) : [
      local.data_name[c], "${local.collection_name[c]}Item", "${local.collection_name[c]}Page"
    ]]),
  )

  health = { for key, route in local.by_operation.health : key => {
    id         = "health"
    tag        = "health"
    summary    = "Check that the API responds."
    sentences  = ["It calls no function and reads no store."]
    parameters = []
    body       = null
    successes  = { "200" = { description = "The API responds.", content = local.json.Health } }
    errors     = ["UnsupportedMediaType", "TooManyRequests"]
  } }

  lists = { for key, route in local.by_operation.list_items : key => {
    id      = "list${local.collection_name[route.subject]}"
    tag     = local.unique_tags[route.subject]
    summary = "List a page of the items of `${route.subject}`."
    sentences = concat(
      local.owners[route.subject],
      local.orders[route.subject],
      ["A walk over all pages returns every item that exists throughout the walk exactly once."],
      local.databases[route.subject],
      ["A page ends at `limit` items or at about 1 MiB."],
      local.caches[key],
    )
    parameters = concat([local.references_to.Limit, local.references_to.Cursor], local.list_parameters[route.subject])
    body       = null
    successes = { "200" = {
      description = "One page of items."
      headers     = merge(local.cache_control_header, local.vary_headers[key], local.stale_headers[route.subject])
      content     = local.json["${local.collection_name[route.subject]}Page"]
    } }
    errors = concat(["BadRequest", "Forbidden", "TooManyRequests"], local.server_errors)
  } }

  items = { for key, route in local.by_operation.read_item : key => {
    id         = "read${local.collection_name[route.subject]}Item"
    tag        = local.unique_tags[route.subject]
    summary    = "Read an item of `${route.subject}`."
    sentences  = concat(local.owners[route.subject], local.caches[key])
    parameters = concat([local.references_to.ItemId, local.references_to.MinVersion], local.conditions[key])
    body       = null
    successes = merge(local.not_modified[key], { "200" = {
      description = "The item. Its ETag is its version in quotes."
      headers = merge(
        local.version_headers,
        local.vary_headers[key],
        local.stale_headers[route.subject],
        local.cache_status_headers[key],
      )
      content = local.json["${local.collection_name[route.subject]}Item"]
    } })
    errors = concat(local.read_errors, ["Conflict"])
  } }

  document_sentence = { for c in keys(var.collections) : c => (
    contains(local.snapshots, c)
    ? "The only document is `current`. Its `data` is what the back office sent."
    : "It is the same representation as the item's."
  ) }

  # The errors of every route that calls a function, S3 or a back office.
  server_errors = ["InternalServerError", "BadGateway", "Unavailable", "GatewayTimeout"]

  # The errors of a GET of one item, document or change.
  read_errors = concat(["BadRequest", "Forbidden", "NotFound", "TooManyRequests"], local.server_errors)

  # If API Gateway itself reads a document from S3, it refuses some Content-Types.
  document_errors = { for key, route in local.routes : key => (
    concat(local.read_errors, route.document == null ? [] : ["UnsupportedMediaType"])
  ) }

  documents = { for key, route in local.by_operation.read_document : key => {
    id      = "read${local.collection_name[route.subject]}Document"
    tag     = local.unique_tags[route.subject]
    summary = "Read the document of an item of `${route.subject}`."
    sentences = concat(
      ["Readplane publishes a document to S3 whenever the item changes.", local.document_sentence[route.subject]],
      local.owners[route.subject],
      local.caches[key],
    )
    parameters = concat([local.references_to.ItemId], local.conditions[key])
    body       = null
    successes = merge(local.not_modified[key], { "200" = {
      description = "The document. Its ETag is that of the S3 object."
      headers     = merge(local.version_headers, local.vary_headers[key], local.cache_status_headers[key])
      content     = local.json["${local.collection_name[route.subject]}Item"]
    } })
    errors = local.document_errors[key]
  } }

  changes = { for key, route in local.by_operation.read_change : key => {
    id         = "read${local.collection_name[route.subject]}Change"
    tag        = local.unique_tags[route.subject]
    summary    = "Read what became of a change of `${route.subject}`."
    sentences  = concat(["The response is never cached."], local.owners[route.subject])
    parameters = [local.references_to.ItemId, local.references_to.ChangeId]
    body       = null
    successes = { "200" = {
      for member, value in {
        description = "The change's status."
        headers     = local.vary_headers[key]
        content     = local.json.ChangeStatus
      } : member => value if length(value) > 0
    } }
    errors = local.read_errors
  } }

  # The responses to a write, and the bodies of writes.
  write_errors = concat(local.delete_errors, ["TooLarge"])
  delete_errors = concat(
    ["BadRequest", "Forbidden", "NotImplemented", "TooManyRequests", "UnsupportedMediaType"],
    keys(local.unconfirmed_writes),
  )
  accepted = { "202" = { "$ref" = "#/components/responses/Accepted" } }
  bodies = { for c in keys(var.collections) : c => {
    required    = true
    description = <<-EOT
      One JSON object of at most 256 KiB and 100 levels, without duplicate names. Readplane returns it digit for digit.
    EOT
    content     = local.json[local.data_name[c]]
  } }

  creates = { for key, route in local.by_operation.create_item : key => {
    id      = "create${local.collection_name[route.subject]}Item"
    tag     = local.unique_tags[route.subject]
    summary = "Create an item of `${route.subject}` under an id that Readplane chooses."
    sentences = [
      local.writers[route.subject],
      "Send an Idempotency-Key, so that a retry creates no second item.",
      "A request with both an Idempotency-Key and min_version gets 400.",
    ]
    parameters = [local.references_to.IdempotencyKey, local.references_to.MinVersion]
    body       = local.bodies[route.subject]
    successes  = local.accepted
    errors     = concat(local.write_errors, ["UnprocessableContent"])
  } }

  replaces = { for key, route in local.by_operation.replace_item : key => {
    id         = "replace${local.collection_name[route.subject]}Item"
    tag        = local.unique_tags[route.subject]
    summary    = "Create or replace a whole item of `${route.subject}`."
    sentences  = [local.writers[route.subject], "A retry is safe."]
    parameters = [local.references_to.ItemId, local.references_to.MinVersion]
    body       = local.bodies[route.subject]
    successes  = local.accepted
    errors     = local.write_errors
  } }

  deletes = { for key, route in local.by_operation.delete_item : key => {
    id         = "delete${local.collection_name[route.subject]}Item"
    tag        = local.unique_tags[route.subject]
    summary    = "Delete an item of `${route.subject}`."
    sentences  = [local.writers[route.subject], "A retry is safe, and a body is ignored."]
    parameters = [local.references_to.ItemId, local.references_to.MinVersion]
    body       = null
    successes  = local.accepted
    errors     = local.delete_errors
  } }

  sources = { for key, route in local.by_operation.read_source : key => {
    id         = "read${local.source_name[route.subject]}"
    tag        = local.unique_tags[var.sources[route.subject].collection]
    summary    = "Read how fresh the source `${route.subject}` is now."
    sentences  = ["It feeds the collection `${var.sources[route.subject].collection}`."]
    parameters = []
    body       = null
    successes = { "200" = {
      for member, value in {
        description = "The source's freshness."
        headers     = local.vary_headers[key]
        content     = local.json.Freshness
      } : member => value if length(value) > 0
    } }
    errors = local.read_errors
  } }

  source_documents = { for key, route in local.by_operation.read_source_document : key => {
    id         = "read${local.source_name[route.subject]}Document"
    tag        = local.unique_tags[var.sources[route.subject].collection]
    summary    = "Read how fresh the source `${route.subject}` was after its last poll."
    sentences  = ["Readplane publishes this document to S3 after each poll."]
    parameters = local.conditions[key]
    body       = null
    successes = merge(local.not_modified[key], { "200" = {
      description = "The source's freshness as of its last poll."
      headers     = merge(local.etag_headers, local.vary_headers[key])
      content     = local.json.FreshnessDocument
    } })
    errors = local.document_errors[key]
  } }

  operations = merge(
    local.health,
    local.lists,
    local.items,
    local.documents,
    local.changes,
    local.creates,
    local.replaces,
    local.deletes,
    local.sources,
    local.source_documents,
  )
}
