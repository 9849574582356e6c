# The schedule group of this stack. The trust policy of the scheduler's role and the alarm on dropped invocations both
# name this group.
resource "aws_scheduler_schedule_group" "this" {
  name = var.name
}

locals {
  # The ARNs of the schedule group and the schedules. They are composed here, because the policies of the scheduler's
  # role name them, and the role must exist before the schedules.
  group_arn    = "arn:${local.partition}:scheduler:${local.region}:${local.account_id}:schedule-group/${var.name}"
  schedule_arn = "arn:${local.partition}:scheduler:${local.region}:${local.account_id}:schedule/${var.name}/*"

  scheduler_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "SchedulesInvoke"
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

  scheduler_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "InvokePoll"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = module.poll.alias_arns
      }],
      # EventBridge Scheduler decrypts the input of a schedule with the same role with which it invokes `poll`, so the
      # role needs kms:Decrypt.
      local.keyed ? [{
        Sid       = "DecryptSchedules"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.kms_key_arn]
        Condition = { ArnLike = { "kms:EncryptionContext:aws:scheduler:schedule:arn" = [local.schedule_arn] } }
      }] : [],
    )
  })
}

# Schedule name -> the schedule's expression, input and description. An input only names a source, because everybody
# who may read the schedule can read its input, and because `poll` takes no settings from an event. No source can get
# the schedule name `freshness`, because the schedule names of a source begin with "poll." or "sweep.".
locals {
  # EventBridge Scheduler doesn't retry the invocation for a poll, because the next scheduled run is the retry. (By
  # default, it would retry 185 times within 24 hours.) AWS accepts no maximum event age of less than 60 seconds. A
  # sweep may run only once a day, so the invocation for a sweep is retried for an hour.
  no_retry = { attempts = 0, seconds = 60 }

  schedules = merge(local.poll_schedules, local.sweep_schedules, { freshness = local.freshness_schedule })

  poll_schedules = { for name, source in var.sources : "poll.${name}" => {
    expression  = source.schedule
    input       = jsonencode({ source = name, sweep = false })
    description = "Polls ${name}"
    retries     = local.no_retry
  } }

  sweep_schedules = { for name, source in var.sources : "sweep.${name}" => {
    expression  = source.sweep_schedule
    input       = jsonencode({ source = name, sweep = true })
    description = "Sweeps ${name}: finds what was deleted there"
    retries     = { attempts = 10, seconds = 3600 }
  } if source.sweep_schedule != null }

  freshness_schedule = {
    expression  = "rate(1 minute)"
    description = "Reports how stale each source is"
    retries     = local.no_retry
    input       = jsonencode({ freshness = true })
  }
}

resource "aws_iam_role" "scheduler" {
  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-scheduler"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.scheduler_trust_policy
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

  # The description names the archive of the change stream, so that Terraform creates the archive before the schedules.
  # The archive gets only records that are put after its creation, so it would miss the changes of earlier polls.
  description = "${each.value.description}. Changes are archived by ${var.stream.archive}."

  schedule_expression = each.value.expression
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.poll.arn
    role_arn = aws_iam_role.scheduler.arn
    input    = each.value.input

    retry_policy {
      maximum_retry_attempts       = each.value.retries.attempts
      maximum_event_age_in_seconds = each.value.retries.seconds
    }
  }

  # Terraform turns off Lambda's retries and lets EventBridge Scheduler invoke `poll` before the first schedule exists.
  depends_on = [
    aws_lambda_function_event_invoke_config.poll,
    aws_lambda_function_event_invoke_config.released,
    aws_iam_role_policy.scheduler,
  ]
}
