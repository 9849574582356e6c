# Three guards that Terraform destroys before what they guard, so that nothing is gone when one refuses. The protection
# of the stores alone would come too late: most of the stack has no such protection and would be gone by then.

# Guards the whole stack against `terraform destroy`. It depends on the record, which depends on everything. It refuses
# if any part is protected, because Terraform destroys the parts at the same time.
module "guard" {
  source = "../guard"

  protected = anytrue(values(module.settings.protected))
  message = join(" ", [
    "This stack refuses to be destroyed. Nothing is gone. Set deletion_protection = false, and the attributes of this",
    "name in replica and change_stream if they are set. Run terraform apply, and then terraform destroy.",
  ])

  depends_on = [
    aws_ssm_parameter.record,
    module.record,
    module.replica_guard,
    module.change_stream_guard,
    module.replica_change_stream_guard,
    module.relational_guard,
    module.replica_relational_guard,
  ]
}

# Guards the replica against being removed from the settings.
module "replica_guard" {
  source = "../guard"
  count  = module.settings.regions.replica == null ? 0 : 1

  protected = module.settings.protected.replica
  message = join(" ", [
    "The replica refuses to be destroyed. Nothing of it is gone. Set replica.deletion_protection = false",
    "and run terraform apply before you remove the replica. See docs/lifecycle.md.",
  ])

  # Everything in the replica Region.
  depends_on = [
    aws_kms_alias.replica,
    module.items_replica,
    module.replica,
    module.replica_monitoring,
    module.replica_heartbeat,
    module.replica_published,
    module.replica_site,
    module.replica_change_stream,
    module.replica_poll,
    module.replica_lock,
    module.replica_switch,
    module.replica_relational,
    module.replica_network,
    module.replica_cache,
    module.replica_feed,
  ]
}

# Guards the change stream and the checkpoints against being removed with the last source.
module "change_stream_guard" {
  source = "../guard"
  count  = local.polled ? 1 : 0

  protected = module.settings.protected.change_stream
  message = join(" ", [
    "The change stream and the checkpoints refuse to be destroyed. Nothing of them is gone. Set",
    "change_stream.deletion_protection = false and run terraform apply before you remove the last source.",
    "See docs/lifecycle.md.",
  ])

  depends_on = [module.change_stream, module.poll]
}

# Guards the change stream and the checkpoints of the replica Region against being removed, with the replica, with the
# last source or with poll.in_replica.
module "replica_change_stream_guard" {
  source = "../guard"
  count  = local.polled_in_replica ? 1 : 0

  protected = module.settings.protected.change_stream
  message = join(" ", [
    "Change stream and checkpoints of the replica Region refuse to be destroyed. Nothing of them is gone. Set",
    "change_stream.deletion_protection = false and run terraform apply before you remove poll.in_replica, the replica",
    "or the last source. See docs/lifecycle.md.",
  ])

  depends_on = [module.replica_change_stream, module.replica_poll]
}
