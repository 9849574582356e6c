# Firehose keeps a record for 24 hours if S3 refuses it; this alarm leaves nearly all of them for the repair.
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

# Nobody fetches, or more comes in than `apply` can do. After 15 minutes the status of the changes turns from pending to unknown
# (module region). Firehose's buffering isn't part of the age: a message is sent when its object exists.
#
# SQS leaves a message out of this age once it was received three times. One that `apply` gets and can't apply shows in the alarm
# below within about an hour, long before it is a dead letter.
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

# Shows a lost notification: an object that S3 has and `apply` never saw. Remedy: replay the hours in question (applying is idempotent).
#
# `apply` stamps RecordsHandled with the minute in which the object was created, so a record counts in the same period on both sides,
# however late it is applied. The running difference then stays above zero from the period of the loss on, whereas records in
# flight show in the newest period only: four periods must breach.
#
# The two clocks may still put an object at the turn of a period on either side of it. Where that is the turn at which the window
# begins, the sum would be wrong in every period; so the smallest of three sums counts, which begin one period after another.
#
# An object that is delivered twice counts twice as handled and can hide a loss of as many records in the same six hours.
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
