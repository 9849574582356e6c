# Static routes per collection: authorisation, cache and S3 prefix belong to a route, so no path value can confuse them.
locals {
  written = { for c, collection in var.collections : c => collection if collection.read == "owner" || length(collection.write_groups) > 0 }

  # An item's and a list's answer depend on these headers: conditional requests and read-your-writes.
  read_headers = ["header.If-None-Match", "header.Readplane-Min-Version"]

  # With several origins each gets its own Access-Control-Allow-Origin, so a cached answer belongs to one of them.
  cache_key_origin = length(var.api.cors_origins) > 1 ? ["header.Origin"] : []

  documents_from_s3 = var.documents_integration == "s3"

  # What every GET of a collection has in common.
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

  # A change's status moves from pending to its outcome: never cached.
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

  routes = merge(
    { "GET /health" = { fixed = { status = 200, body = jsonencode({ status = "ok" }) } } },
    local.routes_of_reads,
    local.routes_of_changes,
    local.routes_of_writes,
  )
}
