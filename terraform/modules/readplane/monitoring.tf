# Every alarm notifies the stack's own SNS topic in the alarm's Region. Alarms of the primary Region also notify the
# topics in alarm_actions, and alarms of the replica Region those in replica_alarm_actions.
locals {
  # Use `[0].topic_arn`, so that the alarms wait only for the topic. The splat module.monitoring[*].topic_arn would make
  # them wait for the dashboard too, which needs the names of what has alarms. That would be a cycle.
  own_topics            = module.settings.alarms ? [module.monitoring[0].topic_arn] : []
  own_replica_topics    = module.settings.alarms && local.has_replica ? [module.replica_monitoring[0].topic_arn] : []
  alarm_actions         = [for arn in concat(local.own_topics, module.settings.alarm_actions) : arn]
  replica_alarm_actions = [for arn in concat(local.own_replica_topics, module.settings.replica_alarm_actions) : arn]
}

locals {
  monitored_sources = { for name, source in module.settings.sources : name => {
    staleness_budget = source.staleness_budget
  } }
}

locals {
  # The widgets of the dashboard about the private stores of each Region, four in a row. An external store has none.
  store_widgets = {
    primary = flatten([
      local.has_feed ? [module.feed[0].widgets] : [],
      local.makes_cache ? [module.cache[0].widgets] : [],
      local.aurora == null ? [] : [module.relational[0].widgets],
    ])
    replica = flatten([
      local.has_feed && local.has_replica ? [module.replica_feed[0].widgets] : [],
      local.makes_cache && local.has_replica ? [module.replica_cache[0].widgets] : [],
      local.aurora != null && local.has_replica ? [module.replica_relational[0].widgets] : [],
    ])
  }
}

module "monitoring" {
  source = "../monitoring"
  count  = module.settings.alarms ? 1 : 0

  name          = module.settings.name
  notify        = module.settings.notify
  kms_key_arn   = local.primary_key_arn
  alarm_actions = module.settings.alarm_actions

  stores = local.store_widgets.primary

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

  stores = local.store_widgets.replica

  # Only a Region with `poll` measures the sources.
  sources = local.polled_in_replica ? local.monitored_sources : {}
}
