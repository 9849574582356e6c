output "id" {
  description = "Id of the REST API."
  value       = aws_api_gateway_rest_api.this.id
}

output "invoke_url" {
  description = "URL at which AWS serves the API's stage."
  value       = aws_api_gateway_stage.this.invoke_url
}

output "stage_arn" {
  description = "ARN of the API's stage, for a web ACL."
  value       = aws_api_gateway_stage.this.arn
}

output "execution_arn" {
  description = "ARN of the API for execute-api policies, without a stage."
  value       = aws_api_gateway_rest_api.this.execution_arn
}

output "domain" {
  description = <<-EOT
    The API's domain name, the name and Route 53 zone to which a DNS record of that name must lead, the name that leads
    to this Region only, and the id of the health check; null without a domain.
  EOT
  value = var.domain == null ? null : {
    name            = aws_api_gateway_base_path_mapping.this[0].domain_name
    target          = local.dns_name
    zone_id         = local.dns_zone
    regional_name   = one(aws_api_gateway_base_path_mapping.regional[*].domain_name)
    health_check_id = one(aws_route53_health_check.this[*].id)
  }
}

output "stage_name" {
  description = "Name of the API's stage, which is the first segment of every path."
  value       = aws_api_gateway_stage.this.stage_name
}

output "routes" {
  description = <<-EOT
    Every route of the table as "METHOD /path". The API also answers HEAD where it answers GET, refuses other methods,
    and answers preflights.
  EOT
  value       = sort(keys(var.routes))
}

output "document" {
  description = <<-EOT
    The OpenAPI document of the API, in the form that API Gateway imports, as JSON text. It names the secrets of the
    lock by their generation only.
  EOT
  value       = local.shown_document
  depends_on  = [aws_api_gateway_rest_api_put.this]
}

output "policy" {
  description = <<-EOT
    The API's resource policy as JSON text, for tests; null without backends and lock. It names the secrets of the lock
    by their generation only.
  EOT
  value       = local.has_policy ? jsonencode(local.policies["shown"]) : null
}
