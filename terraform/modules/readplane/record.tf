# The stack's record: what the last complete apply left. With it, module `record` refuses a plan that would lose data.
# Terraform writes the record after everything else, and deletes it before everything else.
module "record" {
  source = "../record"

  name      = module.settings.name
  region    = module.settings.region
  role_path = module.settings.roles.path
  collections = { for name, collection in module.settings.collections : name => {
    read         = collection.read
    read_changes = collection.read_changes
    retired      = collection.retired
  } }
  replica = {
    region    = module.settings.named_replica_region
    enabled   = module.settings.regions.replica != null
    protected = module.settings.protected.replica
  }
  keys      = module.settings.keys
  user_pool = try(module.settings.user_pool.arn, "own")
  change_stream = local.polled ? {
    shards    = module.settings.change_stream.on_demand ? null : module.settings.change_stream.shards
    protected = module.settings.protected.change_stream
  } : null
  edge = local.has_edge ? {
    sends   = tostring(local.edge.origin_secret.generation)
    accepts = local.lock == "none" ? null : local.generations
  } : null
  items  = module.settings.items
  canary = module.settings.deploy.canary != null
}

resource "aws_ssm_parameter" "record" {
  #checkov:skip=CKV2_AWS_34:It holds names and settings, no secrets; a plan must read it without access to a key.

  name        = module.record.parameter
  description = "What Terraform applied last. Terraform reads it to refuse plans that lose data."
  type        = "String"

  # Standard parameters are free and hold 4 KB. A stack with many collections that have long names needs up to 8 KB, for
  # which SSM then makes an advanced parameter (0.05 $ a month).
  tier = "Intelligent-Tiering"

  insecure_value = jsonencode({
    collections   = module.record.collections
    replica       = module.record.replica
    keys          = module.record.keys
    user_pool     = module.record.user_pool
    change_stream = module.record.change_stream
    edge          = module.record.edge
    release       = module.record.release
    items         = module.record.items
  })

  # Everything that AWS has of this stack. tests/local/test_lifecycle.py finds what is missing here.
  depends_on = [
    aws_kms_alias.primary,
    aws_kms_alias.replica,
    module.identity,
    module.items,
    module.items_replica,
    module.primary,
    module.replica,
    module.change_stream,
    module.poll,
    module.replica_change_stream,
    module.replica_poll,
    module.monitoring,
    module.replica_monitoring,
    module.heartbeat,
    module.replica_heartbeat,
    module.published,
    module.replica_published,
    module.budget,
    module.edge,
    module.site,
    module.replica_site,
    module.firewall,
    module.edge_topic,
    module.lock,
    module.replica_lock,
    module.primary_switch,
    module.replica_switch,
    module.identity_pool,
    module.relational,
    module.replica_relational,
    module.network,
    module.replica_network,
    module.cache,
    module.replica_cache,
    module.feed,
    module.replica_feed,
    module.deployment,
    module.replica_deployment,
  ]
}
