# Refuses the mistakes in the collections' JSON Schemas that Terraform can see. `write` and `poll` compile the schemas
# and find the rest, before a new version of them goes live (modules/function). Terraform looks at six levels of
# nesting.
module "schemas_level_1" {
  source = "./schema_level"

  # A schema that is no JSON object is refused with the collection (variables_collections.tf).
  schemas = { for name, collection in var.collections :
    "collections.${name}.schema" => jsonencode(jsondecode(collection.schema))
    if can(keys(jsondecode(collection.schema)))
  }
}

module "schemas_level_2" {
  source  = "./schema_level"
  schemas = module.schemas_level_1.parts
}

module "schemas_level_3" {
  source  = "./schema_level"
  schemas = module.schemas_level_2.parts
}

module "schemas_level_4" {
  source  = "./schema_level"
  schemas = module.schemas_level_3.parts
}

module "schemas_level_5" {
  source  = "./schema_level"
  schemas = module.schemas_level_4.parts
}

module "schemas_level_6" {
  source  = "./schema_level"
  schemas = module.schemas_level_5.parts
}

locals {
  schema_findings = concat(
    module.schemas_level_1.problems,
    module.schemas_level_2.problems,
    module.schemas_level_3.problems,
    module.schemas_level_4.problems,
    module.schemas_level_5.problems,
    module.schemas_level_6.problems,
  )

  # The ids that schemas give to their parts, and those of the drafts themselves. A reference to one stays local.
  schema_ids = concat(local.schema_drafts, flatten([
    for collection in values(var.collections) : regexall("\"[$]?id\":\"([^\"#]+)", try(jsonencode(jsondecode(
      collection.schema
    )), ""))
  ]))

  schema_problems = [for problem in local.schema_findings : problem.text
    if !contains(local.schema_ids, try(split("#", problem.reference)[0], ""))
  ]
}

output "schemas" {
  description = "Whether Terraform found no mistake in the collections' JSON Schemas. A plan fails here if it did."
  value       = true

  precondition {
    condition     = length(local.schema_problems) == 0
    error_message = join("\n", concat(["Correct these JSON Schemas:"], local.schema_problems))
  }
}
