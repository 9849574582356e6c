# The change stream and the function `poll`, which polls the back offices. Terraform creates them only if there is a
# source, because AWS bills a Kinesis stream by the hour, used or not. For the same reason the replica Region has its
# own only if poll.in_replica asks for them (replica_poll.tf).
locals {
  polled            = length(module.settings.sources) > 0
  polled_in_replica = local.polled && local.has_replica && module.settings.poll.in_replica

  # The Region that polls a source as long as nobody has moved it.
  first_region = local.polled_in_replica ? module.settings.region : null

  # Source name -> the settings with which `read` tells clients whether the data of a collection is stale.
  freshness = { for name, source in module.settings.sources : name => {
    collection       = source.collection
    staleness_budget = source.staleness_budget
  } }
}

locals {
  stream = {
    on_demand       = module.settings.change_stream.on_demand
    shards          = module.settings.change_stream.shards
    retention_hours = module.settings.change_stream.retention_hours
  }
}

module "change_stream" {
  source = "../change_stream"
  count  = local.polled ? 1 : 0

  name   = module.record.name
  stream = local.stream
  apply = {
    arn                    = module.primary.apply_stream.arn
    function_name          = module.primary.apply_stream.function_name
    batch_size             = module.settings.change_stream.batch_size
    parallelization_factor = module.settings.change_stream.parallelization_factor
  }
  archive = {
    bucket_arn = module.primary.write_log.arn
    seconds    = module.settings.write_log.buffering_seconds
    megabytes  = module.settings.write_log.buffering_megabytes
  }
  kms_key_arn             = local.primary_key_arn
  freshness_alarm_seconds = module.primary.delivery_alarm_seconds
  roles                   = module.settings.roles
  log_retention_days      = module.settings.log_retention_days
  alarms                  = module.settings.alarms
  alarm_actions           = local.alarm_actions
}

locals {
  # Use `[0].documents`, so that module `poll` waits only for this output. The splat module.replica[*].documents would
  # make it wait for the whole replica.
  replica_documents = local.has_replica ? [module.replica[0].documents] : []
  documents         = concat([module.primary.documents], local.replica_documents)

  sourced_collections = { for source in values(module.settings.sources) : source.collection => {
    read      = module.settings.collections[source.collection].read
    cache_ttl = module.settings.collections[source.collection].cache_ttl
    edge_ttl  = module.settings.collections[source.collection].edge_ttl
    schema    = module.settings.collections[source.collection].schema
  } }
}

module "poll" {
  source = "../poll"
  count  = local.polled ? 1 : 0

  name = module.record.name
  code = {
    zip            = module.settings.zips.functions
    layer_arn      = module.primary.layer_arn
    poll_layer_zip = module.settings.zips.poll_layer
    s3             = module.settings.zip_objects.primary
    architecture   = module.settings.architecture
  }
  function  = module.settings.functions.poll
  republish = module.settings.republish
  release   = module.record.released_alias
  vpc       = module.settings.poll.vpc
  sources = { for name, source in module.settings.sources : name => {
    settings       = module.settings.source_settings[name]
    schedule       = source.schedule
    sweep_schedule = try(source.sweep.schedule, null)
    mode           = source.mode
    collection     = source.collection
    secrets        = module.settings.source_secrets.primary[name]
  } }
  collections  = local.sourced_collections
  first_region = local.first_region
  items        = local.primary_items
  stream = {
    name    = module.change_stream[0].name
    arn     = module.change_stream[0].arn
    archive = module.change_stream[0].archive
  }
  log_bucket          = module.primary.write_log
  documents           = local.documents
  horizon_days        = module.settings.horizon_days
  kms_key_arn         = local.primary_key_arn
  deletion_protection = module.settings.protected.change_stream
  roles               = module.settings.roles
  log_retention_days  = module.settings.log_retention_days
  alarms              = module.settings.alarms
  alarm_actions       = local.alarm_actions
}
