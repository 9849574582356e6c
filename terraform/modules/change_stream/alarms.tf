module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions

  alarms = {
    apply_behind = {
      name = "changes-behind"
      description = join(" ", [
        "Changes of back offices have waited for apply for more than a minute. Check whether apply fails, whether",
        "Lambda throttles it, and whether change_stream.shards or parallelization_factor is too low. After six hours",
        "Lambda stops retrying a change and puts it under aws/lambda/ in the write-log bucket.",
      ])

      # The change stream is the only stream that `apply` reads. So the metric IteratorAge of `apply` is the age of the
      # records in the change stream.
      metric = {
        namespace   = "AWS/Lambda"
        metric_name = "IteratorAge"
        dimensions  = { FunctionName = var.apply.function_name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 3 }
      threshold    = 60000
      missing_data = "notBreaching"
    }

    # Fires if Firehose can't archive changes in S3 in time. Firehose retries for 24 hours, and the change stream keeps
    # a record for at least as long. The alarm fires early enough to leave nearly all of the 24 hours for the repair.
    archive_freshness = {
      name = "changes-archive-freshness"
      description = join(" ", [
        "Firehose doesn't archive changes of back offices in S3 in time. Look for the reason in",
        "${module.archive.log_group}. The archive never gets a change that Firehose can't write within 24 hours.",
      ])

      metric = {
        namespace   = "AWS/Firehose"
        metric_name = "DeliveryToS3.DataFreshness"
        dimensions  = { DeliveryStreamName = module.archive.name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 1 }
      threshold    = var.freshness_alarm_seconds
      missing_data = "notBreaching"
    }
  }
}
