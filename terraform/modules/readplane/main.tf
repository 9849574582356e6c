# How data moves through the stack:
#
#            write                                                  publish                 read
#  client -> API -> write -> Firehose -> write log (S3) -> apply -> items -> stream -> documents (S3) <- API <- client
#  back office <- poll -> change stream (Kinesis) -------> apply
#                  └ snapshot -> documents (S3)
#
# Module `identity` holds the users. Module `items` (items.tf) is the items table, which DynamoDB replicates to the
# replica Region (module `items_replica`).
# Modules `primary` and `replica` are the API, functions, write log and documents of one Region each. Modules
# `change_stream` and `poll` exist only if there is a source. The replica Region has its own only if poll.in_replica is
# set. Module `monitoring` adds a topic for the alarms and a dashboard to each Region.

module "identity" {
  source = "../identity"

  name                = module.record.name
  groups              = toset(module.settings.groups)
  user_pool           = module.settings.user_pool
  email               = module.settings.sign_in.email
  mfa                 = module.settings.sign_in.mfa
  self_sign_up        = module.settings.sign_in.self_sign_up
  deletion_protection = module.settings.protected.stack
  web = {
    callback_urls = distinct(concat(module.settings.sign_in.web_callback_urls, local.edge_pages))
    logout_urls   = distinct(concat(module.settings.sign_in.web_logout_urls, local.edge_pages))
  }
  mobile = {
    callback_urls = module.settings.sign_in.mobile_callback_urls
    logout_urls   = module.settings.sign_in.mobile_logout_urls
  }
  tokens = {
    access_minutes = module.settings.sign_in.access_minutes
    id_minutes     = module.settings.sign_in.id_minutes
    refresh_days   = module.settings.sign_in.refresh_days
  }
}

module "primary" {
  source = "../region"

  name        = module.record.name
  code        = local.code
  kms_key_arn = local.primary_key_arn
  has_key     = local.has_key["primary"]
  identity    = local.identity
  items       = local.primary_items
  collections = module.settings.collections
  sources     = local.freshness
  # Use `[0].arn`, so that module `primary` waits only for the output `arn` of module `change_stream`. The expression
  # one(module.change_stream[*].arn) would wait for the whole module `change_stream`. That would be a cycle, because
  # module `change_stream` waits for the function `apply` of module `primary`.
  change_stream_arn         = local.polled ? module.change_stream[0].arn : null
  backends                  = local.backends
  backend_api_keys          = module.settings.backend_api_keys
  api                       = local.api
  domain                    = module.settings.domains.primary
  health_check              = one(module.replica_switch[*].health_check)
  edge_arns                 = local.edge_arns
  origin                    = local.origin
  origin_secrets            = local.origin_secrets
  documents_integration     = module.settings.documents_integration
  query                     = local.queries.primary
  query_secrets             = local.query_secrets.primary
  cache                     = local.read_caches.primary
  cache_secrets             = local.cache_secrets.primary
  feeds                     = local.feeds.primary
  functions                 = module.settings.functions
  republish                 = module.settings.republish
  release                   = module.record.released_alias
  account_concurrency_quota = module.settings.account_concurrency_quota
  write_log                 = module.settings.write_log
  horizon_days              = module.settings.horizon_days
  roles                     = module.settings.roles
  access_log_bucket         = module.settings.access_log_buckets.primary
  log_retention_days        = module.settings.log_retention_days
  force_destroy             = !module.settings.protected.stack
  tls_only                  = !module.settings.emulator.plain_http
  alarms                    = module.settings.alarms
  alarm_actions             = local.alarm_actions
  probe                     = local.probes.primary
}

module "replica" {
  source    = "../region"
  count     = module.settings.regions.replica == null ? 0 : 1
  providers = { aws = aws.replica }

  name                      = module.record.name
  code                      = merge(local.code, { s3 = module.settings.zip_objects.replica })
  kms_key_arn               = local.replica_key_arn
  has_key                   = local.has_key["replica"]
  identity                  = local.identity
  items                     = local.replica_items
  collections               = module.settings.collections
  sources                   = local.freshness
  change_stream_arn         = local.polled_in_replica ? module.replica_change_stream[0].arn : null
  backends                  = local.replica_backends
  backend_api_keys          = module.primary.backend_api_keys
  api                       = local.api
  domain                    = module.settings.domains.replica
  health_check              = one(module.primary_switch[*].health_check)
  edge_arns                 = local.edge_arns
  origin                    = local.origin
  origin_secrets            = local.origin_secrets
  documents_integration     = module.settings.documents_integration
  query                     = local.queries.replica
  query_secrets             = local.query_secrets.replica
  cache                     = local.read_caches.replica
  cache_secrets             = local.cache_secrets.replica
  feeds                     = local.feeds.replica
  functions                 = module.settings.functions
  republish                 = module.settings.republish
  release                   = module.record.released_alias
  account_concurrency_quota = module.settings.account_concurrency_quota
  write_log                 = module.settings.write_log
  horizon_days              = module.settings.horizon_days
  roles                     = module.settings.roles
  access_log_bucket         = module.settings.access_log_buckets.replica
  log_retention_days        = module.settings.log_retention_days
  force_destroy             = !module.settings.protected.replica
  tls_only                  = !module.settings.emulator.plain_http
  alarms                    = module.settings.alarms
  alarm_actions             = local.replica_alarm_actions
  probe                     = local.probes.replica
}

locals {
  code = {
    hot_zip       = module.settings.zips.hot
    functions_zip = module.settings.zips.functions
    layer_zip     = module.settings.zips.layer
    # These layers exist only with a database and with cache.dax.
    database_layer_zip = local.has_database ? module.settings.zips.database_layer : null
    dax_layer_zip      = local.cache_engine == "dax" ? module.settings.zips.dax_layer : null

    s3           = module.settings.zip_objects.primary
    architecture = module.settings.architecture
    aws_client   = module.settings.aws_client
  }

  # Both Regions use the user pool of the primary Region. Users sign in there, and the API authorizers of both Regions
  # accept its tokens.
  identity = {
    user_pool_arn = module.identity.user_pool_arn
    client_ids    = module.identity.client_ids
    scopes        = module.identity.scopes
  }

  # An origin that stands for several can't be the value of a CORS header, because a browser compares the value with its
  # own origin letter by letter.
  wide_origins = [for origin in module.settings.cors_origins : origin if strcontains(origin, "*")]
  cors_origins = length(local.wide_origins) == 0 ? module.settings.cors_origins : ["*"]

  api = {
    endpoint_type       = module.settings.endpoint_type
    cors_origins        = local.cors_origins
    cors_headers        = module.settings.cors_headers
    cache_size          = module.settings.cache_size
    throttle            = module.settings.throttle
    open_throttle       = module.settings.open_limit
    method_metrics      = module.settings.method_metrics
    escape_method_paths = !module.settings.emulator.plain_method_paths
  }
}
