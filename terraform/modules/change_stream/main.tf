data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  keyed      = var.kms_key_arn != null

  # Known before the stream is, which takes half a minute: policies and settings needn't wait for it.
  stream_name = "${var.name}-changes"
  stream_arn  = "arn:${data.aws_partition.current.partition}:kinesis:${local.region}:${local.account_id}:stream/${local.stream_name}"
}

# What `poll` found at the back offices, on its way to `apply`: ordered per item, since the item's key is the partition key.
#
# A shard takes 1,000 records or 1 MB a second; Kinesis refuses what is more, and `poll` sends that again.
resource "aws_kinesis_stream" "this" {
  name             = local.stream_name
  shard_count      = var.stream.on_demand ? null : var.stream.shards
  retention_period = var.stream.retention_hours

  # With alias/aws/kinesis everybody in the account who may use the stream may use its key; a key of one's own asks for statements (region,
  # sync, and the archive below).
  encryption_type = "KMS"
  kms_key_id      = coalesce(var.kms_key_arn, "alias/aws/kinesis")

  stream_mode_details {
    stream_mode = var.stream.on_demand ? "ON_DEMAND" : "PROVISIONED"
  }
}

# Stream -> apply, in order per item. TRIM_HORIZON: nothing that was put before the mapping existed is left out.
#
# At most shards x parallelization_factor batches are with `apply` at once: the stream's share of its concurrency. The queue of the write
# log has a share of its own (module region), so that neither starves the other.
resource "aws_lambda_event_source_mapping" "apply" {
  event_source_arn                   = aws_kinesis_stream.this.arn
  function_name                      = var.apply.arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = var.apply.batch_size
  maximum_batching_window_in_seconds = 0
  parallelization_factor             = var.apply.parallelization_factor
  function_response_types            = ["ReportBatchItemFailures"]

  # By default Lambda retries until the stream forgets the record, and everything behind it waits. `apply` quarantines poison, so what fails
  # is an outage: six hours outlast one, 10,000 attempts (Lambda's most) last as long, and the alarm below has long fired.
  bisect_batch_on_function_error = true
  maximum_retry_attempts         = 10000
  maximum_record_age_in_seconds  = 21600

  # S3 is the destination that gets the records themselves, under aws/lambda/; SQS and SNS only learn where they were in the stream.
  destination_config {
    on_failure {
      destination_arn = var.archive.bucket_arn
    }
  }
}
