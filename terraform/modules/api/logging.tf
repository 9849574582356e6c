# The logs of the API. API Gateway writes them with a role of the account, which all APIs of the account in this Region
# share. Module `account_logging` creates that role. No stack may own it, because the logs of all other APIs would end
# with the stack.
resource "aws_cloudwatch_log_group" "access" {
  name              = "/readplane/${var.name}/api-access"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# The log group of the execution log. API Gateway prescribes its name.
resource "aws_cloudwatch_log_group" "execution" {
  name              = "API-Gateway-Execution-Logs_${aws_api_gateway_rest_api.this.id}/${local.stage_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
