# Finds mistakes in JSON Schemas of the drafts 4, 6 and 7, at one level of nesting. HCL has no recursion, so the parts
# of the schemas go to the next level, which is another call of this module.
#
# It looks only where the drafts expect a schema. Elsewhere, as in `const`, `examples` and keywords of other tools, the
# same words mean something else.
#
# All schemas travel as JSON text, so that maps of different schemas have one type.
variable "schemas" {
  description = "Path of each schema at this level -> its JSON text."
  type        = map(string)
}

output "parts" {
  description = "Path of each schema that is a part of a schema at this level -> its JSON text."
  value       = merge(local.single_parts, local.list_parts, local.named_parts)
}

output "problems" {
  description = "The mistakes at this level: a sentence each, and the reference that the mistake is about, or null."
  value       = concat(local.wrong_types, local.remote_references)
}

locals {
  # A test compares these words with the ones that `write` accepts.
  types = ["array", "boolean", "integer", "null", "number", "object", "string"]

  # Drafts 4 to 7 ignore everything beside a reference.
  all        = { for path, text in var.schemas : path => jsondecode(text) }
  references = { for path, schema in local.all : path => schema["$ref"] if can(regex("", schema["$ref"])) }
  schemas    = { for path, schema in local.all : path => schema if !can(regex("", schema["$ref"])) }

  # The keyword `type` is one word or a list of words.
  words = { for path, schema in local.schemas : path => try(
    [for word in schema.type : word == null ? "" : tostring(word)],
    [tostring(schema.type)],
    [],
  ) }
  wrong_types = flatten([for path, words in local.words : [for word in words : {
    text = join(" ", [
      "${path}: \"${word}\" is no type of JSON Schema.", "Choose from ${join(", ", local.types)}.",
    ])
    reference = null
  } if !contains(local.types, word)]])

  # A reference with a scheme, such as https:, leads out of the schema.
  remote_references = [for path, reference in local.references : {
    text      = "${path}: $ref leads to ${reference}. Copy that schema into `definitions` and refer to it with #."
    reference = reference
  } if can(regex("^[A-Za-z][A-Za-z0-9+.-]*:", reference))]

  # Keywords whose value is one schema, a list of schemas, or schemas by name. `items` can be one or a list.
  single_keywords = [
    "additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then",
  ]
  list_keywords  = ["allOf", "anyOf", "items", "oneOf"]
  named_keywords = ["definitions", "dependencies", "patternProperties", "properties"]

  # Only an object has keys(), and only a list has elements. A part that is true or false has no rules.
  single_parts = merge([for path, schema in local.schemas : {
    for keyword in local.single_keywords : "${path}.${keyword}" => jsonencode(schema[keyword])
    if can(keys(schema[keyword]))
  }]...)
  list_parts = merge(flatten([for path, schema in local.schemas : [for keyword in local.list_keywords : {
    for index, part in schema[keyword] : "${path}.${keyword}.${index}" => jsonencode(part) if can(keys(part))
  } if can(schema[keyword][0])]])...)
  named_parts = merge(flatten([for path, schema in local.schemas : [for keyword in local.named_keywords : {
    for name, part in schema[keyword] : "${path}.${keyword}.${name}" => jsonencode(part) if can(keys(part))
  } if can(keys(schema[keyword]))]])...)
}
