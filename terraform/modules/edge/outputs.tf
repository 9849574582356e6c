output "id" {
  description = "Id of the distribution."
  value       = aws_cloudfront_distribution.this.id
}

output "arn" {
  description = "ARN of the distribution, for the policies of its buckets."
  value       = aws_cloudfront_distribution.this.arn
}

output "domain_name" {
  description = "The distribution's own host name, to which a DNS record of your domain must lead."
  value       = aws_cloudfront_distribution.this.domain_name
}

output "url" {
  description = "Base URL of the edge."
  value       = "https://${var.domain == null ? aws_cloudfront_distribution.this.domain_name : var.domain.name}"
}

output "function" {
  description = "The function `edge_auth`: its name, the ARN of the version that CloudFront runs, and its parameter."
  value = {
    name      = module.edge_auth.function_name
    arn       = local.function_arn
    parameter = aws_ssm_parameter.settings.name
    role_arn  = module.edge_auth.role_arn
  }
}

output "settings" {
  description = "Settings of `edge_auth` as JSON text, for tests."
  value       = local.settings
}

output "policies" {
  description = "The policy and the trust policy of the function's role, for tests."
  value       = { policy = module.edge_auth.policy, trust = module.edge_auth.trust_policy }
}
