# Turns each collection's JSON Schema into schemas of the contract. Collections use the drafts 4, 6 and 7 of JSON
# Schema, and OpenAPI 3.1 uses JSON Schema 2020-12. Module `schema_level` knows the differences.
#
# If a part that has to change is nested deeper than ten levels, the contract allows anything there. `write` and `poll`
# check data against the collection's own schema, so they still refuse what that schema doesn't allow.
locals {
  # The schema of a collection that declares none. Only a snapshot can be something other than an object.
  any_object = jsonencode({ type = "object", additionalProperties = true })
  any_schema = { for c in keys(var.collections) : c => contains(local.snapshots, c) ? "{}" : local.any_object }

  # jsonencode() writes no spaces, and it escapes every quote inside a JSON string. So the text `"$ref":"#` occurs only
  # where a reference starts.
  schema_texts = { for c, collection in var.collections : c => (
    jsonencode(jsondecode(collection.schema == null ? local.any_schema[c] : collection.schema))
  ) }

  # The name of the schema of a collection's data in the contract.
  data_name = { for c in keys(var.collections) : c => "${local.collection_name[c]}Data" }

  # A reference is a path from the root of the collection's schema. In the contract, that root is itself a schema below
  # #/components/schemas, so every reference gets this path in front.
  schemas_with_places = { for c, text in local.schema_texts : c => replace(
    text, "\"$ref\":\"#", "\"$ref\":\"#/components/schemas/${local.data_name[c]}"
  ) }

  # Each definition becomes a schema of the contract, because generators find only schemas that have a name. In the
  # replacement, "$$" is a dollar sign and "$1" is the definition's name.
  schemas_with_references = { for c, text in local.schemas_with_places : c => replace(
    text,
    "/\"[$]ref\":\"#/components/schemas/${local.data_name[c]}/(?:definitions|[$]defs)/([A-Za-z0-9._-]+)/",
    "\"$$ref\":\"#/components/schemas/${local.data_name[c]}_$1",
  ) }
  referring_schemas = { for c, text in local.schemas_with_references : c => jsondecode(text) }

  definitions = { for c, schema in local.referring_schemas : c => merge(
    try(schema.definitions, {}),
    try(schema["$defs"], {}),
  ) }

  roots = { for c, schema in local.referring_schemas : local.data_name[c] => jsonencode({
    for keyword, value in schema : keyword => value if !contains(["definitions", "$defs"], keyword)
  }) }
  # A definition can be true or false, but a schema of the contract must be an object.
  objects_of_booleans = { "true" = "{}", "false" = jsonencode({ not = {} }) }
  roots_of_definitions = merge([for c, definitions in local.definitions : {
    for name, definition in definitions : "${local.data_name[c]}_${name}" =>
    lookup(local.objects_of_booleans, jsonencode(definition), jsonencode(definition))
  }]...)

  data_descriptions = { for c, name in local.data_name : name => {
    description = "The data of an item of the collection `${c}`."
  } }
  data_schemas = { for name, text in module.level_0.converted : name => merge(
    can(jsondecode(text)["$ref"]) ? {} : lookup(local.data_descriptions, name, {}),
    jsondecode(text),
  ) }

  # Collection -> the references in its schema that lead to no schema of the contract.
  references = { for c, text in local.schemas_with_references : c => distinct(flatten(
    regexall("\"[$]ref\":\"([^\"]*)\"", text)
  )) }
  lost_references = { for c, references in local.references : c => [
    for reference in references : reference
    if !contains(keys(local.data_schemas), try(regex("^#/components/schemas/([^/]*)", reference)[0], "-"))
  ] }

  # Definitions whose name can't be the name of a schema in an OpenAPI document.
  wrong_definitions = { for c, definitions in local.definitions : c => [
    for name in keys(definitions) : name if !can(regex("^[A-Za-z0-9._-]+$", name))
  ] }
}

# One call for each level of nesting. Each level gets its schemas from the level above, and their converted parts from
# the level below.
module "level_0" {
  source          = "./schema_level"
  schemas         = merge(local.roots, local.roots_of_definitions)
  converted_parts = module.level_1.converted
}

module "level_1" {
  source          = "./schema_level"
  schemas         = module.level_0.parts
  converted_parts = module.level_2.converted
}

module "level_2" {
  source          = "./schema_level"
  schemas         = module.level_1.parts
  converted_parts = module.level_3.converted
}

module "level_3" {
  source          = "./schema_level"
  schemas         = module.level_2.parts
  converted_parts = module.level_4.converted
}

module "level_4" {
  source          = "./schema_level"
  schemas         = module.level_3.parts
  converted_parts = module.level_5.converted
}

module "level_5" {
  source          = "./schema_level"
  schemas         = module.level_4.parts
  converted_parts = module.level_6.converted
}

module "level_6" {
  source          = "./schema_level"
  schemas         = module.level_5.parts
  converted_parts = module.level_7.converted
}

module "level_7" {
  source          = "./schema_level"
  schemas         = module.level_6.parts
  converted_parts = module.level_8.converted
}

module "level_8" {
  source          = "./schema_level"
  schemas         = module.level_7.parts
  converted_parts = module.level_9.converted
}

module "level_9" {
  source          = "./schema_level"
  schemas         = module.level_8.parts
  converted_parts = {}
}
