# The log of what the new VPC refuses. The functions have no reason to connect to anything but the stores, DynamoDB and
# S3, so a line in it is a mistake in the settings or an intruder. It holds no accepted connections: one line for each
# of them in every ten minutes would cost 0.50 $ a GB.
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html
locals {
  has_flow_log = local.create == null ? 0 : 1

  flow_log_group = "/readplane/${var.name}/refused-connections"
  flow_log_group_arn = join(":", [
    "arn", local.partition, "logs", local.region, local.account_id, "log-group", local.flow_log_group,
  ])
  flow_log_arn = "arn:${local.partition}:ec2:${local.region}:${local.account_id}:vpc-flow-log/*"

  flow_log_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "FlowLogsWrite"
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = local.flow_log_arn }
      }
    }]
  })

  # AWS asks for the two Describe actions too, and offers no resource for the first.
  # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
  flow_log_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "WriteLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
        Resource = ["${local.flow_log_group_arn}:*"]
      },
      {
        Sid      = "FindLogGroup"
        Effect   = "Allow"
        Action   = ["logs:DescribeLogGroups"]
        Resource = ["*"]
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "refused" {
  count = local.has_flow_log

  name              = local.flow_log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_iam_role" "flow_log" {
  count = local.has_flow_log

  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-flow-log"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.flow_log_trust_policy
}

resource "aws_iam_role_policy" "flow_log" {
  count = local.has_flow_log

  name   = "write-log"
  role   = aws_iam_role.flow_log[0].id
  policy = local.flow_log_policy
}

resource "aws_flow_log" "this" {
  count = local.has_flow_log

  vpc_id               = aws_vpc.this[0].id
  traffic_type         = "REJECT"
  log_destination_type = "cloud-watch-logs"
  log_destination      = aws_cloudwatch_log_group.refused[0].arn
  iam_role_arn         = aws_iam_role.flow_log[0].arn

  depends_on = [aws_iam_role_policy.flow_log]
}
