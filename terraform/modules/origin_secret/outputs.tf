output "generations" {
  description = "The generations whose secrets the API accepts."
  value       = local.generations
}

output "secrets" {
  description = "Generation -> its secret."
  value       = { for generation, secret in terraform_data.secret : generation => secret.triggers_replace }
  sensitive   = true
}

output "sent" {
  description = "The secret that CloudFront sends."
  value       = terraform_data.secret[tostring(var.generation)].triggers_replace
  sensitive   = true
}
