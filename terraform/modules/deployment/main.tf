# AWS CodeDeploy for the functions of one Region. CodeDeploy moves the alias that clients call to a new version: first
# for a share of the calls, then for all. If an alarm fires meanwhile, it moves the alias back.
#
# The AWS provider has no resource for a deployment. `ops/readplane deploy` starts and watches the deployments
# (ops/cli/deploy.py). AWS bills nothing for deployments of Lambda functions.
data "aws_partition" "current" {}

resource "aws_codedeploy_app" "this" {
  name             = var.name
  compute_platform = "Lambda"
}

# CodeDeploy can't change a configuration, so its name says what it is. With another share, Terraform creates the new
# configuration before it deletes the old one, because the groups use the old one until then.
resource "aws_codedeploy_deployment_config" "this" {
  deployment_config_name = "${var.name}-${var.canary.percent}-percent-for-${var.canary.minutes}-minutes"
  compute_platform       = "Lambda"

  traffic_routing_config {
    type = "TimeBasedCanary"

    time_based_canary {
      percentage = var.canary.percent
      interval   = var.canary.minutes
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  # Function -> the alarms that see more of what this function does wrong. `apply` puts in quarantine what it can't
  # apply, and doesn't fail.
  stage_alarms = {
    apply        = ["quarantine", "apply-behind"]
    apply-stream = ["quarantine"]
    publish      = ["publish-behind"]
  }

  # CodeDeploy takes at most ten alarms for each function.
  alarms = { for key in keys(var.functions) : key => [
    for alarm in concat(["${key}-errors"], var.client_alarms, lookup(local.stage_alarms, key, [])) :
    "${var.name}-${alarm}"
  ] }

  # The parts of a function's ARN: arn, partition, lambda, Region, account, function, name.
  parts      = split(":", values(var.functions)[0].arn)
  partition  = local.parts[1]
  region     = local.parts[3]
  account_id = local.parts[4]

  # In the partitions of China, the name of the service contains the Region.
  principals = { aws-cn = "codedeploy.${local.region}.${data.aws_partition.current.dns_suffix}" }
  principal  = lookup(local.principals, local.partition, "codedeploy.amazonaws.com")
  groups_arn = join(":", [
    "arn", local.partition, "codedeploy", local.region, local.account_id, "deploymentgroup", "${var.name}/*",
  ])

  trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CodeDeployShifts"
      Effect    = "Allow"
      Principal = { Service = local.principal }
      Action    = ["sts:AssumeRole"]
      # CodeDeploy acts for every AWS account, so the condition admits only the groups of this stack.
      # https://docs.aws.amazon.com/codedeploy/latest/userguide/security_confused_deputy.html
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = local.groups_arn }
      }
    }]
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "MoveAliases"
        Effect   = "Allow"
        Action   = ["lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"]
        Resource = flatten([for function in values(var.functions) : [function.arn, "${function.arn}:${var.alias}"]])
      },
      {
        # CloudWatch lists alarms, so the statement can't name those of the stack.
        Sid      = "ReadAlarms"
        Effect   = "Allow"
        Action   = ["cloudwatch:DescribeAlarms"]
        Resource = ["*"]
      },
    ]
  })
}

resource "aws_iam_role" "this" {
  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-deploy"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.trust_policy
}

resource "aws_iam_role_policy" "this" {
  name   = "shift-clients"
  role   = aws_iam_role.this.id
  policy = local.policy
}

resource "aws_codedeploy_deployment_group" "this" {
  for_each = var.functions

  app_name               = aws_codedeploy_app.this.name
  deployment_group_name  = each.key
  deployment_config_name = aws_codedeploy_deployment_config.this.id
  service_role_arn       = aws_iam_role.this.arn

  # The only style that CodeDeploy has for functions.
  deployment_style {
    deployment_type   = "BLUE_GREEN"
    deployment_option = "WITH_TRAFFIC_CONTROL"
  }

  auto_rollback_configuration {
    enabled = true
    events  = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"]
  }

  # If CodeDeploy can't read the alarms, it rolls back too.
  alarm_configuration {
    enabled                   = true
    alarms                    = local.alarms[each.key]
    ignore_poll_alarm_failure = false
  }

  depends_on = [aws_iam_role_policy.this]
}
