# Write log -> apply. Concurrency is bounded here and not by the function's reservation: SQS would count a throttled delivery as a
# failed one and send it towards the dead letters.
resource "aws_lambda_event_source_mapping" "apply" {
  event_source_arn        = module.write_log.event_source_arn
  function_name           = module.function["apply"].arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.write_log.apply_concurrency
  }
}

# Items -> publish, in order per item. TRIM_HORIZON: nothing that was written before the mapping existed is left out.
resource "aws_lambda_event_source_mapping" "publish" {
  event_source_arn                   = var.items.stream_arn
  function_name                      = module.function["publish"].arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 100
  maximum_batching_window_in_seconds = 0
  parallelization_factor             = 4
  function_response_types            = ["ReportBatchItemFailures"]

  # By default Lambda retries until the stream forgets the record (24 hours), and everything behind it waits. Six hours outlast an
  # outage; what is older goes to S3, whole, and the alarm below has long fired.
  bisect_batch_on_function_error = true
  maximum_retry_attempts         = -1
  maximum_record_age_in_seconds  = 21600

  # S3 is the destination that gets the records themselves; SQS and SNS only learn where they were in the stream.
  destination_config {
    on_failure {
      destination_arn = module.write_log.bucket_arn
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "publish_behind" {
  count = var.alarms ? 1 : 0

  alarm_name        = "${var.name}-publish-behind"
  alarm_description = "Documents lag behind the items by more than a minute. After six hours the changes are set aside under aws/lambda/ in the write-log bucket."

  namespace           = "AWS/Lambda"
  metric_name         = "IteratorAge"
  dimensions          = { FunctionName = module.function["publish"].function_name }
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
