# The alarms on the change stream, on its two readers (`apply-stream` and the archive), and on what they couldn't read
# in time.
locals {
  mapping = { EventSourceMappingUUID = aws_lambda_event_source_mapping.apply.uuid }
}

module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions

  alarms = {
    # Lambda emits the metric only when it invokes the function. So the alarm goes silent with a mapping that can't run,
    # and `apply_stopped` fires instead.
    apply_behind = {
      name     = "changes-behind"
      severity = "page"
      effect   = "they read old items of the collections with sources."
      first    = "ops/readplane status"
      description = join(" ", [
        "Changes of back offices have waited for apply-stream for more than a minute. Check whether it fails, whether",
        "Lambda throttles it, and whether change_stream.shards or parallelization_factor is too low. After six hours",
        "Lambda stops retrying a change and puts it under aws/lambda/ in the write-log bucket.",
      ])

      # The change stream is the only stream that the function reads. So its metric IteratorAge is the age of the
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

    # Fires if the event source mapping doesn't poll the change stream: if it is disabled, or if it can't read the
    # stream. A mapping that polls an idle stream emits zeros. So only missing data can fire this alarm.
    apply_stopped = {
      name     = "changes-stopped"
      severity = "page"
      effect   = "they read old items of the collections with sources."
      first    = "ops/readplane status"
      description = join(" ", [
        "Nothing reads the change stream for apply-stream, so changes of back offices don't reach the items. Look at",
        "the state of the event source mapping of ${var.apply.function_name}, and at the policy of the function's",
        "role. The stream keeps a change for ${var.stream.retention_hours} hours.",
      ])

      metric = {
        namespace   = "AWS/Lambda"
        metric_name = "PolledEventCount"
        dimensions  = local.mapping
        statistic   = "SampleCount"
      }

      periods      = { seconds = 300, evaluated = 3 }
      threshold    = 1
      fires_below  = true
      missing_data = "breaching"
    }

    # Fires if Lambda gives up a batch of the change stream. A batch that Lambda stores in S3 counts as delivered to the
    # destination. A batch that it can't store counts as dropped or as a failed delivery. The alarm stays on for a week,
    # because the batches wait until somebody redrives them. Another batch within this week can't fire it again, but
    # `apply_behind` fires six hours before Lambda gives up a batch.
    #
    # Lambda emits the metrics only for such a batch, so missing data is calm.
    apply_set_aside = {
      name     = "changes-set-aside"
      severity = "ticket"
      effect   = "they read old versions of some items."
      first    = "ops/readplane dead-letters list"
      description = join(" ", [
        "Lambda gave up a batch of the change stream after six hours, so some items are old. Run ops/readplane",
        "dead-letters list, remove the cause, then run ops/readplane dead-letters redrive. If the list is empty,",
        "Lambda couldn't store the batch: check the role of ${var.apply.function_name}, then reset the sources as the",
        "runbook says.",
      ])

      expression = {
        id    = "given_up"
        label = "Changes that Lambda no longer retries"
        text  = "set_aside + dropped + not_stored"

        metrics = {
          set_aside = {
            namespace   = "AWS/Lambda"
            metric_name = "OnFailureDestinationDeliveredEventCount"
            dimensions  = local.mapping
            statistic   = "Sum"
          }
          dropped = {
            namespace   = "AWS/Lambda"
            metric_name = "DroppedEventCount"
            dimensions  = local.mapping
            statistic   = "Sum"
          }
          not_stored = {
            namespace   = "AWS/Lambda"
            metric_name = "DestinationDeliveryFailures"
            dimensions  = { FunctionName = var.apply.function_name }
            statistic   = "Sum"
          }
        }
      }

      periods      = { seconds = 3600, evaluated = 168, breaching = 1 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if Kinesis throttles `poll` for most of a quarter of an hour. `poll` sends throttled records again, so a
    # short burst does no harm. Kinesis emits the metric with the writes, so missing data means that nobody writes.
    throttled = {
      name     = "changes-throttled"
      severity = "ticket"
      effect   = "they read changes of back offices a little later."
      first    = "ops/readplane status"
      description = join(" ", [
        "Kinesis refuses changes of back offices, because they are more than its shards take. Raise",
        "change_stream.shards, or set change_stream.on_demand.",
      ])

      metric = {
        namespace   = "AWS/Kinesis"
        metric_name = "WriteProvisionedThroughputExceeded"
        dimensions  = { StreamName = aws_kinesis_stream.this.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 10 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if Firehose can't archive changes in S3 in time. Firehose retries for 24 hours, and the change stream keeps
    # a record for at least as long. The alarm fires early enough to leave nearly all of the 24 hours for the repair.
    #
    # Firehose emits the age only of records that it has read. If it can't read the stream, `archive_behind` or
    # `archive_stopped` fires.
    archive_freshness = {
      name     = "changes-archive-freshness"
      severity = "page"
      effect   = "none. Without the archive, the items of sources can't be rebuilt."
      first    = "aws logs tail ${module.archive.log_group} --since 1h"
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

    # Fires if Firehose reads the change stream, but falls behind. Without a read there is no value, and then
    # `archive_stopped` fires.
    archive_behind = {
      name     = "changes-archive-behind"
      severity = "page"
      effect   = "none. Without the archive, the items of sources can't be rebuilt."
      first    = "aws logs tail ${module.archive.log_group} --since 1h"
      description = join(" ", [
        "Firehose reads the change stream too slowly to archive it. Look for throttles of GetRecords: a shard allows",
        "five reads a second for all its readers. The archive never gets a change that Kinesis deletes after",
        "${var.stream.retention_hours} hours.",
      ])

      metric = {
        namespace   = "AWS/Firehose"
        metric_name = "KinesisMillisBehindLatest"
        dimensions  = { DeliveryStreamName = module.archive.name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 10 }
      threshold    = 1000 * var.freshness_alarm_seconds
      missing_data = "notBreaching"
    }

    # Fires if Firehose has read nothing for two hours although changes arrived. It leaves the changes of the newest 45
    # minutes out, and those of the first period, so that a change that is read in the next period doesn't fire it.
    #
    # The alarm needs a change to notice the fault, because AWS doesn't document whether Firehose emits anything about a
    # stream that is idle. CloudWatch treats a missing value as 0 in a sum. Without arrivals there is nothing to
    # archive, so missing data is calm.
    archive_stopped = {
      name     = "changes-archive-stopped"
      severity = "page"
      effect   = "none. Without the archive, the items of sources can't be rebuilt."
      first    = "aws logs tail ${module.archive.log_group} --since 3h"
      description = join(" ", [
        "Firehose reads nothing from the change stream, so changes of back offices aren't archived. Look for the",
        "reason in ${module.archive.log_group}, and at the role and the key of the stream. The archive never gets a",
        "change that Kinesis deletes after ${var.stream.retention_hours} hours.",
      ])

      expression = {
        id    = "unread"
        label = "Changes arrived, but Firehose read none"
        text  = "IF(RUNNING_SUM(IF(turn > 1, arrivals, 0)) > 0 AND RUNNING_SUM(arrivals * 0 + read) == 0, 1, 0)"

        steps = {
          arrivals = "FILL(arrived, 0)"
          turn     = "RUNNING_SUM(arrivals * 0 + 1)"
        }

        metrics = {
          arrived = {
            namespace   = "AWS/Kinesis"
            metric_name = "IncomingRecords"
            dimensions  = { StreamName = aws_kinesis_stream.this.name }
            statistic   = "Sum"
          }
          read = {
            namespace   = "AWS/Firehose"
            metric_name = "DataReadFromKinesisStream.Records"
            dimensions  = { DeliveryStreamName = module.archive.name }
            statistic   = "Sum"
          }
        }
      }

      periods      = { seconds = 900, evaluated = 8, breaching = 3 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }
}
