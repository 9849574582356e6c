# Converts JSON Schemas of the drafts 4, 6 and 7 into JSON Schema 2020-12, the dialect of OpenAPI 3.1, at one level of
# nesting. HCL has no recursion, so the parts of the schemas go to the next level, which is another call of this module.
#
# All schemas travel as JSON text, so that maps of different schemas have one type.
#
# Inside loops, this file reads large maps by index and never passes them to a function such as lookup() or contains().
# Terraform inspects every argument of a function as a whole, so the plan's time would grow with the square of the
# number of schemas.
variable "schemas" {
  description = "Path of each schema at this level -> its JSON text."
  type        = map(string)
}

variable "converted_parts" {
  description = "Path of each schema at the next level -> the JSON text of its conversion; empty at the last level."
  type        = map(string)
}

output "parts" {
  description = "Path of each schema that is a part of a schema at this level -> its JSON text."
  value       = local.parts
}

output "converted" {
  description = "Path of each schema at this level -> the JSON text of its conversion."
  value       = { for path, schema in local.converted : path => jsonencode(schema) }
}

locals {
  # Drafts 4 to 7 ignore everything beside a reference.
  all        = { for path, text in var.schemas : path => jsondecode(text) }
  references = { for path, schema in local.all : path => { "$ref" = schema["$ref"] } if can(tostring(schema["$ref"])) }
  schemas    = { for path, schema in local.all : path => schema if !can(tostring(schema["$ref"])) }

  # Keywords whose value is one schema, a list of schemas, or schemas by name. `items` can be one or a list.
  single_keywords = [
    "additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then",
  ]
  list_keywords  = ["allOf", "anyOf", "items", "oneOf"]
  named_keywords = ["$defs", "definitions", "dependencies", "patternProperties", "properties"]

  # The keywords of each kind that each schema has. Only an object has keys(), and only a list has elements. A schema
  # that is true or false has no parts.
  singles = { for path, schema in local.schemas : path => [
    for keyword in local.single_keywords : keyword if can(keys(schema[keyword]))
  ] }
  lists = { for path, schema in local.schemas : path => [
    for keyword in local.list_keywords : keyword if can(schema[keyword][0])
  ] }
  named = { for path, schema in local.schemas : path => [
    for keyword in local.named_keywords : keyword if can(keys(schema[keyword]))
  ] }

  single_parts = merge([for path, keywords in local.singles : {
    for keyword in keywords : "${path}/${keyword}" => jsonencode(local.schemas[path][keyword])
  }]...)
  list_parts = merge(flatten([for path, keywords in local.lists : [for keyword in keywords : {
    for index, part in local.schemas[path][keyword] : "${path}/${keyword}/${index}" => jsonencode(part)
  }]])...)
  named_parts = merge(flatten([for path, keywords in local.named : [for keyword in keywords : {
    for name, part in local.schemas[path][keyword] : "${path}/${keyword}/${name}" => jsonencode(part)
  }]])...)

  # A part stays as it is if nothing in it has to change, or if it is no object, such as `true` or the list of a
  # dependency. Most parts stay, which saves much of the plan's time.
  changing_words = join("|", concat(
    ["[$][^\"]*", "array", "exclusiveMinimum", "exclusiveMaximum", "items"],
    [for keyword in local.dropped_keywords : keyword if !startswith(keyword, "$")],
  ))
  changing_text = "^[{].*\"(${local.changing_words})\""

  all_parts   = merge(local.single_parts, local.list_parts, local.named_parts)
  parts       = { for path, text in local.all_parts : path => text if can(regex(local.changing_text, text)) }
  plain_parts = { for path, text in local.all_parts : path => text if !can(regex(local.changing_text, text)) }

  # The conversion of each part. A part below the last level that has to change may be anything.
  converted_parts = { for path in keys(local.all_parts) : path => (
    try(local.plain_parts[path], var.converted_parts[path], "{}")
  ) }

  converted_singles = { for path, keywords in local.singles : path => {
    for keyword in keywords : keyword => jsondecode(local.converted_parts["${path}/${keyword}"])
  } }
  converted_lists = { for path, keywords in local.lists : path => {
    for keyword in keywords : keyword => [
      for index in range(length(local.schemas[path][keyword])) :
      jsondecode(local.converted_parts["${path}/${keyword}/${index}"])
    ]
  } }
  converted_named = { for path, keywords in local.named : path => {
    for keyword in keywords : keyword => {
      for name in keys(local.schemas[path][keyword]) :
      name => jsondecode(local.converted_parts["${path}/${keyword}/${name}"])
    }
  } }

  # Keywords that the conversion drops or replaces. Identifiers would change what references mean. Keywords that only
  # 2020-12 knows mean nothing in the collection's schema, so they must mean nothing in the contract.
  identifiers = ["$schema", "$id", "id", "$comment", "$anchor", "$dynamicAnchor", "$dynamicRef"]
  newer_keywords = [
    "dependentRequired", "dependentSchemas", "maxContains", "minContains", "prefixItems", "unevaluatedItems",
    "unevaluatedProperties",
  ]
  dropped_keywords = concat(local.identifiers, local.newer_keywords, ["additionalItems", "dependencies"])

  remaining = { for path, schema in local.schemas : path => {
    for keyword, value in merge(
      schema,
      local.converted_singles[path],
      local.converted_lists[path],
      local.converted_named[path],
    ) : keyword => value if !contains(local.dropped_keywords, keyword)
  } }

  # `items` as a list is `prefixItems` in 2020-12, and `additionalItems` is then `items`. Linters want `items` to be an
  # object, so a schema that nothing fits stands for false.
  nothing = { not = {} }
  rest_of_items = { for path, schema in local.schemas : path => (
    try(schema.additionalItems, true) == false
    ? jsonencode(local.nothing)
    : try(local.converted_parts["${path}/additionalItems"], "{}")
  ) }
  prefixes = { for path, converted in local.converted_lists : path => {
    for keyword, value in {
      prefixItems = try(converted.items, null)
      items       = jsondecode(local.rest_of_items[path])
    } : keyword => value if can(converted.items)
  } }
  types = { for path, schema in local.schemas : path => flatten([try(schema.type, [])]) }
  missing_items = { for path, schema in local.schemas : path => {
    for keyword in ["items"] : keyword => {}
    if contains(local.types[path], "array") && !can(keys(schema.items)) && !local.mixed[path]
  } }

  # openapi-generator fails on a schema that allows objects, arrays and no other types, except null. So each type gets a
  # schema. At the root of a collection's schema it fails on that too, so the contract allows any type there.
  mixed = { for path, schema in local.schemas : path => (
    length(setintersection(local.types[path], ["array", "object"])) == 2
    && length(setsubtract(local.types[path], ["array", "object", "null"])) == 0
    && !can(schema.anyOf)
  ) }
  alternatives = { for path, types in local.types : path => {
    for keyword in ["anyOf"] : keyword => [for type in types : merge(
      { type = type },
      { for name in ["items"] : name => {} if type == "array" },
    )] if local.mixed[path] && strcontains(path, "/")
  } }

  # Draft 4 has a limit, and a boolean that excludes the limit itself. 2020-12 has limits of other names.
  exclusive = { exclusiveMinimum = "minimum", exclusiveMaximum = "maximum" }
  booleans = { for path, schema in local.schemas : path => [
    for keyword in keys(local.exclusive) : keyword if try(schema[keyword] == true || schema[keyword] == false, false)
  ] }
  excluding = { for path, keywords in local.booleans : path => [
    for keyword in keywords : keyword
    if local.schemas[path][keyword] == true && can(local.schemas[path][local.exclusive[keyword]])
  ] }
  limits = { for path, keywords in local.excluding : path => {
    for keyword in keywords : keyword => local.schemas[path][local.exclusive[keyword]]
  } }
  replaced_keywords = { for path, keywords in local.excluding : path => concat(
    local.booleans[path],
    [for keyword in keywords : local.exclusive[keyword]],
    local.mixed[path] ? ["type"] : [],
  ) }

  # `dependencies` has two names in 2020-12: one for lists of names, one for schemas.
  dependencies = { for path, schema in local.schemas : path => try(
    { for name in keys(schema.dependencies) : name => local.converted_parts["${path}/dependencies/${name}"] }, {}
  ) }
  dependent_required = { for path, dependencies in local.dependencies : path => {
    for name, text in dependencies : name => jsondecode(text) if startswith(text, "[")
  } }
  dependent_schemas = { for path, dependencies in local.dependencies : path => {
    for name, text in dependencies : name => jsondecode(text) if !startswith(text, "[")
  } }
  dependent = { for path in keys(local.schemas) : path => {
    for keyword, value in {
      dependentRequired = local.dependent_required[path]
      dependentSchemas  = local.dependent_schemas[path]
    } : keyword => value if length(value) > 0
  } }

  converted_schemas = { for path, rest in local.remaining : path => merge(
    { for keyword, value in rest : keyword => value if !contains(local.replaced_keywords[path], keyword) },
    local.missing_items[path],
    local.alternatives[path],
    local.prefixes[path],
    local.limits[path],
    local.dependent[path],
  ) }
  converted = merge(local.references, local.converted_schemas)
}
