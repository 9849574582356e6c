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

  # Which items of a collection a GET returns, and how long API Gateway caches its responses, as sentences.
  owners = { for c, collection in var.collections : c => (
    collection.read == "owner" ? ["Callers see only their own items."] : []
  ) }
  caches = { for c, collection in var.collections : c => (
    collection.cache_ttl == 0 ? [] : [
      "API Gateway caches a response for ${collection.cache_ttl} seconds, errors included."
    ]
  ) }

  # The collections that sources feed, and those that a snapshot feeds.
  sourced   = [for source in values(var.sources) : source.collection]
  snapshots = [for source in values(var.sources) : source.collection if source.mode == "snapshot"]

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
      ["The order is unspecified."],
      ["A walk over all pages returns every item that exists throughout the walk exactly once."],
      ["A page ends at `limit` items or at about 1 MiB."],
      local.caches[route.subject],
    )
    parameters = [local.references_to.Limit, local.references_to.Cursor]
    body       = null
    successes = { "200" = {
      description = "One page of items."
      headers     = merge(local.cache_control_header, local.stale_headers[route.subject])
      content     = local.json["${local.collection_name[route.subject]}Page"]
    } }
    errors = ["BadRequest", "Forbidden", "TooManyRequests", "Unavailable"]
  } }

  items = { for key, route in local.by_operation.read_item : key => {
    id         = "read${local.collection_name[route.subject]}Item"
    tag        = local.unique_tags[route.subject]
    summary    = "Read an item of `${route.subject}`."
    sentences  = concat(local.owners[route.subject], local.caches[route.subject])
    parameters = [local.references_to.ItemId, local.references_to.MinVersion, local.references_to.IfNoneMatch]
    body       = null
    successes = {
      "200" = {
        description = "The item. Its ETag is its version in quotes."
        headers     = merge(local.version_headers, local.stale_headers[route.subject])
        content     = local.json["${local.collection_name[route.subject]}Item"]
      }
      "304" = { "$ref" = "#/components/responses/NotModified" }
    }
    errors = concat(local.read_errors, ["Conflict"])
  } }

  document_sentence = { for c in keys(var.collections) : c => (
    contains(local.snapshots, c)
    ? "The only document is `current`. Its `data` is what the back office sent."
    : "It is the same representation as the item's."
  ) }

  # The errors of a GET of one item, document or change.
  read_errors = ["BadRequest", "Forbidden", "NotFound", "TooManyRequests", "Unavailable"]

  # If API Gateway itself reads a document from S3, it refuses some Content-Types, and responds 502 if S3 fails.
  document_errors = { for key, route in local.routes : key => (
    concat(local.read_errors, route.document == null ? [] : ["UnsupportedMediaType", "BadGateway"])
  ) }

  documents = { for key, route in local.by_operation.read_document : key => {
    id      = "read${local.collection_name[route.subject]}Document"
    tag     = local.unique_tags[route.subject]
    summary = "Read the document of an item of `${route.subject}`."
    sentences = concat(
      ["Readplane publishes a document to S3 whenever the item changes.", local.document_sentence[route.subject]],
      local.owners[route.subject],
      local.caches[route.subject],
    )
    parameters = [local.references_to.ItemId, local.references_to.IfNoneMatch]
    body       = null
    successes = {
      "200" = {
        description = "The document. Its ETag is that of the S3 object."
        headers     = local.version_headers
        content     = local.json["${local.collection_name[route.subject]}Item"]
      }
      "304" = { "$ref" = "#/components/responses/NotModified" }
    }
    errors = local.document_errors[key]
  } }

  changes = { for key, route in local.by_operation.read_change : key => {
    id         = "read${local.collection_name[route.subject]}Change"
    tag        = local.unique_tags[route.subject]
    summary    = "Read what became of a change of `${route.subject}`."
    sentences  = concat(["The response is never cached."], local.owners[route.subject])
    parameters = [local.references_to.ItemId, local.references_to.ChangeId]
    body       = null
    successes  = { "200" = { description = "The change's status.", content = local.json.ChangeStatus } }
    errors     = local.read_errors
  } }

  # The responses to a write, and the bodies of writes.
  write_errors  = concat(local.delete_errors, ["TooLarge", "UnsupportedMediaType"])
  delete_errors = ["BadRequest", "Forbidden", "TooManyRequests", "NotConfirmed"]
  accepted      = { "202" = { "$ref" = "#/components/responses/Accepted" } }
  bodies = { for c in keys(var.collections) : c => {
    required    = true
    description = <<-EOT
      One JSON object of at most 256 KiB and 100 levels, without duplicate names. Readplane returns it digit for digit.
    EOT
    content     = local.json[local.data_name[c]]
  } }

  creates = { for key, route in local.by_operation.create_item : key => {
    id         = "create${local.collection_name[route.subject]}Item"
    tag        = local.unique_tags[route.subject]
    summary    = "Create an item of `${route.subject}` under an id that Readplane chooses."
    sentences  = [local.writers[route.subject], "Send an Idempotency-Key, so that a retry creates no second item."]
    parameters = [local.references_to.IdempotencyKey, local.references_to.MinVersion]
    body       = local.bodies[route.subject]
    successes  = local.accepted
    errors     = local.write_errors
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
    successes  = { "200" = { description = "The source's freshness.", content = local.json.Freshness } }
    errors     = ["Forbidden", "NotFound", "TooManyRequests", "Unavailable"]
  } }

  source_documents = { for key, route in local.by_operation.read_source_document : key => {
    id         = "read${local.source_name[route.subject]}Document"
    tag        = local.unique_tags[var.sources[route.subject].collection]
    summary    = "Read how fresh the source `${route.subject}` was after its last poll."
    sentences  = ["Readplane publishes this document to S3 after each poll."]
    parameters = [local.references_to.IfNoneMatch]
    body       = null
    successes = {
      "200" = {
        description = "The source's freshness as of its last poll."
        headers     = local.etag_headers
        content     = local.json.FreshnessDocument
      }
      "304" = { "$ref" = "#/components/responses/NotModified" }
    }
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
