# What other modules need and what follows from the variables.

output "zips" {
  description = "Paths of the zips with the code of the functions and layers."
  value       = local.zips
}

output "source_settings" {
  description = "Source name -> the source's settings as JSON text."
  value       = local.source_settings
}
