# Each collection has routes of its own, with the collection's name as a fixed part of the path. The route alone
# determines authorisation, cache and S3 prefix, so no value that a client puts into a path can change them.
#
# Module `api` builds the API from this table, and module `contract` builds the public OpenAPI document. Two attributes
# are only for module `contract`: `operation` says what the route does, and `subject` names the collection, source or
# backend that the route belongs to.
locals {
  # The collections that clients can reach. A retired collection has no routes. Its items and documents are still there,
  # so `apply` and `publish` still know it.
  live = { for c, collection in var.collections : c => collection if !collection.retired }

  # The collections that sources feed. No client may write them, not even an owner collection, because the next poll
  # would overwrite the write.
  sourced = toset([for source in values(var.sources) : source.collection])
  written = { for c, collection in local.live : c => collection
  if !contains(local.sourced, c) && (collection.read == "owner" || length(collection.write_groups) > 0) }

  # The path and query parameters on which the responses of a collection's GET routes depend. With cache_ttl, the
  # responses depend on nothing else, and these parameters form the cache key. With `min_version`, clients read their
  # own writes. `next` is another name of `cursor`, because a list's response names the next cursor so.
  reads_of_list     = ["querystring.limit", "querystring.cursor", "querystring.next"]
  reads_of_query    = concat(local.reads_of_list, ["querystring.filter", "querystring.sort", "querystring.q"])
  reads_of_item     = ["path.item_id", "querystring.min_version"]
  reads_of_document = ["path.item_id"]

  documents_from_s3 = var.documents_integration == "s3"

  # The settings that all GET routes of a collection share.
  gets = { for c, collection in local.live : c => {
    subject    = c
    scopes     = collection.read == "public" ? [] : var.identity.scopes.read
    per_caller = collection.read == "owner"
    throttle   = collection.throttle
  } }

  # Collection -> the parameters of its lists. Only a relational collection has those that the database serves.
  list_parameters = { for c in keys(local.live) : c => (
    contains(keys(local.relational), c) ? local.reads_of_query : local.reads_of_list
  ) }

  # Collection -> the caches of its routes; null without cache_ttl.
  caches = { for c, collection in local.live : c => {
    for kind, key in merge(local.cache_keys, { list = local.list_parameters[c] }) :
    kind => collection.cache_ttl == 0 ? null : { ttl = collection.cache_ttl, key = key }
  } }
  cache_keys = { item = local.reads_of_item, document = local.reads_of_document }

  routes_of_lists = { for c in keys(local.live) : "GET /items/${c}" => merge(local.gets[c], {
    operation = "list_items"
    # API Gateway can't choose the function by a query parameter, so `query` serves the plain lists too.
    function = contains(keys(local.relational), c) ? "query" : "read"
    document = null
    reads    = local.list_parameters[c]
    cache    = local.caches[c].list
  }) }

  routes_of_items = { for c in keys(local.live) : "GET /items/${c}/{item_id}" => merge(local.gets[c], {
    operation = "read_item"
    function  = "read"
    document  = null
    reads     = local.reads_of_item
    cache     = local.caches[c].item
  }) }

  # Collection -> the S3 object that holds an item's document, if API Gateway reads it from S3 itself.
  item_documents = { for c, collection in local.live : c => {
    key      = "${collection.read}/documents/${c}/${collection.read == "owner" ? "{sub}/" : ""}{item_id}"
    role_arn = module.documents.role_arns[collection.read]
    # The Cache-Control in S3 of a document for every signed-in user is meant for the edge alone (model/collection.py).
    cache_control = collection.read == "authenticated" ? "private, max-age=${collection.cache_ttl}" : null
  } }

  routes_of_documents = { for c in keys(local.live) : "GET /documents/${c}/{item_id}" => merge(local.gets[c], {
    operation = "read_document"
    function  = local.documents_from_s3 ? null : "read"
    document  = local.documents_from_s3 ? local.item_documents[c] : null
    reads     = local.reads_of_document
    cache     = local.caches[c].document
  }) }

  # The routes with which clients ask for the status of a change. The status is never cached, because it soon turns from
  # pending to the outcome.
  routes_of_changes = {
    for c in keys(local.live) : "GET /items/${c}/{item_id}/changes/{change_id}" => merge(local.gets[c], {
      operation = "read_change"
      function  = "read"
      reads     = ["path.item_id", "path.change_id"]
    })
  }

  # The settings that all routes share with which clients write a collection.
  writes = { for c, collection in local.written : c => {
    subject  = c
    function = "write"
    scopes   = var.identity.scopes.write
    throttle = collection.throttle
  } }

  routes_of_creates = { for c in keys(local.written) : "POST /items/${c}" => merge(local.writes[c], {
    operation = "create_item"
    reads     = []
  }) }

  routes_of_replaces = { for c in keys(local.written) : "PUT /items/${c}/{item_id}" => merge(local.writes[c], {
    operation = "replace_item"
    reads     = ["path.item_id"]
  }) }

  routes_of_deletes = { for c in keys(local.written) : "DELETE /items/${c}/{item_id}" => merge(local.writes[c], {
    operation = "delete_item"
    reads     = ["path.item_id"]
  }) }

  # Source name -> who may read its freshness. Every signed-in user may read the freshness of a source that feeds an
  # owner collection, because a source belongs to no owner.
  source_visibility = { for name, source in var.sources : name => (
    var.collections[source.collection].read == "public" ? "public" : "authenticated"
  ) }

  # The settings of the routes of each source's freshness. Whoever may read the source's collection may call them. The
  # freshness is never cached, because it changes with every poll and grows staler every second.
  freshness = { for name in keys(var.sources) : name => {
    subject = name
    scopes  = local.source_visibility[name] == "public" ? [] : var.identity.scopes.read
    reads   = []
  } }

  routes_of_sources = { for name in keys(var.sources) : "GET /sources/${name}" => merge(local.freshness[name], {
    operation = "read_source"
    function  = "read"
    document  = null
  }) }

  # Source name -> the S3 object that holds its freshness, if API Gateway reads it from S3 itself.
  source_documents = { for name in keys(var.sources) : name => {
    key      = "${local.source_visibility[name]}/documents/sources/${name}"
    role_arn = module.documents.role_arns[local.source_visibility[name]]
  } }

  routes_of_source_documents = {
    for name in keys(var.sources) : "GET /documents/sources/${name}" => merge(local.freshness[name], {
      operation = "read_source_document"
      function  = local.documents_from_s3 ? null : "read"
      document  = local.documents_from_s3 ? local.source_documents[name] : null
    })
  }

  # Each backend with one of its HTTP methods. A backend has one route for each method, so that API Gateway refuses the
  # other methods.
  backend_methods = flatten([
    for name, backend in var.backends : [for method in backend.methods : { name = name, method = method }]
  ])

  # Backend -> the cache of its GET route. No other method is cached. (The methods of one path share a cache, so API
  # Gateway could answer a GET with the cached response to a HEAD.)
  backend_cache = { for name, backend in var.backends : name => backend.cache == null ? null : {
    ttl = backend.cache.ttl
    key = concat(
      ["path.proxy"],
      distinct([for parameter in backend.cache.cache_query_parameters : "querystring.${parameter}"]),
    )
  } }

  routes_of_backends = { for each in local.backend_methods : "${each.method} /backends/${each.name}/{proxy+}" => {
    operation = "call_backend"
    subject   = each.name
    backend = {
      name            = each.name
      url             = var.backends[each.name].url
      timeout_ms      = var.backends[each.name].timeout_ms
      forward_headers = var.backends[each.name].forward_headers
      vpc_link_id     = lookup(local.vpc_link_ids, each.name, null)
    }
    api_key  = var.backends[each.name].api_key
    scopes   = var.backends[each.name].scopes
    throttle = var.backends[each.name].throttle
    cache    = each.method == "GET" ? local.backend_cache[each.name] : null
  } }

  route_of_health = { "GET /health" = {
    operation = "health"
    subject   = null
    fixed     = { status = 200, body = jsonencode({ status = "ok" }) }
  } }

  # Every route. throttles.tf adds the request limits of the routes that have none.
  routes_without_limits = merge(
    local.route_of_health,
    local.routes_of_lists,
    local.routes_of_items,
    local.routes_of_documents,
    local.routes_of_changes,
    local.routes_of_creates,
    local.routes_of_replaces,
    local.routes_of_deletes,
    local.routes_of_sources,
    local.routes_of_source_documents,
    local.routes_of_backends,
  )
}
