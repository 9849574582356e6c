# The lock of the API: only the edge has the secret that the API asks for.
locals {
  lock        = local.has_edge ? local.edge.origin_lock : "none"
  generations = local.has_edge ? module.origin_secret[0].generations : []

  # CloudFront sends the secret even without a lock. So the API can be locked later, when every edge location sends it.
  origin         = local.has_edge ? { generations = local.generations, locked = local.lock == "policy" } : null
  origin_secrets = local.has_edge ? module.origin_secret[0].secrets : {}
  sent_secret    = local.has_edge ? module.origin_secret[0].sent : null
}

module "origin_secret" {
  source = "../origin_secret"
  count  = local.has_edge ? 1 : 0

  generation      = local.edge.origin_secret.generation
  accept_next     = local.edge.origin_secret.accept_next
  accept_previous = local.edge.origin_secret.accept_previous
}

# A firewall that clients can go around is none, and neither is a limit per client. No rule refuses this, because an
# operator must be able to open the API while CloudFront fails.
check "origin_lock" {
  assert {
    condition     = !local.has_edge || local.lock != "none" || local.emulated_url != null
    error_message = <<-EOT
      Clients can call the API around the edge, because edge.origin_lock is none. Set it to policy, once CloudFront has
      deployed the edge.
    EOT
  }
}

# The edge calls the API by the name of the primary Region, and the lock closes the replica's API to everybody else. If
# both Regions have one name, Route 53 leads the edge to either.
check "locked_replica" {
  assert {
    condition     = local.lock == "none" || !local.has_replica || local.one_api_name
    error_message = <<-EOT
      Nobody can call the API of the replica while edge.origin_lock is on, because the edge calls the primary Region's.
      Give domains.primary and domains.replica one name, best with api_failover, or set edge.origin_lock to none.
    EOT
  }
}

locals {
  one_api_name = try(module.settings.domains.primary.name == module.settings.domains.replica.name, false)
}

# The lock as a web ACL in each Region, for a team that wants AWS WAF's log of who tries.
module "lock" {
  source = "../firewall"
  count  = local.lock == "web_acl" ? 1 : 0

  name               = module.record.name
  lock               = { generations = local.generations, stage_arn = module.primary.resources.api.stage_arn }
  secrets            = local.origin_secrets
  log_retention_days = module.settings.log_retention_days
  kms_key_arn        = local.primary_key_arn
}

module "replica_lock" {
  source    = "../firewall"
  count     = local.lock == "web_acl" && local.has_replica ? 1 : 0
  providers = { aws = aws.replica }

  name               = module.record.name
  lock               = { generations = local.generations, stage_arn = module.replica[0].resources.api.stage_arn }
  secrets            = local.origin_secrets
  log_retention_days = module.settings.log_retention_days
  kms_key_arn        = local.replica_key_arn
}
