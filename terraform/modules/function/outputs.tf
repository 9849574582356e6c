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

output "policy" {
  description = "The role's policy, for tests."
  value       = local.policy
}
