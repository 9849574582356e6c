# The items tables. A stack has one, the live table, which clients read and `publish` publishes. While
# `ops/readplane rebuild items` works, there is a second one beside it: the building table, which gets every change so
# that it can become the live one, or the former table, which was live before and gets every change so that it can be
# live again. The variable `items` names them by their generations.
locals {
  items           = module.settings.items
  live_generation = tostring(local.items.live)
  second_role     = local.items.building == null ? "former" : "building"

  # The generations of the tables, in an order that a switch leaves as it is, and the names of the tables.
  items_generations = sort(compact([local.items.live, local.items.building, local.items.former]))
  table_names = { for generation in local.items_generations :
    generation => generation == "1" ? "${module.record.name}-items" : "${module.record.name}-items-${generation}"
  }

  # `primary` and `replica` -> the ARNs of the tables there, composed from their names for the networks and the caches.
  # The functions of each Region wait for the networks and caches of both. With the ARNs of the resources, those of the
  # primary Region would wait for hours for a new replica.
  composed_arns = { for role, region in module.settings.regions : role => [for name in values(local.table_names) :
    "arn:${local.partition}:dynamodb:${region}:${local.account_id}:table/${name}"
  ] if region != null }
}

# Only the live table is protected, so that one apply can remove the second table. When DynamoDB deletes a table that
# has point-in-time recovery, it keeps a backup of the table for 35 days.
module "items" {
  source   = "../items"
  for_each = toset(local.items_generations)

  name                = local.table_names[each.key]
  kms_key_arn         = local.primary_key_arn
  deletion_protection = module.settings.protected.stack && each.key == local.live_generation
}

module "items_replica" {
  source    = "../items_replica"
  for_each  = toset(local.has_replica ? local.items_generations : [])
  providers = { aws = aws.replica }

  table               = module.items[each.key].table
  kms_key_arn         = local.replica_key_arn
  deletion_protection = module.settings.protected.replica && each.key == local.live_generation
}

# Before `rebuild items` existed, there was one table, and its replica stood in the same module.
moved {
  from = module.items
  to   = module.items["1"]
}

moved {
  from = module.items["1"].aws_dynamodb_table_replica.this[0]
  to   = module.items_replica["1"].aws_dynamodb_table_replica.this
}

# What the users of the items table need in each Region: the live table, the second one (null without one), and the ARNs
# of both. A policy for the live table allows both tables, because old and new versions of a function share a role
# during an apply. The Regions have locals of their own, so that the primary Region doesn't wait for the replica.
locals {
  primary_tables = { for generation, each in module.items : generation => merge(each.table, {
    generation = generation
    role       = local.second_role
  }) }
  primary_items = merge(local.primary_tables[local.live_generation], {
    second = one([for generation, table in local.primary_tables : table if generation != local.live_generation])
    arns   = values(local.primary_tables)[*].arn
  })

  replica_tables = { for generation, each in module.items_replica : generation => merge(each.table, {
    generation = generation
    role       = local.second_role
  }) }
  replica_items = !local.has_replica ? null : merge(local.replica_tables[local.live_generation], {
    second = one([for generation, table in local.replica_tables : table if generation != local.live_generation])
    arns   = values(local.replica_tables)[*].arn
  })
}

output "items_table" {
  description = "Name of the live items table. It is the same in every Region."
  value       = local.primary_items.name
}

output "items_generations" {
  description = <<-EOT
    Generations of the items tables: the live one, and the one that is being made or was live before (null without).
  EOT
  value       = local.items
}

output "second_items_table" {
  description = <<-EOT
    Name of the items table beside the live one, which is being made or was live before; null without one. It is the
    same in every Region.
  EOT
  value       = try(local.primary_items.second.name, null)
}
