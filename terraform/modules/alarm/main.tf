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

  # Key of each alarm -> the statistic of its metric, which is null in an alarm with an expression; and whether this
  # statistic is a percentile.
  watched_statistics = { for key, alarm in var.alarms : key => one(alarm.metric[*].statistic) }
  percentiles = {
    for key, statistic in local.watched_statistics : key => !contains(local.statistics, coalesce(statistic, "Sum"))
  }
}

locals {
  # Key of each alarm -> what a notification says. The text ends with what to do first, so that it needs no other page.
  descriptions = { for key, alarm in var.alarms : key => join("\n", [
    alarm.description,
    "Clients: ${alarm.effect}",
    "First: ${alarm.first}",
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

  # CloudWatch refuses a longer text.
  lifecycle {
    precondition {
      condition     = length(local.descriptions[each.key]) <= 1024
      error_message = "Shorten the texts of the alarm ${each.value.name}: together they may have 1,024 characters."
    }
  }
}
