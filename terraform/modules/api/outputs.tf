output "id" {
  description = "Id of the REST API."
  value       = aws_api_gateway_rest_api.this.id
}

output "invoke_url" {
  description = "URL under which AWS serves the stage."
  value       = aws_api_gateway_stage.this.invoke_url
}

output "stage_name" {
  description = "Name of the stage, the first segment of every path."
  value       = aws_api_gateway_stage.this.stage_name
}

output "execution_arn" {
  description = "Execution ARN of the API, for permissions to call it."
  value       = aws_api_gateway_rest_api.this.execution_arn
}

output "routes" {
  description = "\"METHOD /path\" of every deployed route, without preflights."
  value       = sort(keys(var.routes))
}

output "policy" {
  description = "The API's resource policy as JSON text, for tests; null without backends."
  value       = one(aws_api_gateway_rest_api_policy.this[*].policy)
}
