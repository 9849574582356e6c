# Refuses attributes that a variable doesn't have. Terraform would drop them without a word when it converts a value to
# the variable's type, so `shema = …` would leave a collection without a schema.
variable "declared" {
  description = "Variable name -> the value as it was written, for each variable with objects in its type."
  type        = any
  default     = {}
}

# The attributes of every value, down to the fifth level, which is deeper than any variable's type.
module "first_level" {
  source  = "./attribute_level"
  entries = [for name, value in var.declared : { path = name, declared = value, typed = local.typed[name] }]
}

module "second_level" {
  source  = "./attribute_level"
  entries = module.first_level.contents
}

module "third_level" {
  source  = "./attribute_level"
  entries = module.second_level.contents
}

module "fourth_level" {
  source  = "./attribute_level"
  entries = module.third_level.contents
}

module "fifth_level" {
  source  = "./attribute_level"
  entries = module.fourth_level.contents
}

locals {
  unknown_attributes = concat(
    module.first_level.unknown,
    module.second_level.unknown,
    module.third_level.unknown,
    module.fourth_level.unknown,
    module.fifth_level.unknown,
  )
}

output "declared" {
  description = "Whether every attribute exists. A plan fails here if one doesn't."
  value       = true

  precondition {
    condition     = length(local.unknown_attributes) == 0
    error_message = join("\n", concat(["Correct or remove these attributes:"], local.unknown_attributes))
  }
}
