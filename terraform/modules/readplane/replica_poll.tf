# The change stream and `poll` in the replica Region, so that the sources survive the loss of the primary Region. The
# schedules run in both Regions. Each source has a switch in the items table that names the Region which polls it
# (lambda_src/readplane/poll/switch.py), and `poll` in the other Region does nothing but measure the staleness.
# `ops/readplane sources move` sets the switch through the Region that takes the sources over, so it needs nothing of a
# Region that is lost.
module "replica_change_stream" {
  source    = "../change_stream"
  count     = local.polled_in_replica ? 1 : 0
  providers = { aws = aws.replica }

  name   = module.record.name
  stream = local.stream
  apply = {
    arn                    = module.replica[0].apply_stream.arn
    function_name          = module.replica[0].apply_stream.function_name
    batch_size             = module.settings.change_stream.batch_size
    parallelization_factor = module.settings.change_stream.parallelization_factor
  }
  archive = {
    bucket_arn = module.replica[0].write_log.arn
    seconds    = module.settings.write_log.buffering_seconds
    megabytes  = module.settings.write_log.buffering_megabytes
  }
  kms_key_arn             = local.replica_key_arn
  freshness_alarm_seconds = module.replica[0].delivery_alarm_seconds
  roles                   = module.settings.roles
  log_retention_days      = module.settings.log_retention_days
  alarms                  = module.settings.alarms
  alarm_actions           = local.replica_alarm_actions
}

module "replica_poll" {
  source    = "../poll"
  count     = local.polled_in_replica ? 1 : 0
  providers = { aws = aws.replica }

  name = module.record.name
  code = {
    zip            = module.settings.zips.functions
    layer_arn      = module.replica[0].layer_arn
    poll_layer_zip = module.settings.zips.poll_layer
    s3             = module.settings.zip_objects.replica
    architecture   = module.settings.architecture
  }
  function  = module.settings.functions.poll
  republish = module.settings.republish
  release   = module.record.released_alias
  vpc       = module.settings.poll.replica_vpc
  sources = { for name, source in module.settings.sources : name => {
    settings       = module.settings.replica_source_settings[name]
    schedule       = source.schedule
    sweep_schedule = try(source.sweep.schedule, null)
    mode           = source.mode
    collection     = source.collection
    secrets        = module.settings.source_secrets.replica[name]
  } }
  collections  = local.sourced_collections
  first_region = local.first_region
  items        = local.replica_items
  stream = {
    name    = module.replica_change_stream[0].name
    arn     = module.replica_change_stream[0].arn
    archive = module.replica_change_stream[0].archive
  }
  log_bucket = module.replica[0].write_log

  # `poll` takes the first Region for its own.
  documents           = reverse(local.documents)
  horizon_days        = module.settings.horizon_days
  kms_key_arn         = local.replica_key_arn
  deletion_protection = module.settings.protected.change_stream
  roles               = module.settings.roles
  log_retention_days  = module.settings.log_retention_days
  alarms              = module.settings.alarms
  alarm_actions       = local.replica_alarm_actions
}
