output "arn" {
  description = "ARN of the alias that is called, for event source mappings and schedules."
  value       = local.client_alias.arn
}

output "live_arn" {
  description = "ARN of the alias `live`, for the daily call."
  value       = aws_lambda_alias.this.arn
}

output "invoke_arn" {
  description = "Invoke ARN of the alias that is called, for API Gateway."
  value       = local.client_alias.invoke_arn
}

output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "qualifier" {
  description = "Name of the alias that points to the newest version that has passed its check."
  value       = aws_lambda_alias.this.name
}

output "released_alias" {
  description = "Name of the alias that CodeDeploy moves; null if the function has none."
  value       = one(keys(aws_lambda_alias.released))
}

output "alias_arns" {
  description = "ARN of each alias of the function, for the policies of those who call the function."
  value       = concat([aws_lambda_alias.this.arn], values(aws_lambda_alias.released)[*].arn)
}

output "version" {
  description = "Newest published version of the function that has passed its check."
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

output "temporary_policy" {
  description = "IAM policy of the function's role that Terraform removes last, for tests; null without one."
  value       = length(var.temporary_statements) > 0 ? local.temporary_policy : null
}

output "function" {
  description = <<-EOT
    Name and ARN of the function, ARN of the alias that is called, ARN of the role, and the name of the alias that
    CodeDeploy moves (null if the function has none).
  EOT
  value = {
    name           = aws_lambda_function.this.function_name
    arn            = aws_lambda_function.this.arn
    alias_arn      = local.client_alias.arn
    role_arn       = aws_iam_role.this.arn
    released_alias = one(keys(aws_lambda_alias.released))
  }
}

output "authorizer" {
  description = "ARN and names with which an API can use the function as its authorizer."
  value = {
    invoke_arn     = local.client_alias.invoke_arn
    function_name  = aws_lambda_function.this.function_name
    qualifier      = aws_lambda_alias.this.name
    released_alias = one(keys(aws_lambda_alias.released))
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
