output "arn" {
  description = "ARN of the function's alias, for event source mappings and permissions."
  value       = aws_lambda_alias.this.arn
}

output "invoke_arn" {
  description = "Invoke ARN of the function's alias, for API Gateway."
  value       = aws_lambda_alias.this.invoke_arn
}

output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "qualifier" {
  description = "Name of the function's alias."
  value       = aws_lambda_alias.this.name
}

output "version" {
  description = "Published version of the function that the alias points to."
  value       = aws_lambda_alias.this.function_version
}

output "runs" {
  description = "The function's zip, layers and environment variables (without settings and secrets), for tests."
  value = {
    zip       = try("s3://${aws_lambda_function.this.s3_bucket}/${aws_lambda_function.this.s3_key}", var.code.zip)
    handler   = aws_lambda_function.this.handler
    memory_mb = aws_lambda_function.this.memory_size
    layers    = coalesce(aws_lambda_function.this.layers, [])
    environment = {
      for key, value in nonsensitive(local.variables) : key => value
      if !contains(local.hidden, key)
    }
  }
}

locals {
  variables = try(aws_lambda_function.this.environment[0].variables, sensitive({}))
  hidden    = concat(["READPLANE_SETTINGS"], nonsensitive(keys(var.secrets)))
}

output "policy" {
  description = "IAM policy of the function's role, for tests."
  value       = local.policy
}

output "function" {
  description = "Name and ARN of the function, ARN of the alias that is called, and ARN of the role."
  value = {
    name      = aws_lambda_function.this.function_name
    arn       = aws_lambda_function.this.arn
    alias_arn = aws_lambda_alias.this.arn
    role_arn  = aws_iam_role.this.arn
  }
}

output "authorizer" {
  description = "ARN and names with which an API can use the function as its authorizer."
  value = {
    invoke_arn    = aws_lambda_alias.this.invoke_arn
    function_name = aws_lambda_function.this.function_name
    qualifier     = aws_lambda_alias.this.name
  }
}

output "edge_arn" {
  description = <<-EOT
    ARN of the published version for a distribution; null without var.edge. It is put together, because CloudFront takes
    an ARN with a number only, and an emulator's qualified_arn has none.
  EOT
  value       = var.edge ? "${aws_lambda_function.this.arn}:${aws_lambda_function.this.version}" : null
}

output "role_arn" {
  description = "ARN of the function's role."
  value       = aws_iam_role.this.arn
}

output "trust_policy" {
  description = "Trust policy of the function's role, for tests."
  value       = local.trust_policy
}
