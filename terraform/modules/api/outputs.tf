output "id" {
  description = "Id of the REST API."
  value       = aws_api_gateway_rest_api.this.id
}

output "invoke_url" {
  description = "Where AWS serves the stage."
  value       = aws_api_gateway_stage.this.invoke_url
}

output "stage_name" {
  description = "Name of the stage, the first segment of every path."
  value       = aws_api_gateway_stage.this.stage_name
}

output "execution_arn" {
  description = "What permissions to call the API name."
  value       = aws_api_gateway_rest_api.this.execution_arn
}

output "routes" {
  description = "What is deployed: \"METHOD /path\", preflights aside."
  value       = sort(keys(var.routes))
}

output "policy" {
  description = "The API's resource policy as JSON text, for tests; null without back offices."
  value       = one(aws_api_gateway_rest_api_policy.this[*].policy)
}
