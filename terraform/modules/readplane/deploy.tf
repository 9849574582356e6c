# What brings new versions of the functions to clients step by step: AWS CodeDeploy in each Region. Only with
# deploy.canary.
locals {
  has_canary = module.settings.deploy.canary != null

  # Role -> the functions of its Region. The probe has no alias that CodeDeploy moves, because no client calls it.
  regional_functions = {
    primary = merge(module.primary.resources.functions, local.poll_functions, local.feed_functions)
    replica = merge(concat(
      [for region in module.replica : region.resources.functions],
      [local.replica_poll_functions, local.replica_feed_functions],
    )...)
  }
  released_functions = { for role, functions in local.regional_functions : role => {
    for key, function in functions : key => { name = function.name, arn = function.arn }
    if function.released_alias != null
  } }
}

module "deployment" {
  source = "../deployment"
  count  = local.has_canary ? 1 : 0

  name          = module.record.name
  canary        = module.settings.deploy.canary
  functions     = local.released_functions.primary
  client_alarms = module.primary.client_alarms
  alias         = module.record.released_alias.alias
  roles         = module.settings.roles
}

module "replica_deployment" {
  source    = "../deployment"
  count     = local.has_canary && local.has_replica ? 1 : 0
  providers = { aws = aws.replica }

  name          = module.record.name
  canary        = module.settings.deploy.canary
  functions     = local.released_functions.replica
  client_alarms = module.replica[0].client_alarms
  alias         = module.record.released_alias.alias
  roles         = module.settings.roles
}

output "deployments" {
  description = <<-EOT
    Region -> its CodeDeploy application, and for each function the deployment group, the alias that clients call, and
    the alarms that roll a deployment back. Empty without deploy.canary.
  EOT
  value = merge(
    { for deployment in module.deployment : module.settings.region => deployment.deployments },
    { for deployment in module.replica_deployment : module.settings.regions.replica => deployment.deployments },
  )
}
