# These blocks keep the resources of a stack that an older version created: they move its resources to their new
# addresses in the state.

# Before version 0.1.0, the module `poll` was called `sync`.
moved {
  from = module.sync
  to   = module.poll
}

# Before modules/readplane existed, the root module was the stack itself. Module `primary` was called `region`.
moved {
  from = module.identity
  to   = module.readplane.module.identity
}

moved {
  from = module.items
  to   = module.readplane.module.items
}

moved {
  from = module.region
  to   = module.readplane.module.primary
}

moved {
  from = module.replica
  to   = module.readplane.module.replica
}

moved {
  from = module.change_stream
  to   = module.readplane.module.change_stream
}

moved {
  from = module.poll
  to   = module.readplane.module.poll
}

moved {
  from = module.monitoring
  to   = module.readplane.module.monitoring
}

moved {
  from = module.replica_monitoring
  to   = module.readplane.module.replica_monitoring
}

moved {
  from = aws_kms_key.primary
  to   = module.readplane.aws_kms_key.primary
}

moved {
  from = aws_kms_alias.primary
  to   = module.readplane.aws_kms_alias.primary
}

moved {
  from = aws_kms_key.replica
  to   = module.readplane.aws_kms_key.replica
}

moved {
  from = aws_kms_alias.replica
  to   = module.readplane.aws_kms_alias.replica
}
