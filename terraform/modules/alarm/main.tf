# CloudWatch metric alarms. The stack creates all its alarms with this module.
#
# A call creates a map of alarms instead of a single alarm, because each source has alarms of its own. In older stacks,
# these alarms are outside this module. A `moved` block can't name each source's alarm, because it takes no variables.
# But it can move a whole resource, with all its keys, into this module.

locals {
  # The longest time over which CloudWatch evaluates an alarm, in seconds. It is a week if a period lasts an hour or
  # more, and otherwise a day.
  day  = 86400
  week = 604800

  # CloudWatch takes these statistics in another attribute than percentiles, such as p99.
  statistics = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]

  # Key of each alarm -> the namespaces of its metrics.
  namespaces = { for key, alarm in var.alarms : key => concat(
    alarm.metric[*].namespace, try(values(alarm.expression.metrics)[*].namespace, []),
  ) }

  # Key of each alarm -> the statistic of its metric, which is null in an alarm with an expression; and whether this
  # statistic is a percentile.
  watched_statistics = { for key, alarm in var.alarms : key => one(alarm.metric[*].statistic) }
  percentiles = {
    for key, statistic in local.watched_statistics : key => !contains(local.statistics, coalesce(statistic, "Sum"))
  }
}

data "aws_region" "current" {}

locals {
  region = data.aws_region.current.name

  # Key of each alarm -> its first command. Both Regions have functions, queues and streams of the same names, so a
  # command of the AWS CLI in the wrong Region would succeed and show what isn't wrong.
  first = { for key, alarm in var.alarms : key => join(" ", concat(
    [alarm.first], startswith(alarm.first, "aws ") ? ["--region", local.region] : [],
  )) }

  # Key of each alarm -> what a notification says. The text ends with what to do first, so that it needs no other page.
  descriptions = { for key, alarm in var.alarms : key => join("\n", [
    alarm.description,
    "Clients: ${alarm.effect}",
    "Region: ${local.region}",
    "First: ${local.first[key]}",
    "Runbook: docs/runbooks/${coalesce(alarm.runbook, alarm.name)}.md",
  ]) }

  # Key of each alarm -> the topics that it notifies. The composite alarm notifies them for its parts.
  actions = { for key, alarm in var.alarms : key => (
    contains(var.parts_of_composite, alarm.name) ? [] : var.actions[alarm.severity]
  ) }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = var.alarms

  alarm_name        = "${var.name}-${each.value.name}"
  alarm_description = local.descriptions[each.key]

  # CloudWatch refuses these attributes for an alarm with an expression. In such an alarm, each metric has them itself.
  namespace   = one(each.value.metric[*].namespace)
  metric_name = one(each.value.metric[*].metric_name)
  dimensions  = one(each.value.metric[*].dimensions)
  period      = each.value.metric == null ? null : each.value.periods.seconds

  statistic          = local.percentiles[each.key] ? null : local.watched_statistics[each.key]
  extended_statistic = local.percentiles[each.key] ? local.watched_statistics[each.key] : null

  evaluation_periods  = each.value.periods.evaluated
  datapoints_to_alarm = each.value.periods.breaching
  comparison_operator = each.value.fires_below ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing_data
  alarm_actions       = local.actions[each.key]
  ok_actions          = each.value.notifies_ok ? local.actions[each.key] : []

  dynamic "metric_query" {
    for_each = each.value.expression[*]

    content {
      id          = metric_query.value.id
      label       = metric_query.value.label
      expression  = metric_query.value.text
      return_data = true
    }
  }

  dynamic "metric_query" {
    for_each = try(each.value.expression.steps, {})

    content {
      id         = metric_query.key
      expression = metric_query.value
    }
  }

  dynamic "metric_query" {
    for_each = try(each.value.expression.metrics, {})

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric_name
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.statistic
        period      = each.value.periods.seconds
      }
    }
  }

  lifecycle {
    # CloudWatch refuses a longer text.
    precondition {
      condition     = length(local.descriptions[each.key]) <= 1024
      error_message = "Shorten the texts of the alarm ${each.value.name}: together they may have 1,024 characters."
    }

    # "Alarms that evaluate metrics in the AWS/DynamoDB namespace always ignore missing data even if you choose a
    # different option": https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    precondition {
      condition     = !contains(local.namespaces[each.key], "AWS/DynamoDB") || each.value.missing_data == "ignore"
      error_message = <<-EOT
        Set missing_data of the alarm ${each.value.name} to ignore: CloudWatch ignores missing data of DynamoDB. Compute
        the alarm from FILL(metric, 0), or else it stays on when DynamoDB emits nothing any more.
      EOT
    }
  }
}
