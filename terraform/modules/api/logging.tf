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

# Sets the role with which API Gateway writes logs. All APIs of the account in this Region share this setting, so a
# second stack in the Region must not manage it. `terraform destroy` doesn't reset the setting, because other APIs may
# rely on it by then.
resource "aws_api_gateway_account" "this" {
  count = var.manage_account_logging ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.logging[0].arn

  # The role must have its policy first, because API Gateway tests the role's permissions when Terraform makes this
  # setting.
  depends_on = [aws_iam_role_policy_attachment.logging]
}

locals {
  managed_policies = "arn:${data.aws_partition.current.partition}:iam::aws:policy"

  # The trust policy of the logging role has no condition on aws:SourceAccount. AWS doesn't document that API Gateway
  # sends that key when it assumes this role, and a condition on a key that isn't sent would stop all logging. Other
  # principals can't use the role, because AWS checks iam:PassRole when a principal sets the role for the account.
  logging_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ApiGatewayLogs"
      Effect    = "Allow"
      Principal = { Service = "apigateway.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }]
  })
}

resource "aws_iam_role" "logging" {
  count = var.manage_account_logging ? 1 : 0

  # The role's name contains the Region, because each Region has its own logging role, and the names of IAM roles must
  # be unique in the account across all Regions.
  name               = "${var.name}-${data.aws_region.current.name}-api-logging"
  assume_role_policy = local.logging_trust_policy
}

# Attaches AWS's managed policy for API Gateway's logging role, because API Gateway checks that the role has all
# permissions of that policy. The role serves every API of the account in this Region, so it can't be limited to this
# stack's log groups.
resource "aws_iam_role_policy_attachment" "logging" {
  count = var.manage_account_logging ? 1 : 0

  role       = aws_iam_role.logging[0].name
  policy_arn = "${local.managed_policies}/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}
