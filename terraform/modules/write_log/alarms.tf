# Fires if Firehose can't deliver accepted changes to S3 in time. If S3 refuses records, Firehose keeps them for 24
# hours and then drops them. The alarm fires early enough to leave nearly all of that time for the repair.
resource "aws_cloudwatch_metric_alarm" "delivery_freshness" {
  count = var.alarms ? 1 : 0

  alarm_name        = "${var.name}-write-log-delivery-freshness"
  alarm_description = "Accepted changes wait in Firehose. Look for the reason in ${aws_cloudwatch_log_group.firehose.name}: records are lost after 24 hours."

  namespace           = "AWS/Firehose"
  metric_name         = "DeliveryToS3.DataFreshness"
  dimensions          = { DeliveryStreamName = aws_kinesis_firehose_delivery_stream.this.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.freshness_alarm_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  count = var.alarms ? 1 : 0

  alarm_name        = "${var.name}-apply-dead-letters"
  alarm_description = "Write-log objects that could not be applied. Repair the reason, then redrive within 14 days."

  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

# Fires if nothing receives the messages of the apply queue, or if more messages arrive than `apply` can handle. After
# 15 minutes the status of the waiting changes turns from pending to unknown (module region). The age of a message
# doesn't include Firehose's buffering, because S3 sends the message only when the object exists.
#
# This alarm doesn't show an object that `apply` receives but can't apply, because SQS leaves a message out of this
# metric once it has been received three times. The alarm `records_lost` shows such an object within about an hour, long
# before it becomes a dead letter.
resource "aws_cloudwatch_metric_alarm" "apply_behind" {
  count = var.alarms ? 1 : 0

  alarm_name        = "${local.queue_name}-behind"
  alarm_description = "Write-log objects have waited for apply for more than 15 minutes. Is its mapping enabled, is it throttled, or is write_log.apply_concurrency too low for the load?"

  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.apply.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 900
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

# Fires if a notification from S3 was lost, that is, if S3 holds a write-log object that `apply` never saw. To repair
# this, replay the hours in question. A replay does no harm, because applying is idempotent.
#
# The alarm compares the records that Firehose delivered with the metric RecordsHandled. `apply` timestamps that metric
# with the minute in which the object was created. So both metrics count a record in the same period, however late
# `apply` handles it. A lost record keeps the running difference above zero in every later period. A record on its way
# to `apply` shows only in the newest period, so the alarm requires four breaching periods.
#
# The clocks of the two metrics differ a little. So near the boundary of two periods, the metrics may count the same
# object in different periods. If the alarm's window starts at that boundary, the running difference is wrong in every
# period of the window. So the alarm uses the smallest of three running differences, which start one period after
# another.
#
# If SQS delivers the notification of an object twice, `apply` counts the object's records twice as handled. That can
# hide the loss of as many records in the same six hours.
resource "aws_cloudwatch_metric_alarm" "records_lost" {
  count = var.alarms ? 1 : 0

  alarm_name        = "${var.name}-write-log-records-lost"
  alarm_description = "More records were delivered to the write log than apply has handled: a notification was lost, or apply is an hour behind. Replay the hours in question."

  evaluation_periods  = 24
  datapoints_to_alarm = 4
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions

  metric_query {
    id = "delivered"

    metric {
      namespace   = "AWS/Firehose"
      metric_name = "DeliveryToS3.Records"
      dimensions  = { DeliveryStreamName = aws_kinesis_firehose_delivery_stream.this.name }
      stat        = "Sum"
      period      = 900
    }
  }

  metric_query {
    id = "handled"

    metric {
      namespace   = "Readplane"
      metric_name = "RecordsHandled"
      dimensions  = { Stack = var.name }
      stat        = "Sum"
      period      = 900
    }
  }

  dynamic "metric_query" {
    for_each = {
      missing = "FILL(delivered, 0) - FILL(handled, 0)"
      turn    = "RUNNING_SUM(TIME_SERIES(1))"
      sum0    = "RUNNING_SUM(missing)"
      sum1    = "RUNNING_SUM(IF(turn > 1, missing, 0))"
      sum2    = "RUNNING_SUM(IF(turn > 2, missing, 0))"
    }

    content {
      id         = metric_query.key
      expression = metric_query.value
    }
  }

  metric_query {
    id          = "lost"
    label       = "Records delivered but not handled"
    expression  = "MIN([sum0, sum1, sum2])"
    return_data = true
  }
}
