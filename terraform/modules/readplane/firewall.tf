# The firewall in front of the edge, and who hears of the edge's alarms. They are in us-east-1, where CloudFront takes
# web ACLs from and emits its metrics.
locals {
  has_firewall = module.settings.firewall != null

  # Two stacks of one account may have the same name in different Regions. Here, they meet.
  edge_name = "${module.record.name}-${module.settings.region}"

  # An alarm in us-east-1 notifies topics there. If a Region of the stack is us-east-1, its topics do. Otherwise the
  # edge has topics of its own with the same subscribers.
  edge_role         = [for role, region in module.settings.regions : role if region == "us-east-1"]
  has_edge_topic    = local.has_edge && module.settings.alarms && length(local.edge_role) == 0
  edge_alarm_topics = { primary = local.alarm_actions, replica = local.replica_alarm_actions }
  edge_alarm_actions = {
    page = concat(module.edge_topic[*].arn, [for role in local.edge_role : local.edge_alarm_topics[role].page]...)
    ticket = concat(
      module.edge_ticket_topic[*].arn,
      module.settings.tickets == null ? module.edge_topic[*].arn : [],
      [for role in local.edge_role : local.edge_alarm_topics[role].ticket]...
    )
  }

  # The stack's customer managed key in us-east-1, which a stack has only if a Region of it is us-east-1. A key can't be
  # used outside its Region.
  edge_key_arn = one([for role in local.edge_role : local.key_arns[role]])
}

module "edge_topic" {
  source    = "../alarm_topic"
  count     = local.has_edge_topic ? 1 : 0
  providers = { aws = aws.edge }

  name         = local.edge_name
  severity     = "page"
  notify       = module.settings.notify
  kms_key_arn  = null                              # there is a topic only if no Region, and so no key, is in us-east-1
  other_topics = [module.edge_ticket_topic[0].arn] # a splat would be a cycle, because it waits for the alarms too
}

module "edge_ticket_topic" {
  source    = "../alarm_topic"
  count     = local.has_edge_topic ? 1 : 0
  providers = { aws = aws.edge }

  name         = local.edge_name
  severity     = "ticket"
  notify       = { emails = try(module.settings.tickets.emails, []), phone_numbers = [] }
  kms_key_arn  = null
  other_topics = [module.edge_topic[0].arn]
}

module "firewall" {
  source    = "../firewall"
  count     = local.has_firewall ? 1 : 0
  providers = { aws = aws.edge }

  name               = local.edge_name
  web_acl            = module.settings.firewall
  logging            = module.settings.firewall.logging
  kms_key_arn        = local.edge_key_arn
  log_retention_days = module.settings.log_retention_days
  alarms             = module.settings.alarms
  alarm_actions      = local.edge_alarm_actions
}
