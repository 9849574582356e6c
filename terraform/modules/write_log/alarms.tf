module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions

  alarms = {
    # Fires if Firehose can't deliver accepted changes to S3 in time. If S3 refuses records, Firehose keeps them for 24
    # hours and then drops them. The alarm fires early enough to leave nearly all of that time for the repair.
    delivery_freshness = {
      name = "write-log-delivery-freshness"
      description = join(" ", [
        "Firehose doesn't deliver accepted changes to S3 in time. Look for the reason in ${module.firehose.log_group}.",
        "Firehose drops a change that it can't deliver within 24 hours.",
      ])

      metric = {
        namespace   = "AWS/Firehose"
        metric_name = "DeliveryToS3.DataFreshness"
        dimensions  = { DeliveryStreamName = module.firehose.name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 1 }
      threshold    = var.freshness_alarm_seconds
      missing_data = "notBreaching"
    }

    dead_letters = {
      name = "apply-dead-letters"
      description = join(" ", [
        "Write-log objects became dead letters, because apply failed on each of them 30 times.",
        "Look for object_failed in /aws/lambda/${var.name}-apply and remove the cause.",
        "Then run ops/readplane dead-letters redrive, within 14 days.",
      ])

      metric = {
        namespace   = "AWS/SQS"
        metric_name = "ApproximateNumberOfMessagesVisible"
        dimensions  = { QueueName = aws_sqs_queue.dead_letters.name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if nothing receives the messages of the apply queue, or if more messages arrive than `apply` can handle.
    # After 15 minutes the status of the waiting changes turns from pending to unknown (module region). The age of a
    # message doesn't include Firehose's buffering, because S3 sends the message only when the object exists.
    #
    # This alarm doesn't show an object that `apply` receives but can't apply, because SQS leaves a message out of this
    # metric once it has been received three times. The alarm `records_lost` shows such an object within about an hour,
    # long before it becomes a dead letter.
    apply_behind = {
      name = "apply-behind"
      description = join(" ", [
        "Write-log objects have waited for apply for more than 15 minutes. Check whether its event source mapping is",
        "disabled, whether Lambda throttles it, and whether write_log.apply_concurrency is too low for the load.",
      ])

      metric = {
        namespace   = "AWS/SQS"
        metric_name = "ApproximateAgeOfOldestMessage"
        dimensions  = { QueueName = aws_sqs_queue.apply.name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 3 }
      threshold    = 900
      missing_data = "notBreaching"
    }

    # Fires if a notification from S3 was lost, that is, if S3 holds a write-log object that `apply` never saw. To
    # repair this, replay the hours in question. A replay does no harm, because applying is idempotent.
    #
    # The alarm compares the records that Firehose delivered with the metric RecordsHandled. `apply` timestamps that
    # metric with the minute in which the object was created. So both metrics count a record in the same period, however
    # late `apply` handles it. A lost record keeps the running difference above zero in every later period. A record on
    # its way to `apply` shows only in the newest period, so the alarm requires four breaching periods.
    #
    # The clocks of the two metrics differ a little. So near the boundary of two periods, the metrics may count the same
    # object in different periods. If the alarm's window starts at that boundary, the running difference is wrong in
    # every period of the window. So the alarm uses the smallest of three running differences, which start one period
    # after another.
    #
    # If SQS delivers the notification of an object twice, `apply` counts the object's records twice as handled. That
    # can hide the loss of as many records in the same six hours.
    records_lost = {
      name = "write-log-records-lost"
      description = join(" ", [
        "Apply has handled fewer records than Firehose delivered to the write log: S3 lost a notification, or apply is",
        "an hour behind. Look for object_failed in /aws/lambda/${var.name}-apply. If there is none, replay the hours",
        "in question.",
      ])

      expression = {
        id    = "lost"
        label = "Records delivered but not handled"
        text  = "MIN([sum0, sum1, sum2])"

        steps = {
          missing = "FILL(delivered, 0) - FILL(handled, 0)"
          turn    = "RUNNING_SUM(TIME_SERIES(1))"
          sum0    = "RUNNING_SUM(missing)"
          sum1    = "RUNNING_SUM(IF(turn > 1, missing, 0))"
          sum2    = "RUNNING_SUM(IF(turn > 2, missing, 0))"
        }

        metrics = {
          delivered = {
            namespace   = "AWS/Firehose"
            metric_name = "DeliveryToS3.Records"
            dimensions  = { DeliveryStreamName = module.firehose.name }
            statistic   = "Sum"
          }
          handled = {
            namespace   = "Readplane"
            metric_name = "RecordsHandled"
            dimensions  = { Stack = var.name }
            statistic   = "Sum"
          }
        }
      }

      periods      = { seconds = 900, evaluated = 24, breaching = 4 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }
}
