# Rules for changes of collections. A collection's items and documents outlive its declaration, and every visibility has
# S3 keys of its own. So a collection may vanish only after it is retired, and its visibility may change only if
# `publish` learns of it.
locals {
  recorded_collections = tomap({ for name, collection in local.recorded.collections : name => {
    read         = collection.read
    read_changes = collection.read_changes
    retired      = collection.retired
  } })

  next_collections = merge(local.recorded_collections, var.collections)

  # The declared collections of which the record knows, with what it knows.
  both = { for name, collection in var.collections : name => {
    before = local.recorded_collections[name]
    after  = collection
  } if contains(keys(local.recorded_collections), name) }

  removed = [for name, collection in local.recorded_collections : name
  if !collection.retired && !contains(keys(var.collections), name)]

  # Collections whose visibility changes to or from `owner`. Their items have keys that hold the owner, so no migration
  # can move them.
  owners_changed = [for name, each in local.both : name
  if each.before.read != each.after.read && contains([each.before.read, each.after.read], "owner")]

  # Collections whose visibility changes although read_changes stays as it was.
  unannounced = [for name, each in local.both : name
  if each.before.read != each.after.read && each.after.read_changes <= each.before.read_changes]
  next_read_changes = join(" and ", [for name in local.unannounced :
    "collections.${name}.read_changes = ${local.recorded_collections[name].read_changes + 1}"
  ])

  lowered = [for name, each in local.both : name if each.after.read_changes < each.before.read_changes]
}

output "collections" {
  description = "The collections for the next record. The record forgets no collection, so that its name stays known."
  value       = local.next_collections

  # The rest of the record needs less than 580 bytes.
  precondition {
    condition     = length(jsonencode(local.next_collections)) <= 7600
    error_message = <<-EOT
      Start a second stack for new collections. The record of this stack names every collection that it ever had, and an
      SSM parameter holds at most 8 KB.
    EOT
  }

  precondition {
    condition     = length(local.removed) == 0
    error_message = <<-EOT
      Declare these collections again, with retired = true: ${join(", ", local.removed)}. Their items and documents are
      still there, and whoever used a name again would publish them. `ops/readplane collections purge` deletes the items
      of a retired collection. Then you can remove its declaration. docs/lifecycle.md has the steps.
    EOT
  }

  precondition {
    condition     = length(local.owners_changed) == 0
    error_message = <<-EOT
      Set read back to what it was in these collections: ${join(", ", local.owners_changed)}. The keys of an owner
      collection's items hold their owners, so read can't change to or from "owner". Declare a collection with another
      name instead, and write the items again.
    EOT
  }

  precondition {
    condition     = length(local.unannounced) == 0
    error_message = <<-EOT
      Set ${local.next_read_changes}, because read has changed. From then on, `publish` removes a document under its old
      visibility too. After the apply, run `ops/readplane collections move` for each. docs/lifecycle.md has the steps.
    EOT
  }

  precondition {
    condition     = length(local.lowered) == 0
    error_message = <<-EOT
      Raise read_changes again in these collections: ${join(", ", local.lowered)}. With a lower number, `publish` would
      no longer remove documents under the visibilities that the collection has had.
    EOT
  }
}
