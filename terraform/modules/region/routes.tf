# Each collection has routes of its own, with the collection's name as a fixed part of the path. The route alone
# determines authorisation, cache and S3 prefix, so no value that a client puts into a path can change them.
locals {
  # The collections that sources feed. No client may write them, not even an owner collection, because the next poll
  # would overwrite the write.
  sourced = toset([for source in values(var.sources) : source.collection])
  written = { for c, collection in var.collections : c => collection
  if !contains(local.sourced, c) && (collection.read == "owner" || length(collection.write_groups) > 0) }

  # Request headers on which the responses of GET routes depend. If-None-Match makes a request conditional, and
  # Readplane-Min-Version lets clients read their own writes.
  read_headers = ["header.If-None-Match", "header.Readplane-Min-Version"]

  # With several origins, the response to each origin names that origin in Access-Control-Allow-Origin. So a cached
  # response is right for only one origin, and the cache key must contain the origin.
  cache_key_origin = length(var.api.cors_origins) > 1 ? ["header.Origin"] : []

  documents_from_s3 = var.documents_integration == "s3"

  # The settings that all GET routes of a collection share.
  gets = { for c, collection in var.collections : c => {
    scopes     = collection.read == "public" ? [] : var.identity.scopes.read
    per_caller = collection.read == "owner"
    throttle   = collection.throttle
  } }

  routes_of_reads = merge([for c, collection in var.collections : { for path, route in {
    "GET /items/${c}" = {
      function = "read"
      document = null
      reads    = concat(["querystring.limit", "querystring.cursor"], local.read_headers)
    }
    "GET /items/${c}/{item_id}" = {
      function = "read"
      document = null
      reads    = concat(["path.item_id"], local.read_headers)
    }
    "GET /documents/${c}/{item_id}" = {
      function = local.documents_from_s3 ? null : "read"
      document = local.documents_from_s3 ? {
        key      = "${collection.read}/${c}/${collection.read == "owner" ? "{sub}/" : ""}{item_id}.json"
        role_arn = module.documents.role_arns[collection.read]
      } : null
      reads = concat(["path.item_id"], local.read_headers)
    }
    } : path => merge(local.gets[c], route, {
      cache = collection.cache_ttl > 0 ? { ttl = collection.cache_ttl, key = concat(route.reads, local.cache_key_origin) } : null
  }) }]...)

  # The routes with which clients ask for the status of a change. The status is never cached, because it soon turns from
  # pending to the outcome.
  routes_of_changes = { for c, collection in var.collections : "GET /items/${c}/{item_id}/changes/{change_id}" => merge(local.gets[c], {
    function = "read"
    reads    = ["path.item_id", "path.change_id"]
  }) }

  routes_of_writes = merge([for c, collection in local.written : { for path, reads in {
    "POST /items/${c}"             = []
    "PUT /items/${c}/{item_id}"    = ["path.item_id"]
    "DELETE /items/${c}/{item_id}" = ["path.item_id"]
    } : path => {
    function = "write"
    scopes   = var.identity.scopes.write
    reads    = reads
    throttle = collection.throttle
  } }]...)

  # The routes of each source's freshness. Whoever may read the source's collection may call them. The freshness is
  # never cached, because it changes with every poll and grows staler every second.
  routes_of_sources = merge([for name, source in var.sources : { for path, route in {
    "GET /sources/${name}" = { function = "read", document = null }
    "GET /documents/sources/${name}" = {
      function = local.documents_from_s3 ? null : "read"
      document = local.documents_from_s3 ? {
        key      = "${local.source_visibility[name]}/sources/${name}.json"
        role_arn = module.documents.role_arns[local.source_visibility[name]]
      } : null
    }
    } : path => merge(route, {
      scopes = local.source_visibility[name] == "public" ? [] : var.identity.scopes.read
      reads  = local.read_headers
  }) }]...)

  # Source name -> who may read its freshness. Every signed-in user may read the freshness of a source that feeds an
  # owner collection, because a source belongs to no owner.
  source_visibility = { for name, source in var.sources : name => var.collections[source.collection].read == "public" ? "public" : "authenticated" }

  # The routes of backends: one for each allowed HTTP method, so that API Gateway refuses the other methods. Only a GET
  # is cached. (The methods of one path share a cache, so API Gateway could answer a GET with the cached response to a
  # HEAD.)
  routes_of_backends = merge([for name, backend in var.backends : { for method in backend.methods : "${method} /backends/${name}/{proxy+}" => {
    backend = {
      name            = name
      url             = backend.url
      timeout_ms      = backend.timeout_ms
      forward_headers = backend.forward_headers
      vpc_link_id     = lookup(local.vpc_link_ids, name, null)
    }
    api_key  = backend.api_key
    scopes   = backend.scopes
    throttle = backend.throttle
    cache = method != "GET" || backend.cache == null ? null : {
      ttl = backend.cache.ttl
      key = distinct(concat(
        ["path.proxy"],
        [for parameter in backend.cache.cache_query_parameters : "querystring.${parameter}"],
        [for header in backend.cache.headers : "header.${header}"],
      ))
    }
  } }]...)

  routes = merge(
    { "GET /health" = { fixed = { status = 200, body = jsonencode({ status = "ok" }) } } },
    local.routes_of_reads,
    local.routes_of_changes,
    local.routes_of_writes,
    local.routes_of_sources,
    local.routes_of_backends,
  )
}
