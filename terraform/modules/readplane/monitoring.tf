# Every alarm notifies the stack's own SNS topic in the alarm's Region. Alarms of the primary Region also notify the
# topics in alarm_actions, and alarms of the replica Region those in replica_alarm_actions.
locals {
  alarm_actions         = concat(module.monitoring[*].topic_arn, module.settings.alarm_actions)
  replica_alarm_actions = concat(module.replica_monitoring[*].topic_arn, module.settings.replica_alarm_actions)
}

locals {
  monitored_sources = { for name, source in module.settings.sources : name => {
    staleness_budget = source.staleness_budget
  } }
}

module "monitoring" {
  source = "../monitoring"
  count  = module.settings.alarms ? 1 : 0

  name          = module.settings.name
  notify        = module.settings.notify
  kms_key_arn   = local.primary_key_arn
  alarm_actions = module.settings.alarm_actions

  # The module `monitoring` creates alarms and dashboard widgets for each source in this map.
  sources = local.monitored_sources
}

module "replica_monitoring" {
  source    = "../monitoring"
  count     = module.settings.alarms && module.settings.regions.replica != null ? 1 : 0
  providers = { aws = aws.replica }

  name          = module.settings.name
  notify        = module.settings.notify
  kms_key_arn   = local.replica_key_arn
  alarm_actions = module.settings.replica_alarm_actions

  # Only a Region with `poll` measures the sources.
  sources = local.polled_in_replica ? local.monitored_sources : {}
}
