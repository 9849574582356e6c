# Delivers notifications of new write-log objects from the apply queue to `apply`. This mapping limits how many batches
# from the queue `apply` handles at once. If only the reserved concurrency of `apply` set a limit, Lambda would throttle
# deliveries. SQS would count each throttled delivery as a failure, and in the end move the message to the dead-letter
# queue.
resource "aws_lambda_event_source_mapping" "apply" {
  event_source_arn        = module.write_log.event_source_arn
  function_name           = module.function["apply"].arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.write_log.apply_concurrency
  }
}

locals {
  # Which rows of the items table `publish` needs. Lambda passes on a record that matches any of these patterns, and
  # discards the others before it invokes `publish`, free of charge. The others are markers of quarantined changes, the
  # freshness of sources, and the write-log objects that `apply` has counted.
  #
  # Name the prefixes that `publish` needs (lambda_src/readplane/model/keys.py), because Lambda can't exclude a prefix.
  # Its operator `anything-but` takes whole values only, and `exists` works only at a leaf such as `S`.
  publish_patterns = {
    items_and_heartbeats = { dynamodb = { Keys = { pk = { S = [{ prefix = "item/" }, { prefix = "heartbeat/" }] } } } }

    # A row with a version under a key that isn't an item's key. `publish` puts such a malformed row in quarantine.
    misplaced_items = { dynamodb = { NewImage = { version = { S = [{ exists = true }] } } } }
  }

  # Generation -> the items table whose stream `publish` reads. The order by generation stays the same when the second
  # table becomes the live one, and so do the policies that name both.
  items_tables = merge(
    { (var.items.generation) = { arn = var.items.arn, stream_arn = var.items.stream_arn } },
    { for second in var.items.second[*] : second.generation => { arn = second.arn, stream_arn = second.stream_arn } },
  )
}

# Delivers the stream of each items table to `publish`, in order for each item. With TRIM_HORIZON, `publish` also gets
# the writes that were made before this mapping existed. The mapping of a second table has the same filter, because
# during a switch a change may reach `publish` by either stream only.
#
# Terraform makes the mapping of a second table last: first `live` points to the version of `publish` that knows the
# table. With deploy.canary, clients' alias may still point to an older version. That version ignores the records of a
# table that its settings don't name.
resource "aws_lambda_event_source_mapping" "publish" {
  for_each = local.items_tables

  event_source_arn                   = each.value.stream_arn
  function_name                      = module.function["publish"].arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 100
  maximum_batching_window_in_seconds = 0
  parallelization_factor             = 4
  function_response_types            = ["ReportBatchItemFailures"]

  filter_criteria {
    dynamic "filter" {
      for_each = local.publish_patterns

      content {
        pattern = jsonencode(filter.value)
      }
    }
  }

  # The alarms `publish_stopped`, `publish_second_stopped` and `publish_set_aside` watch these metrics. AWS may bill
  # them as custom metrics.
  metrics_config {
    metrics = ["EventCount"]
  }

  # With these limits, Lambda retries a failed batch for six hours, which outlasts most outages, and then writes the
  # failed records to S3. By default, Lambda would retry until DynamoDB deletes the records from the stream (after 24
  # hours), and everything behind the batch would wait. The alarm `publish_behind` fires long before the six hours are
  # over.
  bisect_batch_on_function_error = true
  maximum_retry_attempts         = -1
  maximum_record_age_in_seconds  = 21600

  # Lambda stores a batch that it no longer retries in S3. With SQS or SNS as the destination, Lambda would send only
  # the positions of the failed records in the stream, and not the records themselves.
  destination_config {
    on_failure {
      destination_arn = module.write_log.bucket_arn
    }
  }
}

# Before there could be two items tables, there was one mapping.
moved {
  from = aws_lambda_event_source_mapping.publish
  to   = aws_lambda_event_source_mapping.publish["1"]
}
