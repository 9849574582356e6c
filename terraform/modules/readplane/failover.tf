# Failover of the API between the Regions: each Region has the switch that leads clients away from the other one. Module
# `api` has the domain, its record and its health check.
locals {
  failover = module.settings.api_failover ? 1 : 0

  # Region -> how an operator leads clients away from its API, through the other Region.
  api_switches = merge(
    { for commands in module.replica_switch[*].commands : module.settings.regions.primary => commands },
    { for commands in module.primary_switch[*].commands : module.settings.regions.replica => commands },
  )
}

module "primary_switch" {
  source = "../api_switch"
  count  = local.failover

  name          = module.record.name
  leaves        = module.settings.regions.replica
  alarm_actions = local.alarm_actions
}

module "replica_switch" {
  source    = "../api_switch"
  count     = local.failover
  providers = { aws = aws.replica }

  name          = module.record.name
  leaves        = module.settings.regions.primary
  alarm_actions = local.replica_alarm_actions
}

output "api_switches" {
  description = <<-EOT
    Region -> the shell commands that lead clients away from its API (leave) and back (return); empty without
    api_failover. Keep a copy outside the Regions.
  EOT
  value       = local.api_switches
}
