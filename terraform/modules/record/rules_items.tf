# Rules for changes of the generations of the items table. A table becomes the live one only if it holds every change:
# if it was verified, or if it was live before and has got every change since. The live table is never deleted.
locals {
  # The tables that the last complete apply left, and those that the last apply began to make or to use. A stack without
  # a record of its tables has the first one. If `terraform destroy` stopped halfway, the record is gone, and what the
  # last apply began says which tables there are.
  first_table          = { live = 1, building = null, former = null }
  sure_generations     = local.is_recorded ? local.left.items : local.begun.items
  recorded_generations = try(coalesce(local.sure_generations), local.first_table)
  begun_generations    = try(coalesce(local.begun.items), local.recorded_generations)

  # Each of them, with the generations that it has, the second one, and those that are or were live.
  earlier_items = [for each in [local.recorded_generations, local.begun_generations] : merge(each, {
    second         = try(coalesce(each.building, each.former), null)
    tables         = compact([each.live, each.building, each.former])
    live_or_former = compact([each.live, each.former])
  })]

  # The generations that exist for certain, those that may exist, and those that were live.
  certain_tables   = setintersection(local.earlier_items[*].tables...)
  possible_tables  = setunion(local.earlier_items[*].tables...)
  tables_once_live = setunion(local.earlier_items[*].live_or_former...)

  next_second = try(coalesce(var.items.building, var.items.former), null)
  next_tables = compact([var.items.live, local.next_second])

  # The generation that `ops/readplane rebuild items verify` found to be equal to the live table; null without one.
  verified = try(jsondecode(local.parameters["${local.folder}/rebuild"]).verified, null)

  # The live table changes without a way back: the table that was live isn't the former one, or the new one isn't the
  # second one.
  live_jumps = anytrue([for each in local.earlier_items :
    each.live != var.items.live && !(each.second == var.items.live && var.items.former == each.live)
  ])

  # The tables to go back to: those of the last begun apply, or, if the wanted live one is live there already, those of
  # the last complete apply.
  is_live_already      = local.begun_generations.live == var.items.live
  fallback_generations = local.is_live_already ? local.recorded_generations : local.begun_generations

  # The value of `items` that the message offers: the wanted live table with a way back, or the tables to go back to.
  may_go_live   = alltrue([for each in local.earlier_items : contains([each.live, each.second], var.items.live)])
  switch        = { live = var.items.live, building = null, former = local.fallback_generations.live }
  offered_items = local.may_go_live ? local.switch : local.fallback_generations
  offered_text = join(", ", [for role in ["live", "building", "former"] :
    "${role} = ${local.offered_items[role]}" if local.offered_items[role] != null
  ])

  # A table that was being made becomes the live one before it was verified.
  live_unverified = local.verified != var.items.live && anytrue([for each in local.earlier_items :
    each.live != var.items.live && each.building == var.items.live
  ])

  # The former table must exist and must have been live, because it becomes live again without a verification.
  can_be_former  = setintersection(local.certain_tables, local.tables_once_live)
  former_unknown = var.items.former == null ? false : !contains(local.can_be_former, tostring(var.items.former))

  # The building table was live. It must be a new one, or the one that is being made already.
  building_was_live = var.items.building == null ? false : (
    contains(local.tables_once_live, tostring(var.items.building))
  )

  # One second table takes the place of another. The versions of `apply` from before would lose the right to write to
  # the one that goes.
  second_swapped = local.building_was_live || anytrue([for each in local.earlier_items :
    each.second != null && local.next_second != null && length(setsubtract(each.tables, local.next_tables)) > 0
  ])

  # A new table has the generation of an earlier one that was verified, so it would count as verified while it is empty.
  building_stale = var.items.building == null ? false : (
    local.verified == var.items.building && !contains(local.certain_tables, tostring(var.items.building))
  )

  # Terraform deletes a table while CodeDeploy decides when the versions that write to it are no longer called.
  deleted_tables       = setsubtract(local.possible_tables, local.next_tables)
  deleted_table_in_use = length(local.deleted_tables) > 0 && var.canary
}

output "items" {
  description = "The generations of the items table for the next record."
  value       = var.items

  precondition {
    condition     = !local.live_jumps
    error_message = <<-EOT
      Set items to { ${local.offered_text} }. The live table changes only to the second one, and the table that was live
      becomes the former one, so that there is a way back. `ops/readplane rebuild items switch` says what to set.
      docs/rebuild.md has the steps.
    EOT
  }

  precondition {
    condition     = !local.live_unverified
    error_message = <<-EOT
      Run `ops/readplane rebuild items verify` first, and apply items.live = ${var.items.live} when it finds no
      difference. That table isn't verified, so clients might miss items. docs/rebuild.md has the steps.
    EOT
  }

  precondition {
    condition     = local.live_jumps || !local.former_unknown
    error_message = <<-EOT
      Remove items.former, because the stack has no table of generation ${coalesce(var.items.former, 0)} that was live
      before. Begin another rebuild instead. docs/rebuild.md has the steps.
    EOT
  }

  precondition {
    condition     = local.live_jumps || local.former_unknown || !local.second_swapped
    error_message = <<-EOT
      Remove items.building and items.former in an apply of their own first. At most one table stands beside the live
      one, and a table that was live isn't made again. `ops/readplane rebuild items end` says what to set.
      docs/rebuild.md has the steps.
    EOT
  }

  precondition {
    condition     = !local.building_stale
    error_message = <<-EOT
      Set items.building to another number, or delete the SSM parameter ${local.folder}/rebuild and run
      `ops/readplane rebuild items verify` again later. It says that an earlier table of generation
      ${coalesce(local.verified, 0)} was verified, so the new one would count as verified while it is empty.
    EOT
  }

  precondition {
    condition     = !local.deleted_table_in_use
    error_message = <<-EOT
      Set deploy.canary to null for this apply, and back for the next one, because Terraform deletes an items table.
      Lambda would still call an older version of `apply` until CodeDeploy moves its alias. That version writes to the
      table, and would fail.
    EOT
  }
}

output "deleted_items_tables" {
  description = "Generations of the items tables that the apply deletes, for tests."
  value       = local.deleted_tables
}

output "offered_items" {
  description = "The value of `items` that the message about items.live offers, for tests."
  value       = local.offered_text
}
