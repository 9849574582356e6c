# What the contract says about lists from the database: the parameters filter, sort and q of each relational collection
# (lambda_src/readplane/model/query.py).
locals {
  relationals = { for c, collection in var.collections : c => collection.relational if collection.relational != null }

  # Collection -> the fields that filter may name, as text.
  filter_fields = { for c, each in local.relationals : c => join(", ", [
    for name, field in each.fields : "`${name}` (${field.type})"
  ]) }

  filter_parameters = { for c, each in local.relationals : c => [for fields in [each.fields] : {
    name        = "filter"
    in          = "query"
    description = <<-EOT
      Conditions that all items of the list meet, separated by commas: `field:operator:value`, at most 8. The fields are
      ${local.filter_fields[c]}. The operators are `eq`, `ne`, `lt`, `le`, `gt` and `ge`. In a value, write a backslash
      before each comma and backslash. An item without the field meets no condition on it.
    EOT
    schema      = { type = "string", maxLength = 4096 }
    example     = "${sort(keys(fields))[0]}:eq:${local.field_examples[fields[sort(keys(fields))[0]].type]}"
  } if length(fields) > 0] }
  field_examples = { number = "10", text = "red", boolean = "true", time = "2026-01-31T12:00:00Z" }

  sort_parameters = { for c, each in local.relationals : c => [for fields in [each.sort] : {
    name        = "sort"
    in          = "query"
    description = "The field that orders the list. A minus sign means the descending order. Items without it come last."
    schema      = { type = "string", enum = flatten([for name in fields : [name, "-${name}"]]) }
  } if length(fields) > 0] }

  search_parameters = { for c, each in local.relationals : c => [for search in [each.search] : {
    name        = "q"
    in          = "query"
    description = <<-EOT
      Words that all items of the list contain. Quotes keep words together, `or` means either, and a minus sign excludes
      a word.
    EOT
    schema      = { type = "string", minLength = 1, maxLength = 500 }
  } if search != null] }

  # Collection -> the parameters of its list besides limit and cursor. Each kind has another type, so each list is a
  # list of its own.
  list_parameters = { for c in keys(var.collections) : c => concat(
    lookup(local.filter_parameters, c, []),
    lookup(local.sort_parameters, c, []),
    lookup(local.search_parameters, c, []),
  ) }

  # Collection -> the order of its list, and what is different if the database serves it, as sentences.
  orders = { for c in keys(var.collections) : c => [
    contains(keys(local.relationals), c) ? "Without `sort`, the order is unspecified." : "The order is unspecified."
  ] }
  databases = { for c in keys(var.collections) : c => !contains(keys(local.relationals), c) ? [] : [
    "With `sort`, that holds for the items whose field doesn't change meanwhile.",
    "A list with ${local.list_parameter_names[c]} comes from a database that follows the items within seconds.",
    "It gets a 503 with Retry-After if no reader of the database is there.",
    "A `cursor` belongs to the parameters of its list: with others it gets a 400.",
  ] }
  list_parameter_names = { for c, parameters in local.list_parameters : c => (
    join(" or ", [for parameter in parameters : "`${parameter.name}`"])
  ) }
}
