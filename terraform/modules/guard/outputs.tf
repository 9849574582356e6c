output "protected" {
  description = "Whether the guard refuses, for tests."
  value       = terraform_data.this.input.protected
}
