# One step down into values: from objects, maps and lists to what they contain.
variable "entries" {
  description = "For each value: its path, the value as it was written, and the value with all attributes of its type."
  type        = any
}

locals {
  # What each value contains. A text, a number or null contains nothing. An object or map also has `names`: those that
  # its type allows. (A map allows every name, because its converted value has the same names.)
  contents = flatten([for entry in var.entries : try([for key, value in entry.declared : {
    path     = "${entry.path}.${key}"
    name     = key
    declared = value
    typed    = try(entry.typed[key], null)
    names    = try(keys(entry.typed), null)
  }], [])])

  unknown = [for entry in local.contents : entry if entry.names == null ? false : !contains(entry.names, entry.name)]

  # The pairs of neighbouring letters of a name. The nearest attribute is the one that shares most of them.
  pairs = { for name in distinct(flatten([for entry in local.unknown : concat([entry.name], entry.names)])) :
    name => toset([for i in range(max(length(name) - 1, 1)) : lower(substr(name, i, 2))])
  }

  # Unknown attribute -> its path, and the attributes there by the number of pairs that they share with it.
  nearest = [for entry in local.unknown : {
    path  = entry.path
    names = entry.names
    shared = { for name in entry.names :
      name => length(setintersection(local.pairs[name], local.pairs[entry.name]))
    }
  }]
}

output "contents" {
  description = "What the values contain, in the form of the variable `entries`."
  value       = [for entry in local.contents : { path = entry.path, declared = entry.declared, typed = entry.typed }]
}

output "unknown" {
  description = "For each attribute that doesn't exist: its path, and which attribute may be meant."
  value = [for entry in local.nearest : join(" ", [
    "${entry.path} doesn't exist.",
    max(values(entry.shared)...) == 0 ? "Choose from ${join(", ", entry.names)}." : join("", [
      "Do you mean ", [for name, count in entry.shared : name if count == max(values(entry.shared)...)][0], "?"
    ])
  ])]
}
