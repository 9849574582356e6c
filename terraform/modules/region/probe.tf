# The probe: a function that calls the API every minute under the name that clients use. Without it, a Region whose API
# nobody can reach would be silent, because API Gateway emits nothing without requests.
locals {
  # A document that everybody may read: the one that the stack's settings name, which always exists, or the freshness of
  # a source, which is missing until the first poll. Without either, the probe requests /health only.
  probed_sources = [for name in keys(var.sources) : name if local.source_visibility[name] == "public"]
  probed_path    = try(coalesce(var.probe.path), "/documents/sources/${local.probed_sources[0]}", null)
  may_be_missing = try(var.probe.path == null, false)
  has_probe      = var.probe != null && var.alarms

  # Name of each request -> its URL, and whether 404 passes too. The edge serves documents under their path alone.
  probe_requests = local.has_probe ? merge(
    { health = { url = "${var.probe.api_url}/health", may_be_missing = false } },
    local.probed_path == null ? {} : {
      document = { url = "${var.probe.api_url}${local.probed_path}", may_be_missing = local.may_be_missing }
    },
    local.probes_edge ? {
      edge = { url = "${var.probe.edge_url}${local.probed_path}", may_be_missing = local.may_be_missing }
    } : {},
  ) : {}

  probes_edge = try(var.probe.has_edge, false) && startswith(coalesce(local.probed_path, "/"), "/documents/")

  # A stack's name holds no underscore, so no other stack has a schedule group of this name.
  probe_group = "${var.name}_probe"
  probe_group_arn = join(":", [
    "arn", local.partition, "scheduler", local.region, local.account_id, "schedule-group/${local.probe_group}",
  ])
  probe_schedule_arns = join(":", [
    "arn", local.partition, "scheduler", local.region, local.account_id, "schedule/${local.probe_group}/*",
  ])

  probe_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "SchedulesInvoke"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      # EventBridge Scheduler acts for every AWS account, so the condition admits only the schedules of this group.
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnEquals    = { "aws:SourceArn" = local.probe_group_arn }
      }
    }]
  })

  probe_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "CallProbe"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = module.probe[*].arn
      }],
      # EventBridge Scheduler decrypts a schedule with the same role with which it calls the function.
      var.kms_key_arn == null ? [] : [{
        Sid       = "DecryptSchedules"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.kms_key_arn]
        Condition = { ArnLike = { "kms:EncryptionContext:aws:scheduler:schedule:arn" = [local.probe_schedule_arns] } }
      }],
    )
  })
}

module "probe" {
  source = "../function"
  count  = local.has_probe ? 1 : 0

  name     = var.name
  function = "probe"
  settings = jsonencode({ name = var.name, requests = local.probe_requests })
  code = {
    zip          = var.code.functions_zip
    s3           = local.function_objects["publish"] # the same zip
    architecture = var.code.architecture
    layers       = []
  }
  republish = var.republish
  release   = null # no client calls the probe, so a new version needs no canary

  # A run waits for three responses, each for up to six seconds.
  memory_mb            = 256
  timeout_seconds      = 20
  reserved_concurrency = null
  snap_start           = false
  statements           = []

  kms_key_arn        = var.kms_key_arn
  roles              = var.roles
  log_retention_days = var.log_retention_days
  alarms             = var.alarms
  alarm_actions      = var.alarm_actions
}

# A run that Lambda can't start within a minute is of no use any more, and the next run replaces one that failed.
resource "aws_lambda_function_event_invoke_config" "probe" {
  count = local.has_probe ? 1 : 0

  function_name                = module.probe[0].function_name
  qualifier                    = module.probe[0].qualifier
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

resource "aws_iam_role" "probe" {
  count = local.has_probe ? 1 : 0

  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-probe-schedule"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.probe_trust_policy
}

resource "aws_iam_role_policy" "probe" {
  count = local.has_probe ? 1 : 0

  name   = "call-probe"
  role   = aws_iam_role.probe[0].id
  policy = local.probe_policy
}

resource "aws_scheduler_schedule_group" "probe" {
  count = local.has_probe ? 1 : 0
  name  = local.probe_group
}

resource "aws_scheduler_schedule" "probe" {
  count = local.has_probe ? 1 : 0

  name                = "probe"
  group_name          = aws_scheduler_schedule_group.probe[0].name
  description         = "Calls the API as a client does."
  schedule_expression = "rate(1 minute)"
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.probe[0].arn
    role_arn = aws_iam_role.probe[0].arn
    input    = jsonencode({})

    # The next run replaces one that EventBridge Scheduler couldn't hand over.
    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }
  }

  depends_on = [aws_iam_role_policy.probe]
}
