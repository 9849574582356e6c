# The alarms on invocations of `poll` that are lost. Module monitoring has the alarms on each source.
locals {
  # What an operator adds to the command `sources`, which works in the primary Region without it. Only a stack that
  # polls in two Regions has `poll` in the replica Region.
  replica_option = coalesce(var.first_region, local.region) == local.region ? "" : " --replica"
}

module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions

  alarms = {
    # Fires if EventBridge Scheduler can't hand events to Lambda. EventBridge Scheduler emits the metric only for a
    # dropped event, so missing data is calm. If the schedules themselves stop, the alarms on staleness fire, because
    # nobody measures the staleness then.
    not_invoked = {
      name     = "schedules-dropped"
      severity = "ticket"
      effect   = "none, until the data is older than its budget and stale-<source> fires."
      first    = "ops/readplane sources list${local.replica_option}"
      description = join(" ", [
        "Schedules can't invoke ${module.poll.function_name}, so no source is polled. Look at the role",
        "${aws_iam_role.scheduler.name} and at the account's quota of concurrent executions.",
      ])

      metric = {
        namespace   = "AWS/Scheduler"
        metric_name = "InvocationDroppedCount"
        dimensions  = { ScheduleGroup = aws_scheduler_schedule_group.this.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 3 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if Lambda drops a single event, because the event may be a sweep. A sweep runs perhaps once a day, and
    # nothing repeats it before the next day. Lambda drops an event that waits for `poll` for longer than a minute, and
    # an event whose invocation fails. Lambda emits the metric only for a dropped event, so missing data is calm.
    events_dropped = {
      name     = "polls-dropped"
      severity = "ticket"
      effect   = "none, until the data is older than its budget and stale-<source> fires."
      first    = "ops/readplane sources list${local.replica_option}"
      description = join(" ", [
        "Lambda dropped an event of ${module.poll.function_name}, because it couldn't start the function within a",
        "minute or because the function failed. The next schedule polls again. If it was a sweep, run ops/readplane",
        "sources run NAME --sweep${local.replica_option}. Look at the function's throttles, its concurrency and its",
        "log.",
      ])

      metric = {
        namespace   = "AWS/Lambda"
        metric_name = "AsyncEventsDropped"
        dimensions  = { FunctionName = module.poll.function_name }
        statistic   = "Sum"
      }

      periods      = { seconds = 300, evaluated = 1 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }
}
