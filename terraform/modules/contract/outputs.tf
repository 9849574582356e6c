output "openapi" {
  description = "The public contract of the API: an OpenAPI 3.1 document as JSON text."
  value       = jsonencode(local.document)

  precondition {
    condition     = alltrue([for names in values(local.wrong_definitions) : length(names) == 0])
    error_message = <<-EOT
      Name the definitions in schemas with letters, digits, ".", "_" and "-" only. Rename these definitions:
      ${join(", ", flatten(values(local.wrong_definitions)))}.
    EOT
  }

  precondition {
    condition     = alltrue([for references in values(local.lost_references) : length(references) == 0])
    error_message = <<-EOT
      Write each $ref in a schema as "#", "#/definitions/<name>" or "#/$defs/<name>", and define that name. Mend the
      schemas of these collections: ${join(", ", [for c, names in local.lost_references : c if length(names) > 0])}.
    EOT
  }
}
