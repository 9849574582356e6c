resource "aws_cloudwatch_log_group" "access" {
  name              = "/readplane/${var.name}/api-access"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# The name is API Gateway's.
resource "aws_cloudwatch_log_group" "execution" {
  name              = "API-Gateway-Execution-Logs_${aws_api_gateway_rest_api.this.id}/${local.stage_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# One setting for all APIs of the account in this Region, so a second stack there leaves it alone. It isn't reset on destroy: other
# APIs may rely on it by then.
resource "aws_api_gateway_account" "this" {
  count = var.manage_account_logging ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.logging[0].arn

  # API Gateway tries the role when it is set.
  depends_on = [aws_iam_role_policy_attachment.logging]
}

locals {
  # Without aws:SourceAccount: AWS doesn't document that API Gateway sends it when it takes this role, and a condition on what isn't sent
  # would end logging. iam:PassRole, checked when the account's setting names the role, keeps other principals from using it.
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

  # Roles aren't regional, this setting is.
  name               = "${var.name}-${data.aws_region.current.name}-api-logging"
  assume_role_policy = local.logging_trust_policy
}

# AWS's own policy for exactly this role. API Gateway checks for its permissions, and it serves every API of the account, so it can't
# be limited to this stack's log groups.
resource "aws_iam_role_policy_attachment" "logging" {
  count = var.manage_account_logging ? 1 : 0

  role       = aws_iam_role.logging[0].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}
