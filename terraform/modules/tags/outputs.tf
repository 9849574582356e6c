output "tags" {
  description = "The tags, which obey AWS's rules."
  value       = var.tags
}
