data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition

  # The change stream's name and ARN are composed here, so that policies and settings needn't wait the half minute that
  # AWS takes to create the stream.
  stream_name = "${var.name}-changes"
  stream_arn  = "arn:${local.partition}:kinesis:${local.region}:${local.account_id}:stream/${local.stream_name}"
}

# The change stream. It carries the changes that `poll` finds at the back offices to `apply`. The changes of one item
# stay in order, because the item's key is the partition key.
#
# A shard accepts 1,000 records or 1 MB a second. Kinesis refuses records above that limit, and `poll` sends the refused
# records again.
resource "aws_kinesis_stream" "this" {
  name             = local.stream_name
  shard_count      = var.stream.on_demand ? null : var.stream.shards
  retention_period = var.stream.retention_hours

  # The stream is encrypted with the customer managed key, or else with the AWS managed key alias/aws/kinesis. Every
  # principal of the account that may use the stream may also use the AWS managed key. For the customer managed key,
  # each role needs a policy statement. The statement of `apply-stream` is in module region, that of `poll` in module
  # poll, and that of the archive in module firehose_to_s3.
  encryption_type = "KMS"
  kms_key_id      = coalesce(var.kms_key_arn, "alias/aws/kinesis")

  stream_mode_details {
    stream_mode = var.stream.on_demand ? "ON_DEMAND" : "PROVISIONED"
  }
}

# Delivers the records of the change stream to `apply-stream`, in order for each item. With TRIM_HORIZON, it also gets
# the records that were put before this mapping existed.
#
# `apply-stream` handles at most shards x parallelization_factor batches at once, and an on-demand stream gets more
# shards by itself. So the apply queue has a function of its own, `apply`, with the same code. Neither can use up the
# executions of the other.
#
# The mapping keeps its position in the stream when it gets another function, because Lambda updates it in place.
resource "aws_lambda_event_source_mapping" "apply" {
  event_source_arn                   = aws_kinesis_stream.this.arn
  function_name                      = var.apply.arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = var.apply.batch_size
  maximum_batching_window_in_seconds = 0
  parallelization_factor             = var.apply.parallelization_factor
  function_response_types            = ["ReportBatchItemFailures"]

  # The alarms `apply_stopped` and `apply_set_aside` watch these metrics. AWS may bill them as custom metrics.
  metrics_config {
    metrics = ["EventCount"]
  }

  # With these limits, Lambda retries a failed batch for six hours, which outlasts most outages. `apply` quarantines a
  # change that can't be applied, so a batch fails only in an outage. By default, Lambda would retry until Kinesis
  # deletes the records, and everything behind the batch would wait. Lambda's maximum of 10,000 attempts isn't used up
  # within six hours. The alarm `apply_behind` fires long before the six hours are over.
  bisect_batch_on_function_error = true
  maximum_retry_attempts         = 10000
  maximum_record_age_in_seconds  = 21600

  # Lambda stores a batch that it no longer retries in S3, under aws/lambda/. With SQS or SNS as the destination, Lambda
  # would send only the positions of the failed records in the stream, and not the records themselves.
  destination_config {
    on_failure {
      destination_arn = var.archive.bucket_arn
    }
  }
}
