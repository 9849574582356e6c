# The heartbeats with which each Region of a stack with two Regions measures the replication of the items table. A stack
# without alarms needs none, because nothing watches them.
locals {
  has_heartbeats = module.settings.alarms && module.settings.regions.replica != null
}

module "heartbeat" {
  source = "../heartbeat"
  count  = local.has_heartbeats ? 1 : 0

  name          = module.record.name
  other_region  = module.settings.regions.replica
  items         = local.primary_items
  kms_key_arn   = local.primary_key_arn
  roles         = module.settings.roles
  alarms        = module.settings.alarms
  alarm_actions = local.alarm_actions
}

module "replica_heartbeat" {
  source    = "../heartbeat"
  count     = local.has_heartbeats ? 1 : 0
  providers = { aws = aws.replica }

  name          = module.record.name
  other_region  = module.settings.regions.primary
  items         = local.replica_items
  kms_key_arn   = local.replica_key_arn
  roles         = module.settings.roles
  alarms        = module.settings.alarms
  alarm_actions = local.replica_alarm_actions
}
