# What brings changes into the private stores of each Region (modules/feed). `publish` sends the keys of changed items
# to the queues. DAX needs no feed, because it reads DynamoDB itself.
locals {
  feeds_cache = local.has_cache && local.cache_engine == "valkey"
  has_feed    = local.feeds_cache || local.has_database

  feed_code = { for role in ["primary", "replica"] : role => {
    zip          = module.settings.zips.functions
    architecture = module.settings.architecture
    s3 = module.settings.zip_objects[role] == null ? null : {
      bucket = module.settings.zip_objects[role].bucket
      key    = module.settings.zip_objects[role].keys[module.settings.zips.functions]
    }
  } }

  feed_collections = { for name, collection in module.settings.collections : name => {
    read       = collection.read
    relational = collection.relational == null ? null : jsonencode(collection.relational)
  } }

  # What `feed` needs of each store in each Region; null without the store.
  feed_caches = { for role in ["primary", "replica"] : role => local.feeds_cache ? {
    settings    = try(local.cache_settings[role].feed, null)
    statements  = try(local.cache_statements[role].feed, [])
    concurrency = local.cache.feed_concurrency
  } : null }
  feed_databases = { for role in ["primary", "replica"] : role => local.databases[role] == null ? null : {
    settings    = jsonencode({ for key, value in local.databases[role].feed : key => value if value != null })
    statements  = local.databases[role].statements.feed
    concurrency = local.database_concurrency.feed
  } }

  # Environment variables of `feed` by the names of the passwords that they hold.
  feed_variables = {
    cache = "READPLANE_CACHE_PASSWORD"
    feed  = "READPLANE_DATABASE_PASSWORD"
    owner = "READPLANE_DATABASE_OWNER_PASSWORD"
  }
  feed_secrets = { for role, prefix in { primary = "", replica = "replica_" } : role => {
    for name, variable in local.feed_variables : variable => module.settings.store_passwords["${prefix}${name}"]
    if contains(local.password_names, "${prefix}${name}")
  } }
}

module "feed" {
  source = "../feed"
  count  = local.has_feed ? 1 : 0

  name = module.record.name
  code = merge(local.feed_code.primary, {
    layers = concat([module.primary.layer_arn], module.primary.database_layer_arn[*])
  })
  function           = module.settings.functions.feed
  republish          = module.settings.republish
  release            = module.record.released_alias
  vpc                = local.vpcs.primary
  items              = local.primary_items
  horizon_days       = module.settings.horizon_days
  collections        = local.feed_collections
  cache              = local.feed_caches.primary
  database           = local.feed_databases.primary
  secrets            = local.feed_secrets.primary
  kms_key_arn        = local.primary_key_arn
  tls_only           = !module.settings.emulator.plain_http
  roles              = module.settings.roles
  log_retention_days = module.settings.log_retention_days
  alarms             = module.settings.alarms
  alarm_actions      = local.alarm_actions
}

module "replica_feed" {
  source    = "../feed"
  count     = local.has_feed && local.has_replica ? 1 : 0
  providers = { aws = aws.replica }

  name = module.record.name
  code = merge(local.feed_code.replica, {
    layers = concat([module.replica[0].layer_arn], module.replica[0].database_layer_arn[*])
  })
  function           = module.settings.functions.feed
  republish          = module.settings.republish
  release            = module.record.released_alias
  vpc                = local.vpcs.replica
  items              = local.replica_items
  horizon_days       = module.settings.horizon_days
  collections        = local.feed_collections
  cache              = local.feed_caches.replica
  database           = local.feed_databases.replica
  secrets            = local.feed_secrets.replica
  kms_key_arn        = local.replica_key_arn
  tls_only           = !module.settings.emulator.plain_http
  roles              = module.settings.roles
  log_retention_days = module.settings.log_retention_days
  alarms             = module.settings.alarms
  alarm_actions      = local.replica_alarm_actions
}

locals {
  # Store -> the collections whose items it holds. Retired ones count too, so that it learns of their deletes.
  fed_collections = {
    cache    = module.settings.cached_collections
    database = [for name, collection in module.settings.collections : name if collection.relational != null]
  }

  feed_queues = {
    primary = local.has_feed ? module.feed[0].queues : {}
    replica = local.has_feed && local.has_replica ? module.replica_feed[0].queues : {}
  }

  # What `publish` needs to know of the queues of its Region.
  feeds = { for role, queues in local.feed_queues : role => { for store, queue in queues : store => {
    queue_url   = queue.url
    queue_arn   = queue.arn
    collections = local.fed_collections[store]
  } } }
}

output "feed_queues" {
  description = <<-EOT
    `primary` and `replica` -> store (`cache`, `database`) -> URL and ARN of the queue from which `feed` takes the keys
    of changed items, and the URL of its dead-letter queue. Empty without private stores.
  EOT
  value       = local.feed_queues
}
