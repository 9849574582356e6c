# Takes a contract apart, so that the runs in tests/contract.tftest.hcl can compare its parts with what they expect.
variable "openapi" {
  description = "The contract: an OpenAPI document as JSON text."
  type        = string
}

variable "expected" {
  description = "What a run expects of the contract. Each run reads it in its assertions."
  type        = any
  default     = null
}

output "document" {
  description = "The contract as a value."
  value       = local.document
}

output "routes" {
  description = "Route as \"METHOD /path\" -> the id of its operation."
  value       = { for operation in local.operations : operation.route => operation.operationId }
}

output "operations" {
  description = "Operation id -> the operation."
  value       = { for operation in local.operations : operation.operationId => operation }
}

output "summaries" {
  description = <<-EOT
    Operation id -> what matters of the operation, in short texts.
    success: what the response with the status 200 or 202 refers to; its media types if it refers to nothing.
    parameters: the names of shared parameters, and the places and names of others.
  EOT
  value = { for operation in local.operations : operation.operationId => {
    route      = operation.route
    tag        = join(" ", operation.tags)
    security   = join(" ", flatten([for schemes in operation.security : keys(schemes)]))
    parameters = join(" ", local.parameter_names[operation.operationId])
    body       = trimprefix(local.body_schemas[operation.operationId], "#/components/schemas/")
    success    = replace(local.successes[operation.operationId], "/^#.components.[a-z]*./", "")
    statuses   = join(" ", keys(operation.responses))
  } }
}

output "problems" {
  description = "Name of each shared response that is a problem document -> the status in its example."
  value = {
    for name, response in local.document.components.responses :
    name => response.content["application/problem+json"].example.status
    if try(response.content["application/problem+json"].schema["$ref"], "") == "#/components/schemas/Problem"
  }
}

output "varying" {
  description = "Ids of the operations whose response with the status 200 names the header Vary."
  value = [
    for operation in local.operations : operation.operationId
    if can(operation.responses["200"].headers.Vary)
  ]
}

output "reporting" {
  description = "Ids of the operations whose response with the status 200 names the header Cache-Status."
  value = [
    for operation in local.operations : operation.operationId
    if can(operation.responses["200"].headers["Cache-Status"])
  ]
}

output "unknown" {
  description = "Name and status of each shared response that says of a write that the outcome is unknown."
  value = [
    for name, response in local.document.components.responses :
    "${name} ${response.content["application/problem+json"].example.status}"
    if strcontains(response.description, "It is unknown whether Readplane accepted the write")
  ]
}

output "min_version" {
  description = "The parameter min_version without its description; null if no operation has it."
  value = try({
    for member, value in local.document.components.parameters.MinVersion : member => value if member != "description"
  }, null)
}

output "lost_references" {
  description = "References that lead to nothing."
  value       = [for reference in local.references : reference if !contains(local.components, reference)]
}

output "alike_tags" {
  description = "Tags that differ from another tag only in case and hyphens."
  value       = [for names in values(local.tags_by_letters) : names if length(names) > 1]
}

locals {
  document = jsondecode(var.openapi)
  operations = flatten([for path, item in local.document.paths : [
    for method, operation in item : merge(operation, { route = "${upper(method)} ${path}" })
  ]])

  parameter_names = { for operation in local.operations : operation.operationId => [
    for parameter in try(operation.parameters, []) : (
      can(parameter.name)
      ? "${parameter.in}.${parameter.name}"
      : trimprefix(parameter["$ref"], "#/components/parameters/")
    )
  ] }

  body_schemas = { for operation in local.operations : operation.operationId => try(
    operation.requestBody.content["application/json"].schema["$ref"],
    join(" ", keys(operation.requestBody.content)),
    "",
  ) }
  successes = { for operation in local.operations : operation.operationId => try(
    operation.responses["200"].content["application/json"].schema["$ref"],
    operation.responses["202"]["$ref"],
    join(" ", keys(operation.responses["200"].content)),
    "",
  ) }

  references = distinct(flatten(regexall("\"[$]ref\":\"([^\"]*)\"", var.openapi)))
  components = flatten([for kind, members in local.document.components : [
    for name in keys(members) : "#/components/${kind}/${name}"
  ]])

  tags_by_letters = { for tag in local.document.tags : lower(replace(tag.name, "-", "")) => tag.name... }
}
