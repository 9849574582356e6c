output "parameter" {
  description = "Name of the SSM parameter that holds the record."
  value       = local.parameter
}
