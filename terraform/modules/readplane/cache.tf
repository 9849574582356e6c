# The item cache of each Region. Each Region has its own, which `feed` fills from the items of that Region.
locals {
  cache     = module.settings.cache
  has_cache = local.cache != null

  # Whether the stack makes the cache. Otherwise it is an external one.
  makes_cache = local.has_cache && try(local.cache.external == null, false)

  cache_roles = local.has_cache ? concat(["primary"], local.has_replica ? ["replica"] : []) : []
}

module "cache" {
  source = "../cache"
  count  = local.makes_cache ? 1 : 0

  name          = module.record.name
  cache         = local.cache
  network       = local.networks.primary
  items_arns    = local.composed_arns.primary
  kms_key_arn   = local.primary_key_arn
  roles         = module.settings.roles
  alarms        = module.settings.alarms
  alarm_actions = local.alarm_actions
}

module "replica_cache" {
  source    = "../cache"
  count     = local.makes_cache && local.has_replica ? 1 : 0
  providers = { aws = aws.replica }

  name          = module.record.name
  cache         = local.cache
  network       = local.networks.replica
  items_arns    = local.composed_arns.replica
  kms_key_arn   = local.replica_key_arn
  roles         = module.settings.roles
  alarms        = module.settings.alarms
  alarm_actions = local.replica_alarm_actions
}

locals {
  own_caches = merge(
    local.makes_cache ? { primary = {
      connection = module.cache[0].connection
      statements = module.cache[0].statements
    } } : {},
    local.makes_cache && local.has_replica ? { replica = {
      connection = module.replica_cache[0].connection
      statements = module.replica_cache[0].statements
    } } : {},
  )

  # `primary` and `replica` -> how functions reach the cache there.
  cache_connections = merge(
    { for role, cache in local.own_caches : role => cache.connection },
    { for role, cache in local.external_caches : role => {
      engine      = "valkey"
      host        = cache.host
      port        = cache.port
      tls         = cache.tls
      iam_name    = null
      serverless  = false
      users       = { read = cache.user, feed = cache.user }
      ca_pem      = cache.ca_pem
      endpoint    = null
      ttl_seconds = null
    } },
  )
  # The stack's own caches have certificates of Amazon, which the functions know.
  cache_certificates = { for role, connection in local.cache_connections : role => {
    for pem in compact([try(connection.ca_pem, null)]) : "ca_pem" => pem
  } }
  external_caches = { for role in local.cache_roles : role => local.cache.external[role] if !local.makes_cache }

  # What both functions are told of a cache of Valkey, besides how to reach it.
  cache_rules = local.has_cache ? {
    generation       = local.cache.generation
    fresh_seconds    = local.cache.fresh_seconds
    stale_seconds    = local.cache.stale_seconds
    negative_seconds = local.cache.negative_seconds
    max_item_bytes   = local.cache.max_item_bytes
  } : null

  # `primary` and `replica` -> function -> its settings of the cache as JSON text.
  cache_settings = { for role, connection in local.cache_connections : role => {
    for function in ["read", "feed"] : function => connection.engine == "dax" ? jsonencode({
      engine      = "dax"
      endpoint    = connection.endpoint
      ttl_seconds = connection.ttl_seconds
      collections = module.settings.cached_collections
      }) : jsonencode(merge(local.cache_rules, local.cache_certificates[role], {
        engine      = "valkey"
        host        = connection.host
        port        = connection.port
        tls         = connection.tls
        user        = connection.users[function]
        iam_name    = connection.iam_name
        serverless  = connection.serverless
        collections = module.settings.cached_collections
    }))
  } }

  # The same -> the policy statements with which the function may use the cache. An external cache has a password.
  cache_statements = { for role in local.cache_roles : role => {
    for function in ["read", "feed"] :
    function => local.makes_cache ? lookup(local.own_caches[role].statements, function, []) : []
  } }

  # What `read` needs of the cache in each Region.
  read_caches = { for role in ["primary", "replica"] : role => contains(local.cache_roles, role) ? {
    engine     = local.cache_engine
    settings   = local.cache_settings[role].read
    statements = local.cache_statements[role].read
    vpc        = local.vpcs[role]
  } : null }

  # Known when Terraform plans, other than the connection.
  cache_engine = local.has_cache ? try(local.cache.dax != null, false) ? "dax" : "valkey" : null

  # The environment variable with the password of an external cache.
  cache_secrets = { for role, name in { primary = "cache", replica = "replica_cache" } : role => (
    contains(local.password_names, name) ? { READPLANE_CACHE_PASSWORD = module.settings.store_passwords[name] } : {}
  ) }
}
