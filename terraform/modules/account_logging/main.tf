# The role with which API Gateway writes the logs of an account's APIs in one Region. An account has only one such role
# per Region, and every API uses it. So no stack may own the role: with a stack, the logs of all other APIs would end.
# examples/account calls this module once for each Region of an account.
data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  managed_policies = "arn:${data.aws_partition.current.partition}:iam::aws:policy"

  # The trust policy has no condition on aws:SourceAccount. AWS doesn't document that API Gateway sends that key when it
  # assumes this role, and a condition on a key that isn't sent would stop all logging. Other principals can't use the
  # role, because AWS checks iam:PassRole when a principal sets the role for the account.
  trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ApiGatewayLogs"
      Effect    = "Allow"
      Principal = { Service = "apigateway.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }]
  })
}

# `prevent_destroy` makes `terraform destroy` and a change of name or path fail at plan. Without the role, API Gateway
# would write no logs for any API of the account in this Region, and would refuse every new stage with logs.
resource "aws_iam_role" "logging" {
  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${data.aws_region.current.name}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.trust_policy

  lifecycle {
    prevent_destroy = true
  }
}

# Attaches AWS's managed policy for API Gateway's logging role, because API Gateway checks that the role has all
# permissions of that policy. The role serves every API of the account in this Region, so it can't be limited to the log
# groups of one stack.
resource "aws_iam_role_policy_attachment" "logging" {
  role       = aws_iam_role.logging.name
  policy_arn = "${local.managed_policies}/service-role/AmazonAPIGatewayPushToCloudWatchLogs"

  lifecycle {
    prevent_destroy = true
  }
}

# Makes the role API Gateway's logging role. If the account already has one in this Region, this replaces it. The logs
# of all APIs go on, through the new role. Version 5 of the AWS provider leaves the setting as it is when it destroys
# this resource. Version 6 resets it.
resource "aws_api_gateway_account" "this" {
  cloudwatch_role_arn = aws_iam_role.logging.arn

  # The role must have its policy first, because API Gateway tests the role's permissions when Terraform makes this
  # setting.
  depends_on = [aws_iam_role_policy_attachment.logging]

  lifecycle {
    prevent_destroy = true
  }
}
