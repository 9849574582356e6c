resource "aws_cloudwatch_metric_alarm" "apply_behind" {
  count = var.alarms ? 1 : 0

  alarm_name        = "${local.stream_name}-behind"
  alarm_description = "What the back offices changed has waited for apply for more than a minute. Is apply failing or throttled, or are shards and parallelization_factor too low? After six hours the changes are set aside under aws/lambda/ in the write-log bucket."

  # The change stream is the only stream that `apply` reads. So the metric IteratorAge of `apply` is the age of the
  # records in the change stream.
  namespace           = "AWS/Lambda"
  metric_name         = "IteratorAge"
  dimensions          = { FunctionName = var.apply.function_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 60000
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

# Fires if Firehose can't archive changes in S3 in time. Firehose retries for 24 hours, and the change stream keeps a
# record for at least as long. The alarm fires early enough to leave nearly all of the 24 hours for the repair.
resource "aws_cloudwatch_metric_alarm" "archive_freshness" {
  count = var.alarms ? 1 : 0

  alarm_name        = "${local.stream_name}-archive-freshness"
  alarm_description = "Changes wait to be archived in S3. Look for the reason in ${aws_cloudwatch_log_group.archive.name}: after 24 hours they are missing in the archive."

  namespace           = "AWS/Firehose"
  metric_name         = "DeliveryToS3.DataFreshness"
  dimensions          = { DeliveryStreamName = aws_kinesis_firehose_delivery_stream.archive.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.freshness_alarm_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}
