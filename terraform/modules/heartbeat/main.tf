# The heartbeat of one Region of a stack with two Regions: a row of the items table that EventBridge Scheduler writes
# every minute. DynamoDB replicates the row to the other Region. There `publish` sees it in the items stream and emits
# the metric ReplicationLag, the age of the row. So a replication that stands still shows as missing data, even if no
# client writes anything. DynamoDB's own metric ReplicationLatency doesn't show this, because DynamoDB emits it only
# when it replicates.
#
# Each Region writes a row of its own, so the Regions never overwrite each other's row. The row has no version and no
# index key, so it is no item: lists, rebuilds and documents ignore it, as they ignore the freshness of sources.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix

  schedule_name = "heartbeat"
  group_name    = "${var.name}-heartbeat"
  arn_prefix    = "arn:${local.partition}:scheduler:${local.region}:${local.account_id}"
  group_arn     = "${local.arn_prefix}:schedule-group/${local.group_name}"
  schedule_arn  = "${local.arn_prefix}:schedule/${local.group_name}/*"

  # The key of the row. `publish` knows it too (lambda_src/readplane/model/keys.py).
  row_key = "heartbeat/${local.region}"

  # EventBridge Scheduler calls DynamoDB with these parameters. It replaces the keyword by the time for which the run is
  # scheduled, such as 2026-01-02T03:04:00Z. Terraform would write "<" as an escape, which the scheduler wouldn't
  # replace.
  input = replace(replace(jsonencode({
    TableName = var.items.name
    Item = {
      pk      = { S = local.row_key }
      sent_at = { S = "<aws.scheduler.scheduled-time>" }
    }
  }), "\\u003c", "<"), "\\u003e", ">")

  trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "HeartbeatSchedules"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      # The service principal of EventBridge Scheduler acts for every AWS account, so the condition admits only the
      # schedules of this group. AWS sets aws:SourceArn to the ARN of the schedule's group, not of the schedule.
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnEquals    = { "aws:SourceArn" = local.group_arn }
      }
    }]
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        # The role may write this one row of the items table, and read nothing.
        Sid       = "WriteHeartbeat"
        Effect    = "Allow"
        Action    = ["dynamodb:PutItem"]
        Resource  = var.items.arns
        Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = [local.row_key] } }
      }],
      [for statement in local.key_statements : statement if var.kms_key_arn != null],
    )
  })

  key_statements = [
    {
      Sid       = "UseKey"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = [var.kms_key_arn]
      Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.${local.region}.${local.dns_suffix}"] } }
    },
    {
      # EventBridge Scheduler decrypts the input of the schedule with the same role.
      Sid       = "DecryptSchedule"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = [var.kms_key_arn]
      Condition = { ArnLike = { "kms:EncryptionContext:aws:scheduler:schedule:arn" = [local.schedule_arn] } }
    },
  ]
}

resource "aws_iam_role" "this" {
  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-heartbeat"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.trust_policy
}

resource "aws_iam_role_policy" "this" {
  name   = "write-heartbeat"
  role   = aws_iam_role.this.id
  policy = local.policy
}

resource "aws_scheduler_schedule_group" "this" {
  name = local.group_name
}

resource "aws_scheduler_schedule" "this" {
  name                = local.schedule_name
  group_name          = aws_scheduler_schedule_group.this.name
  description         = "Writes the row with which the other Region measures the replication."
  schedule_expression = "rate(1 minute)"
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:${local.partition}:scheduler:::aws-sdk:dynamodb:putItem"
    role_arn = aws_iam_role.this.arn
    input    = local.input

    # EventBridge Scheduler doesn't retry a run, because the next run replaces it. AWS accepts no maximum event age of
    # less than 60 seconds.
    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }
  }

  depends_on = [aws_iam_role_policy.this]
}
