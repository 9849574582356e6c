module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions

  # Lambda emits both metrics only when somebody invokes the function, so missing data means that nobody did. For the
  # functions that read a stream or a queue, other alarms fire if nobody invokes them any more: `publish_stopped`,
  # `apply_stopped` and `apply_behind`. For `poll` it is the staleness of its sources.
  alarms = {
    errors = {
      name        = "${var.function}-errors"
      description = "${local.function_name} fails. Look for the reason in ${aws_cloudwatch_log_group.this.name}."

      metric = {
        namespace   = "AWS/Lambda"
        metric_name = "Errors"
        dimensions  = { FunctionName = local.function_name }
        statistic   = "Sum"
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 2 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    throttles = {
      name = "${var.function}-throttles"
      description = join(" ", [
        "Lambda throttles ${local.function_name}. Compare the metric ConcurrentExecutions with the function's reserved",
        "concurrency and the account's quota, and raise the one that the function has reached.",
      ])

      metric = {
        namespace   = "AWS/Lambda"
        metric_name = "Throttles"
        dimensions  = { FunctionName = local.function_name }
        statistic   = "Sum"
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 3 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }
}
