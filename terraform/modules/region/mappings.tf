# Delivers notifications of new write-log objects to `apply`. The mapping itself limits the concurrency. If only the
# function's reservation limited it, SQS would count each throttled delivery as a failure and in the end move the
# message to the dead-letter queue.
resource "aws_lambda_event_source_mapping" "apply" {
  event_source_arn        = module.write_log.event_source_arn
  function_name           = module.function["apply"].arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.write_log.apply_concurrency
  }
}

# Delivers the items stream to `publish`, in order for each item. With TRIM_HORIZON, `publish` also gets the writes from
# before this mapping existed.
resource "aws_lambda_event_source_mapping" "publish" {
  event_source_arn                   = var.items.stream_arn
  function_name                      = module.function["publish"].arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 100
  maximum_batching_window_in_seconds = 0
  parallelization_factor             = 4
  function_response_types            = ["ReportBatchItemFailures"]

  # By default, Lambda retries a failed batch until the stream deletes the records (after 24 hours), and everything
  # behind the batch waits. Here Lambda retries for six hours, long enough to outlast an outage. Then it writes the
  # whole records to S3. The alarm below fires long before that.
  bisect_batch_on_function_error = true
  maximum_retry_attempts         = -1
  maximum_record_age_in_seconds  = 21600

  # Only an S3 destination gets the failed records themselves. SQS and SNS would get only the records' positions in the
  # stream.
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
