# The server's log in CloudWatch Logs, and the metrics of the instances' operating systems.

# RDS writes to a log group of this name only.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraPostgreSQL.CloudWatch.html
resource "aws_cloudwatch_log_group" "postgresql" {
  name              = "/aws/rds/cluster/${local.identifier}/postgresql"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# Enhanced monitoring. RDS writes its metrics into the log group RDSOSMetrics, which all databases of the account share,
# so no stack can make or delete it.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Monitoring.OS.html
locals {
  monitoring_seconds = coalesce(var.aurora.monitoring_seconds, 0) # 0: RDS doesn't monitor
  has_monitoring     = local.monitoring_seconds == 0 ? 0 : 1

  monitoring_log_arn  = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:RDSOSMetrics"
  monitoring_instance = "arn:${local.partition}:rds:${local.region}:${local.account_id}:db:${local.identifier}-*"

  monitoring_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "InstancesWrite"
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = local.monitoring_instance }
      }
    }]
  })

  # What AWS's own policy AmazonRDSEnhancedMonitoringRole allows, for this log group only.
  monitoring_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "MakeLogGroup"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:PutRetentionPolicy"]
        Resource = [local.monitoring_log_arn]
      },
      {
        Sid      = "WriteMetrics"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams", "logs:GetLogEvents"]
        Resource = ["${local.monitoring_log_arn}:log-stream:*"]
      },
    ]
  })
}

resource "aws_iam_role" "monitoring" {
  count = local.has_monitoring

  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-database-monitoring"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.monitoring_trust_policy
}

resource "aws_iam_role_policy" "monitoring" {
  count = local.has_monitoring

  name   = "write-metrics"
  role   = aws_iam_role.monitoring[0].id
  policy = local.monitoring_policy
}
