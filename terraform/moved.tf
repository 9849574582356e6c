# Before version 0.1.0, the module `poll` was called `sync`. This block renames the module in the state of a stack that
# an older version created, so that Terraform keeps the module's resources instead of replacing them.
moved {
  from = module.sync
  to   = module.poll
}
