# The alarms on the replication between the Regions. The other Region has the same alarms.
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
      name     = "replication-behind"
      severity = "page"
      effect   = "reads in this Region are old."
      first    = "ops/readplane status"
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

    # Fires if `publish` repairs more than one item in twenty. A global table keeps the write with the latest time, and
    # `publish` repairs an item if that isn't the newest change. So a few repairs are normal. Many of them mean that the
    # clocks of the Regions differ, or that clients of both Regions write the same items. `publish` emits the metrics
    # only with its work, so missing data is calm. If it doesn't work, publish-stopped fires.
    mends_flood = {
      name     = "mends-flood"
      severity = "ticket"
      effect   = "they read an old version of some items for seconds."
      first    = "aws logs tail /aws/lambda/${var.name}-publish --since 1h --filter-pattern regression_mended"
      description = join(" ", [
        "Replication puts older versions of many items over newer ones, and publish repairs them. Do clients of both",
        "Regions write the same items? Otherwise the clocks of the Regions differ: compare the time of the heartbeats",
        "(metric ReplicationLag) in both Regions.",
      ])

      expression = {
        id    = "flood"
        label = "Many repairs"
        text  = "IF(mended >= 20 AND mended > 0.05 * published, 1, 0)"

        metrics = {
          mended = {
            namespace   = "Readplane"
            metric_name = "RegressionsMended"
            dimensions  = { Stack = var.name }
            statistic   = "Sum"
          }
          published = {
            namespace   = "Readplane"
            metric_name = "DocumentsPublished"
            dimensions  = { Stack = var.name }
            statistic   = "Sum"
          }
        }
      }

      periods      = { seconds = 300, evaluated = 6, breaching = 3 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }
}
