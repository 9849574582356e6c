# The switch by which an operator leads clients away from the API of another Region. It is in the Region that goes on,
# so it works while the other Region doesn't. It changes no resource: the operator sends one value of a metric. This is
# AWS's pattern:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/dns-failover.html
data "aws_region" "current" {}

locals {
  metric = {
    namespace  = "Readplane/Operator"
    name       = "LeaveRegion"
    dimensions = { Stack = var.name, Region = var.leaves }
  }

  dimensions = join(",", [for key in ["Stack", "Region"] : "${key}=${local.metric.dimensions[key]}"])
  command = join(" ", [
    "aws cloudwatch put-metric-data --region ${data.aws_region.current.name} --namespace ${local.metric.namespace}",
    "--metric-name ${local.metric.name} --dimensions ${local.dimensions} --unit Count --value",
  ])
}

# Route 53 takes metrics of standard resolution, and these statistics only: Average, Minimum, Maximum, Sum, SampleCount.
# https://docs.aws.amazon.com/Route53/latest/APIReference/API_AlarmIdentifier.html
resource "aws_cloudwatch_metric_alarm" "this" {
  alarm_name = "${var.name}-leave-${var.leaves}"
  alarm_description = join("\n", [
    "An operator leads clients away from ${var.leaves}. To lead them back, run the first command.",
    "Clients: Route 53 leads none to the API in ${var.leaves}.",
    "Region: ${data.aws_region.current.name}",
    "First: ${local.command} 0",
    "Runbook: docs/runbooks/leave.md",
  ])

  namespace   = local.metric.namespace
  metric_name = local.metric.name
  dimensions  = local.metric.dimensions
  statistic   = "Maximum"
  period      = 60

  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "ignore" # the switch stays as the operator left it

  alarm_actions = var.alarm_actions.page
  ok_actions    = var.alarm_actions.page
}
