locals {
  # What Firehose emits while it can't use the stream's customer managed key.
  key_faults = ["KMSKeyAccessDenied", "KMSKeyDisabled", "KMSKeyInvalidState", "KMSKeyNotFound"]

  # Fires if Firehose can't use the key. It then takes no writes, and doesn't deliver what it holds. Firehose emits
  # these metrics only then, so missing data is calm.
  key_alarm = {
    key = {
      name     = "write-log-key"
      severity = "page"
      effect   = "writes get a 503, and accepted writes don't show in reads."
      first    = "aws kms describe-key --key-id ${coalesce(var.kms_key_arn, "none")}"
      description = join(" ", [
        "Firehose can't use the customer managed key of ${module.firehose.name}. Is the key enabled, and do its policy",
        "and the role of the stream still allow kms:GenerateDataKey and kms:Decrypt? Firehose drops a change that it",
        "can't deliver within 24 hours.",
      ])

      expression = {
        id    = "refused"
        label = "Refused uses of the key"
        text  = join(" + ", [for fault in local.key_faults : lower(fault)])
        metrics = { for fault in local.key_faults : lower(fault) => {
          namespace   = "AWS/Firehose"
          metric_name = fault
          dimensions  = { DeliveryStreamName = module.firehose.name }
          statistic   = "Sum"
        } }
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 2 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }
}

module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions

  alarms = merge({ for key, alarm in local.key_alarm : key => alarm if var.has_key }, {
    # Fires if Firehose can't deliver accepted changes to S3 in time. If S3 refuses records, Firehose keeps them for 24
    # hours and then drops them. The alarm fires early enough to leave nearly all of that time for the repair.
    #
    # Firehose emits the age only while it holds records, so missing data is calm. If Firehose takes no records at all,
    # the alarm writes-unconfirmed fires (module region).
    delivery_freshness = {
      name     = "write-log-delivery-freshness"
      severity = "page"
      effect   = "their accepted writes don't show in reads."
      first    = "aws logs tail ${module.firehose.log_group} --since 1h"
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

    # Fires if Firehose takes more records a second than its quota allows. `write` retries, and responds 503 if the
    # third attempt fails too. So this alarm fires before many clients see an error. Firehose emits the metric only for
    # a throttled record, so missing data is calm.
    throttled = {
      name     = "write-log-throttled"
      severity = "page"
      effect   = "writes are slower, and some get a 503."
      first    = "aws logs tail /aws/lambda/${var.name}-write --since 1h --filter-pattern write_not_confirmed"
      description = join(" ", [
        "Firehose throttles accepted changes. Compare IncomingRecords and IncomingBytes of ${module.firehose.name}",
        "with the account's quotas in this Region (docs/deploy.md), and raise the quota or lower the throttle of the",
        "API.",
      ])

      metric = {
        namespace   = "AWS/Firehose"
        metric_name = "ThrottledRecords"
        dimensions  = { DeliveryStreamName = module.firehose.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 3 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires as soon as there is a dead letter. SQS emits no metrics of a queue that nobody has used for six hours, and a
    # dead letter may wait longer. So missing data keeps the alarm's state: it stays on until the queue is empty. After
    # a redrive SQS emits the metric again.
    dead_letters = {
      name     = "apply-dead-letters"
      severity = "ticket"
      effect   = "some accepted writes don't show in reads."
      first    = "ops/readplane dead-letters list"
      description = join(" ", [
        "Write-log objects became dead letters, because apply failed on each of them 30 times. Look for object_failed",
        "in /aws/lambda/${var.name}-apply and remove the cause. Then run ops/readplane dead-letters redrive, within 14",
        "days.",
      ])

      metric = {
        namespace   = "AWS/SQS"
        metric_name = "ApproximateNumberOfMessagesVisible"
        dimensions  = { QueueName = aws_sqs_queue.dead_letters.name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 0
      missing_data = "ignore"
    }

    # Fires if nothing receives the messages of the apply queue, or if more messages arrive than `apply` can handle.
    # After 15 minutes the status of the waiting changes turns from pending to unknown (module region). The age of a
    # message doesn't include Firehose's buffering, because S3 sends the message only when the object exists.
    #
    # This alarm doesn't show an object that `apply` receives but can't apply, because SQS leaves a message out of this
    # metric once it has been received three times. The alarm `records_lost` shows such an object within about an hour,
    # long before it becomes a dead letter.
    #
    # SQS emits the age as long as the queue holds a message, so missing data means an empty queue.
    apply_behind = {
      name     = "apply-behind"
      severity = "page"
      effect   = "their accepted writes show in reads late."
      first    = "ops/readplane status"
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
    # If SQS delivers the notification of an object twice, `apply` still counts the object's records once, so a repeated
    # object hides no lost one.
    #
    # CloudWatch treats a missing value as 0 in a difference. So the alarm fires if `apply` has handled nothing at all.
    # Without delivered records, nothing can be lost, so missing data is calm. `turn` counts the periods. It comes from
    # a metric, because CloudWatch accepts no series without one.
    records_lost = {
      name     = "write-log-records-lost"
      severity = "page"
      effect   = "some accepted writes may never show in reads."
      first    = "aws logs tail /aws/lambda/${var.name}-apply --since 1h --filter-pattern object_failed"
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
          missing = "FILL(delivered, 0) - handled"
          turn    = "RUNNING_SUM(FILL(delivered, 0) * 0 + 1)"
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
  })
}
