output "arn" {
  description = "ARN of the alias: what mappings and permissions name."
  value       = aws_lambda_alias.this.arn
}

output "invoke_arn" {
  description = "What API Gateway calls."
  value       = aws_lambda_alias.this.invoke_arn
}

output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "qualifier" {
  description = "Name of the alias."
  value       = aws_lambda_alias.this.name
}

output "runs" {
  description = "What the function runs: its artefact, its layers and its environment beside the settings, for tests."
  value = {
    zip         = aws_lambda_function.this.filename
    layers      = coalesce(aws_lambda_function.this.layers, [])
    environment = { for key, value in aws_lambda_function.this.environment[0].variables : key => value if key != "READPLANE_SETTINGS" }
  }
}

output "policy" {
  description = "The role's policy, for tests."
  value       = local.policy
}
