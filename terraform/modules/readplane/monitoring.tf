# Every alarm notifies the stack's own SNS topic of its severity in the alarm's Region. Pages of the primary Region also
# notify the topics in alarm_actions, and pages of the replica Region those in replica_alarm_actions. `tickets` says
# whom tickets notify.
locals {
  # Use `[0].alarm_actions`, so that the alarms wait only for the topics. The splat module.monitoring[*].alarm_actions
  # would make them wait for the dashboard too, which needs the names of what has alarms. That would be a cycle.
  #
  # Without alarms, only the switches of api_failover notify, and they page.
  alarm_actions = module.settings.alarms ? module.monitoring[0].alarm_actions : {
    page   = module.settings.alarm_actions
    ticket = module.settings.alarm_actions
  }
  replica_alarm_actions = module.settings.alarms && local.has_replica ? module.replica_monitoring[0].alarm_actions : {
    page   = module.settings.replica_alarm_actions
    ticket = module.settings.replica_alarm_actions
  }

  # Region -> whom tickets notify there, besides the stack's own topic.
  tickets = { for role in ["primary", "replica"] : role => module.settings.tickets == null ? null : {
    emails        = module.settings.tickets.emails
    alarm_actions = module.settings.tickets[role == "primary" ? "alarm_actions" : "replica_alarm_actions"]
  } }
}

locals {
  # Whether CloudFront serves documents. An emulator's edge counts as none.
  serves_documents = try(local.edge.documents, false) && module.settings.edge_base_url == null

  # Role -> what the probe of its Region requests; null if the Region has no probe. Behind a lock, only the edge leads
  # to the API. The edge is the same for both Regions, so one probe of it is enough.
  probes = {
    for role, api_url in { primary = local.api_url, replica = local.replica_api_url } :
    role => !module.settings.probe.enabled || (role == "replica" && !local.has_replica) ? null : {
      api_url  = "${local.lock == "none" ? api_url : local.edge_url}/v1"
      has_edge = role == "primary" && local.serves_documents
      edge_url = local.edge_url
      path     = module.settings.probe.path
    }
  }
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

  name          = module.record.name
  items_table   = local.primary_items.name
  notify        = module.settings.notify
  tickets       = local.tickets.primary
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

  name          = module.record.name
  is_replica    = true
  items_table   = local.replica_items.name
  notify        = module.settings.notify
  tickets       = local.tickets.replica
  kms_key_arn   = local.replica_key_arn
  alarm_actions = module.settings.replica_alarm_actions

  stores = local.store_widgets.replica

  # Only a Region with `poll` measures the sources.
  sources = local.polled_in_replica ? local.monitored_sources : {}
}
