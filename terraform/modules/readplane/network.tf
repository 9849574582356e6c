# The network of each Region, in which `read`, `query` and `feed` reach the private stores. The other functions stay
# outside, where they reach AWS without endpoints.
locals {
  network = module.settings.network

  # The buckets' ARNs are composed, because the buckets' modules also hold functions that need the network.
  documents_arns = { for role, region in module.settings.regions : role => join("-", [
    "arn:${local.partition}:s3:::${module.record.name}-documents", local.account_id, region
  ]) if region != null }

  # `primary` and `replica` -> the network there; null without.
  networks = {
    primary = local.network == null ? null : module.network[0].network
    replica = local.network == null || !local.has_replica ? null : module.replica_network[0].network
  }
  vpcs = { for role, network in local.networks : role => try(network.vpc, null) }
}

module "network" {
  source = "../network"
  count  = local.network == null ? 0 : 1

  name          = module.record.name
  network       = local.network.primary
  items         = { arns = local.composed_arns.primary, index_name = local.primary_items.index_name }
  documents_arn = local.documents_arns.primary

  kms_key_arn        = local.primary_key_arn
  log_retention_days = module.settings.log_retention_days
  roles              = module.settings.roles
}

module "replica_network" {
  source    = "../network"
  count     = local.network != null && local.has_replica ? 1 : 0
  providers = { aws = aws.replica }

  name          = module.record.name
  network       = local.network.replica
  items         = { arns = local.composed_arns.replica, index_name = local.primary_items.index_name }
  documents_arn = local.documents_arns.replica

  kms_key_arn        = local.replica_key_arn
  log_retention_days = module.settings.log_retention_days
  roles              = module.settings.roles
}
