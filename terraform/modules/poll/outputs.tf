output "checkpoints_table" {
  description = "Name of the checkpoint table."
  value       = aws_dynamodb_table.checkpoints.name
}

output "function_name" {
  description = "Name of the `poll` function."
  value       = module.poll.function_name
}

output "function" {
  description = "Name and ARN of `poll`, ARN of the alias that is called, and ARN of the role."
  value       = module.poll.function
}

output "scheduler_role_arn" {
  description = "ARN of the role with which EventBridge Scheduler invokes `poll`."
  value       = aws_iam_role.scheduler.arn
}

output "schedules" {
  description = "Name of each schedule -> its expression and its input, for tests."
  value = {
    for name, schedule in local.schedules : name => { expression = schedule.expression, input = schedule.input }
  }
}

output "settings" {
  description = "Settings of `poll` as JSON text, for tests."
  value       = local.settings
}

output "config" {
  description = "The settings of the sources and the JSON Schemas, which `poll` reads from S3, as JSON text, for tests."
  value       = local.config
}

output "runs" {
  description = "The zip, layers and environment variables of `poll`, for tests."
  value       = module.poll.runs
}

output "policies" {
  description = "IAM policies of `poll` and of the role that EventBridge Scheduler uses, for tests."
  value = {
    poll            = module.poll.policy
    scheduler       = local.scheduler_policy
    scheduler_trust = local.scheduler_trust_policy
  }
}

output "deletion_protection" {
  description = "Whether the checkpoint table is protected against deletion, for tests."
  value       = aws_dynamodb_table.checkpoints.deletion_protection_enabled
}
