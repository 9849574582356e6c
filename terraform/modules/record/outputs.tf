output "parameter" {
  description = "Name of the SSM parameter that holds the record."
  value       = local.parameter
}

output "recorded" {
  description = "What the last complete apply left, for tests."
  value       = local.recorded
}
