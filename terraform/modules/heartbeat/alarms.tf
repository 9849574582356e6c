# The alarm on the heartbeats that arrive in this Region. The other Region has the same alarm on this Region's
# heartbeats.
module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions

  alarms = {
    # Fires if the newest row that arrives is older than five minutes, or if none arrives. Missing data counts as
    # breaching, so the alarm needs no second one. A new stack's alarm fires until the first heartbeats arrive, a few
    # minutes after the apply. EventBridge Scheduler may run a schedule up to a minute late, which counts as lag.
    replication = {
      name = "replication-behind"
      description = join(" ", [
        "Writes of ${var.other_region} don't reach this Region within five minutes, so its reads are old. Check",
        "whether publish runs here (alarms publish-stopped and publish-errors), whether the schedule heartbeat runs in",
        "${var.other_region}, and the state of the table's replica. Both Regions keep their writes until then.",
      ])

      metric = {
        namespace   = "Readplane"
        metric_name = "ReplicationLag"
        dimensions  = { Stack = var.name }
        statistic   = "Minimum"
      }

      periods      = { seconds = 60, evaluated = 10, breaching = 5 }
      threshold    = 300
      missing_data = "breaching"
    }
  }
}
