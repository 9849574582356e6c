# Rules for changes of the generations of the items table. A table becomes the live one only if it holds every change:
# if it was verified, or if it was live before and has got every change since. The live table is never deleted.
locals {
  # The tables that the last complete apply left, and those that the last apply began to make or to use. A stack without
  # a record of its tables has the first one. If `terraform destroy` stopped halfway, the record is gone, and what the
  # last apply began says which tables there are.
  first_table  = { live = 1, building = null, former = null }
  left_items   = try(coalesce(local.left.items, local.is_recorded ? null : local.begun.items), local.first_table)
  begun_items  = try(coalesce(local.begun.items), local.left_items)
  earlier_both = [local.left_items, local.begun_items]

  # Each of them, with the generations that it has, the second one, and those that are or were live.
  earlier_items = [for each in local.earlier_both : merge(each, {
    second  = try(coalesce(each.building, each.former), null)
    all     = compact([each.live, each.building, each.former])
    settled = compact([each.live, each.former])
  })]

  # The generations that exist for certain, those that may exist, and those that were live.
  certain_tables  = setintersection(local.earlier_items[*].all...)
  possible_tables = setunion(local.earlier_items[*].all...)
  settled_tables  = setunion(local.earlier_items[*].settled...)
  next_free       = max([for each in local.possible_tables : tonumber(each)]...) + 1

  next_second = try(coalesce(var.items.building, var.items.former), null)
  next_tables = compact([var.items.live, local.next_second])

  # The generation that `ops/readplane rebuild items verify` found to be equal to the live table; null without one.
  verified = try(jsondecode(local.parameters["${local.folder}/rebuild"]).verified, null)

  # The live table changes without a way back: the table that was live isn't the former one, or the new one isn't the
  # second one.
  live_jumps = anytrue([for each in local.earlier_items :
    each.live != var.items.live && !(each.second == var.items.live && var.items.former == each.live)
  ])

  # The table that was live before. If the last apply stopped at a switch, it began with another than the record names.
  live_before = local.begun_items.live == var.items.live ? local.left_items.live : local.begun_items.live

  # A table that was being made becomes the live one before it was verified.
  live_unverified = local.verified != var.items.live && anytrue([for each in local.earlier_items :
    each.live != var.items.live && each.building == var.items.live
  ])

  # The former table must exist and must have been live, because it becomes live again without a verification.
  can_be_former  = setintersection(local.certain_tables, local.settled_tables)
  former_unknown = var.items.former == null ? false : !contains(local.can_be_former, tostring(var.items.former))

  # The building table must be a new one, or the one that is being made already.
  building_was_live = var.items.building == null ? false : (
    contains(local.settled_tables, tostring(var.items.building))
  )

  # One second table takes the place of another. The versions of `apply` from before would lose the right to write to
  # the one that goes.
  second_swapped = anytrue([for each in local.earlier_items :
    each.second != null && local.next_second != null && length(setsubtract(each.all, local.next_tables)) > 0
  ])

  # A new table has the generation of an earlier one that was verified, so it would count as verified while it is empty.
  building_stale = var.items.building == null ? false : (
    local.verified == var.items.building && !contains(local.certain_tables, tostring(var.items.building))
  )

  # A second table goes while CodeDeploy decides when the versions that write to it are no longer called.
  second_leaves  = length(setsubtract(local.possible_tables, local.next_tables)) > 0
  leaves_callers = local.second_leaves && var.canary
}

output "items" {
  description = "The generations of the items table for the next record."
  value       = var.items

  precondition {
    condition     = !local.live_jumps
    error_message = <<-EOT
      Set items.live back to ${local.live_before}, or add items.former = ${local.live_before} until this apply is
      complete. The live table changes only to the second one, and the table that was live becomes the former one, so
      that there is a way back. `ops/readplane rebuild items switch` says what to set. docs/rebuild.md has the steps.
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
    condition     = local.live_jumps || !local.building_was_live
    error_message = <<-EOT
      Set items.building to ${local.next_free}, because a table that was live isn't made again. docs/rebuild.md has the
      steps.
    EOT
  }

  precondition {
    condition     = local.live_jumps || local.former_unknown || local.building_was_live || !local.second_swapped
    error_message = <<-EOT
      Remove items.building and items.former in an apply of their own first, because at most one table stands beside the
      live one. `ops/readplane rebuild items end` says what to set. docs/rebuild.md has the steps.
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
    condition     = !local.leaves_callers
    error_message = <<-EOT
      Set deploy.canary to null for this apply, and back for the next one. Terraform deletes an items table in this
      apply, and the versions of `apply` that CodeDeploy still calls would fail, because they write to it.
    EOT
  }
}
