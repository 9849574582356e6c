# Calls every function of this Region once a day. Lambda takes a version with SnapStart out of service if nobody invokes
# it for 14 days, and then refuses the first calls. The functions of a standby Region would refuse them in a failover.
#
# With canary deployments, clients call another alias than `live`. The schedules call both, because operators' commands
# call `live`, and so do clients as soon as canary deployments are switched off.
#
# The call is the check that a new version passes: the function starts, reads its settings and writes nothing. A
# function that fails the call raises its alarm `errors`.
locals {
  functions_called_daily = merge(
    { for key, function in module.function : key => function },
    { for function in module.backend_auth : "backend_auth" => function },
  )

  # Schedule -> its name, and the alias that it calls.
  called_daily = merge(
    { for key, function in local.functions_called_daily : key => {
      name = function.function_name
      arn  = function.arn
    } },
    { for key, function in local.functions_called_daily : "${key}-live" => {
      name = "${function.function_name}-live"
      arn  = function.live_arn
    } if try(var.release.called, false) },
  )

  # Both ARNs are composed here, because the role's policies name them and the role must exist before the schedules.
  daily_group = "${var.name}-daily"
  daily_group_arn = join(":", [
    "arn", local.partition, "scheduler", local.region, local.account_id, "schedule-group/${local.daily_group}",
  ])
  daily_schedule_arns = join(":", [
    "arn", local.partition, "scheduler", local.region, local.account_id, "schedule/${local.daily_group}/*",
  ])

  daily_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "SchedulesInvoke"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      # EventBridge Scheduler acts for every AWS account, so the condition admits only the schedules of this group. AWS
      # sets aws:SourceArn to the ARN of the schedule's group.
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnEquals    = { "aws:SourceArn" = local.daily_group_arn }
      }
    }]
  })

  daily_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "CallFunctions"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = values(local.called_daily)[*].arn
      }],
      # EventBridge Scheduler decrypts a schedule with the same role with which it calls the function.
      var.kms_key_arn == null ? [] : [{
        Sid       = "DecryptSchedules"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.kms_key_arn]
        Condition = { ArnLike = { "kms:EncryptionContext:aws:scheduler:schedule:arn" = [local.daily_schedule_arns] } }
      }],
    )
  })
}

resource "aws_iam_role" "daily" {
  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-daily"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.daily_trust_policy
}

resource "aws_iam_role_policy" "daily" {
  name   = "call-functions"
  role   = aws_iam_role.daily.id
  policy = local.daily_policy
}

resource "aws_scheduler_schedule_group" "daily" {
  name = local.daily_group
}

resource "aws_scheduler_schedule" "daily" {
  for_each = local.called_daily

  name                = each.value.name
  group_name          = aws_scheduler_schedule_group.daily.name
  schedule_expression = "rate(1 day)"
  kms_key_arn         = var.kms_key_arn

  # EventBridge Scheduler spreads the calls over an hour, and repeats a call that Lambda refuses.
  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 60
  }

  target {
    arn      = each.value.arn
    role_arn = aws_iam_role.daily.arn
    input    = jsonencode({ check = true })
  }

  depends_on = [aws_iam_role_policy.daily]
}
