# The alarms on a function. They are tickets, because the alarms on the API, on the queues and on the streams page when
# clients notice.
locals {
  # Function -> what clients notice while it fails.
  effects = merge(
    { for function in ["read", "write", "query", "backend_auth"] : function => (
      "some requests fail. The alarm clients fires if they are many."
    ) },
    { poll = "none, until the data is older than its budget and stale-<source> fires." },
  )
  effect = lookup(local.effects, var.function, "they read changes late. Nothing is lost.")

  first = "aws logs tail ${aws_cloudwatch_log_group.this.name} --since 1h --filter-pattern ERROR"
}

module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions

  # Lambda emits these metrics only when somebody invokes the function, so missing data means that nobody did. For the
  # functions that read a stream or a queue, other alarms fire if nobody invokes them any more: `publish_stopped`,
  # `apply_stopped` and `apply_behind`. For `poll` it is the staleness of its sources.
  alarms = merge(var.function == "poll" ? {} : local.slow_alarm, {
    errors = {
      name        = "${var.function}-errors"
      severity    = "ticket"
      effect      = local.effect
      first       = local.first
      runbook     = "function-errors"
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
      name     = "${var.function}-throttles"
      severity = "ticket"
      effect   = local.effect
      first    = "ops/readplane status"
      runbook  = "function-throttles"
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
  })
}

locals {
  # Fires before Lambda stops executions at their timeout. `poll` has no such alarm, because a pass over a large back
  # office uses its whole time, and goes on in the next run.
  slow_alarm = {
    slow = {
      name     = "${var.function}-slow"
      severity = "ticket"
      effect   = local.effect
      first    = "ops/readplane status"
      runbook  = "function-slow"
      description = join(" ", [
        "Executions of ${local.function_name} take more than 80 % of their timeout of ${var.timeout_seconds} seconds.",
        "Lambda stops an execution at its timeout. Look for slow calls in its log, and for throttles of what it calls.",
        "More memory also means more CPU.",
      ])

      metric = {
        namespace   = "AWS/Lambda"
        metric_name = "Duration"
        dimensions  = { FunctionName = local.function_name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 3 }
      threshold    = 800 * var.timeout_seconds
      missing_data = "notBreaching"
    }
  }
}
