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
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = var.alarms

  alarm_name        = "${var.name}-${each.value.name}"
  alarm_description = each.value.description

  # CloudWatch refuses these attributes for an alarm with an expression. In such an alarm, each metric has them itself.
  namespace   = one(each.value.metric[*].namespace)
  metric_name = one(each.value.metric[*].metric_name)
  dimensions  = one(each.value.metric[*].dimensions)
  statistic   = one(each.value.metric[*].statistic)
  period      = each.value.metric == null ? null : each.value.periods.seconds

  evaluation_periods  = each.value.periods.evaluated
  datapoints_to_alarm = each.value.periods.breaching
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing_data
  alarm_actions       = var.actions
  ok_actions          = var.actions

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
}
