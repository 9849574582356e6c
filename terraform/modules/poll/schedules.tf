# The group is named in the role's trust and in the metrics, so it is this stack's own.
resource "aws_scheduler_schedule_group" "this" {
  name = var.name
}

locals {
  # Known before the group is: the role, which the schedules need first, names it.
  group_arn    = "arn:${local.partition}:scheduler:${local.region}:${local.account_id}:schedule-group/${var.name}"
  schedule_arn = "arn:${local.partition}:scheduler:${local.region}:${local.account_id}:schedule/${var.name}/*"

  scheduler_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "SchedulesInvoke"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      # The service acts for every account: only this group's schedules may borrow the role. AWS compares with the group, not the schedule.
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnEquals    = { "aws:SourceArn" = local.group_arn }
      }
    }]
  })

  scheduler_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "InvokePoll"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [module.poll.arn]
      }],
      # The scheduler decrypts a schedule's input with the role that it invokes with.
      local.keyed ? [{
        Sid       = "DecryptSchedules"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.kms_key_arn]
        Condition = { ArnLike = { "kms:EncryptionContext:aws:scheduler:schedule:arn" = [local.schedule_arn] } }
      }] : [],
    )
  })

  # A source's name has no dot, so no two schedules can have one name.
  schedules = merge(
    { for name, source in var.sources : "poll.${name}" => {
      expression = source.schedule
      input      = "{\"source\":${source.settings},\"sweep\":false}"
      says       = "Polls ${name}"
    } },
    { for name, source in var.sources : "sweep.${name}" => {
      expression = source.sweep_schedule
      input      = "{\"source\":${source.settings},\"sweep\":true}"
      says       = "Sweeps ${name}: finds what was deleted there"
    } if source.sweep_schedule != null },
    { freshness = {
      expression = "rate(1 minute)"
      input      = jsonencode({ freshness = [for name, source in var.sources : { name = name, staleness_budget = source.staleness_budget }] })
      says       = "Reports how stale each source is"
    } },
  )
}

resource "aws_iam_role" "scheduler" {
  # Roles aren't regional: the name says whose it is.
  name               = "${var.name}-${local.region}-scheduler"
  assume_role_policy = local.scheduler_trust_policy
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "invoke-poll"
  role   = aws_iam_role.scheduler.id
  policy = local.scheduler_policy
}

resource "aws_scheduler_schedule" "this" {
  for_each = local.schedules

  name       = each.key
  group_name = aws_scheduler_schedule_group.this.name

  # Names the archive so as to be made after it: Firehose begins at the stream's latest record, and would miss what came before.
  description = "${each.value.says}. Changes are archived by ${var.stream.archive}."

  schedule_expression = each.value.expression
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.poll.arn
    role_arn = aws_iam_role.scheduler.arn
    input    = each.value.input

    # The next run is the retry. 60 seconds is the least that AWS takes; by default it would try 185 times in 24 hours.
    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }
  }

  depends_on = [aws_lambda_invocation.validate, aws_iam_role_policy.scheduler]
}

resource "aws_cloudwatch_metric_alarm" "not_invoked" {
  count = var.alarms ? 1 : 0

  alarm_name        = "${var.name}-schedules-dropped"
  alarm_description = "Schedules can't invoke ${module.poll.function_name}: nothing is polled. Look at the role ${aws_iam_role.scheduler.name} and at the account's quota of concurrent executions."

  namespace           = "AWS/Scheduler"
  metric_name         = "InvocationDroppedCount"
  dimensions          = { ScheduleGroup = aws_scheduler_schedule_group.this.name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}
