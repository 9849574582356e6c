# The change stream and the function `poll`, which polls the back offices. Terraform creates them only if there is a
# source, because AWS bills a Kinesis stream by the hour, used or not.
locals {
  polled = length(var.sources) > 0

  # Source name -> the settings with which `read` tells clients whether the data of a collection is stale.
  freshness = { for name, source in var.sources : name => { collection = source.collection, staleness_budget = source.staleness_budget } }

  # Source name -> the source's settings as JSON text. The source's schedule passes this text to `poll` as input. Fields
  # that aren't set are left out, because `poll` has the same defaults. The ARN of the KMS key that encrypts the
  # source's secret is left out too, because only the IAM policy of `poll` needs it.
  source_settings = { for name, source in var.sources : name => jsonencode(merge(
    { name = name },
    { for field, value in source : field => value if value != null && !contains(["secret", "paging", "version", "cursor", "sweep"], field) },
    {
      for field, part in {
        paging  = source.paging
        version = source.version
        cursor  = source.cursor
        sweep   = source.sweep
        secret  = source.secret
      } : field => { for key, value in part : key => value if value != null && key != "kms_key_arn" } if part != null
    },
  )) }
}

module "change_stream" {
  source = "./modules/change_stream"
  count  = local.polled ? 1 : 0

  name = var.name
  stream = {
    on_demand       = var.change_stream.on_demand
    shards          = var.change_stream.shards
    retention_hours = var.change_stream.retention_hours
  }
  apply = {
    arn                    = module.region.apply.arn
    function_name          = module.region.apply.function_name
    batch_size             = var.change_stream.batch_size
    parallelization_factor = var.change_stream.parallelization_factor
  }
  archive = {
    bucket_arn = module.region.write_log.arn
    seconds    = var.write_log.buffering_seconds
    megabytes  = var.write_log.buffering_megabytes
  }
  kms_key_arn             = local.primary_key_arn
  freshness_alarm_seconds = module.region.delivery_alarm_seconds
  log_retention_days      = var.log_retention_days
  alarms                  = var.alarms
  alarm_actions           = local.alarm_actions
}

module "poll" {
  source = "./modules/poll"
  count  = local.polled ? 1 : 0

  name = var.name
  code = {
    zip            = var.functions_zip
    layer_arn      = module.region.layer_arn
    poll_layer_zip = var.poll_layer_zip
    architecture   = var.architecture
  }
  function = var.functions.poll
  vpc      = var.poll.vpc
  sources = { for name, source in var.sources : name => {
    settings         = local.source_settings[name]
    schedule         = source.schedule
    sweep_schedule   = try(source.sweep.schedule, null)
    staleness_budget = source.staleness_budget
    mode             = source.mode
    collection       = source.collection
    secret           = source.secret
  } }
  collections = { for source in values(var.sources) : source.collection => {
    read      = var.collections[source.collection].read
    cache_ttl = var.collections[source.collection].cache_ttl
    schema    = var.collections[source.collection].schema
  } }
  items               = module.items.primary
  stream              = { name = module.change_stream[0].name, arn = module.change_stream[0].arn, archive = module.change_stream[0].archive }
  log_bucket          = module.region.write_log
  documents           = concat([module.region.documents], module.replica[*].documents)
  horizon_days        = var.horizon_days
  kms_key_arn         = local.primary_key_arn
  deletion_protection = var.deletion_protection
  log_retention_days  = var.log_retention_days
  alarms              = var.alarms
  alarm_actions       = local.alarm_actions
}
