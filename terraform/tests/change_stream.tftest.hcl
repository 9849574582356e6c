# Tests of module change_stream: the stream from `poll` to `apply`, and its archive. Only these tests check the limits
# and the failure destination of the event source mapping, and the IAM roles, because the emulator models none of them.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                    = "readplane"
  stream                  = { on_demand = false, shards = 3, retention_hours = 48 }
  apply                   = { arn = "arn:aws:lambda:eu-central-1:111122223333:function:readplane-apply:live", function_name = "readplane-apply", batch_size = 500, parallelization_factor = 2 }
  archive                 = { bucket_arn = "arn:aws:s3:::a-bucket", seconds = 60, megabytes = 4 }
  kms_key_arn             = "arn:aws:kms:eu-central-1:111122223333:key/k"
  freshness_alarm_seconds = 900
  log_retention_days      = 30
  alarms                  = true
  alarm_actions           = ["arn:aws:sns:eu-central-1:111122223333:operators"]
}

run "keyed" {
  command = plan

  module {
    source = "./modules/change_stream"
  }

  assert {
    condition = (
      aws_kinesis_stream.this.shard_count == 3 && aws_kinesis_stream.this.stream_mode_details[0].stream_mode == "PROVISIONED"
      && aws_kinesis_stream.this.retention_period == 48
      && aws_kinesis_stream.this.encryption_type == "KMS" && aws_kinesis_stream.this.kms_key_id == var.kms_key_arn
    )
    error_message = "The stream has the declared shards and retention, and the stack's own key encrypts it."
  }

  assert {
    condition     = output.arn == aws_kinesis_stream.this.arn && output.name == "readplane-changes"
    error_message = "The ARN that the module composes for policies is the stream's ARN."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.apply.event_source_arn == aws_kinesis_stream.this.arn
      && endswith(aws_lambda_event_source_mapping.apply.function_name, ":live")
      && aws_lambda_event_source_mapping.apply.starting_position == "TRIM_HORIZON"
      && aws_lambda_event_source_mapping.apply.parallelization_factor == 2
      && aws_lambda_event_source_mapping.apply.batch_size == 500
      && aws_lambda_event_source_mapping.apply.function_response_types == toset(["ReportBatchItemFailures"])
    )
    error_message = "apply gets every record from the start, several batches at once, and reports which records failed."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.apply.bisect_batch_on_function_error
      && aws_lambda_event_source_mapping.apply.maximum_retry_attempts == 10000
      && aws_lambda_event_source_mapping.apply.maximum_record_age_in_seconds == 21600
      && aws_lambda_event_source_mapping.apply.destination_config[0].on_failure[0].destination_arn == "arn:aws:s3:::a-bucket"
    )
    error_message = join(" ", [
      "Retries end by number and by age, and S3 keeps the failed records whole. By default, one batch would stop its",
      "shard until the stream deletes it.",
    ])
  }

  assert {
    condition     = aws_lambda_event_source_mapping.apply.maximum_record_age_in_seconds < 3600 * var.stream.retention_hours
    error_message = "Lambda moves a failed record to S3 before the stream deletes the record."
  }

  # --- The archive of the stream

  assert {
    condition = (
      aws_kinesis_firehose_delivery_stream.archive.kinesis_source_configuration[0].kinesis_stream_arn == aws_kinesis_stream.this.arn
      && aws_kinesis_firehose_delivery_stream.archive.extended_s3_configuration[0].bucket_arn == "arn:aws:s3:::a-bucket"
      && aws_kinesis_firehose_delivery_stream.archive.extended_s3_configuration[0].compression_format == "GZIP"
      && aws_kinesis_firehose_delivery_stream.archive.extended_s3_configuration[0].kms_key_arn == var.kms_key_arn
    )
    error_message = "Firehose archives every record in S3, compressed and encrypted with the stack's own key."
  }

  assert {
    condition = startswith(
      aws_kinesis_firehose_delivery_stream.archive.extended_s3_configuration[0].prefix, "stream/year="
      ) && startswith(
      aws_kinesis_firehose_delivery_stream.archive.extended_s3_configuration[0].error_output_prefix, "errors/stream/"
    )
    error_message = "The archive isn't under log/, because apply would get its changes a second time from there."
  }

  assert {
    condition     = length(aws_kinesis_firehose_delivery_stream.archive.server_side_encryption) == 0
    error_message = "Firehose's own encryption is off, because AWS refuses it for a Kinesis source."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.archive.policy).Statement == jsondecode(jsonencode([
      {
        Sid      = "ReadChanges"
        Effect   = "Allow"
        Action   = ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
        Resource = ["arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes"]
      },
      {
        Sid      = "WriteArchive"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = ["arn:aws:s3:::a-bucket/stream/*", "arn:aws:s3:::a-bucket/errors/stream/*"]
      },
      {
        Sid      = "FindLogBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = ["arn:aws:s3:::a-bucket"]
      },
      {
        Sid      = "ReportDeliveryErrors"
        Effect   = "Allow"
        Action   = ["logs:PutLogEvents"]
        Resource = ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:log-stream:delivery"]
      },
      {
        Sid      = "DecryptChanges"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { StringEquals = {
          "kms:ViaService"                        = ["kinesis.eu-central-1.amazonaws.com"]
          "kms:EncryptionContext:aws:kinesis:arn" = ["arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes"]
        } }
      },
      {
        Sid       = "EncryptArchive"
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } }
      },
    ]))
    error_message = "Firehose reads this stream and adds to the archive; it reads or deletes nothing else."
  }

  assert {
    condition = jsondecode(aws_iam_role.archive.assume_role_policy).Statement == jsondecode(jsonencode([{
      Sid       = "FirehoseArchives"
      Effect    = "Allow"
      Principal = { Service = "firehose.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = { StringEquals = { "sts:ExternalId" = "111122223333" } }
    }]))
    error_message = "Only Firehose, acting for this account, may assume the role."
  }

  # --- The alarms

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.apply_behind[0].metric_name == "IteratorAge"
      && aws_cloudwatch_metric_alarm.apply_behind[0].dimensions == tomap({ FunctionName = "readplane-apply" })
      && aws_cloudwatch_metric_alarm.archive_freshness[0].dimensions == tomap({ DeliveryStreamName = "readplane-changes-archive" })
      && aws_cloudwatch_metric_alarm.archive_freshness[0].threshold == 900
      && alltrue([for alarm in [aws_cloudwatch_metric_alarm.apply_behind[0], aws_cloudwatch_metric_alarm.archive_freshness[0]] : alarm.alarm_actions == toset(var.alarm_actions) && alarm.ok_actions == toset(var.alarm_actions)])
    )
    error_message = "Changes that wait for apply, and changes that aren't archived, raise an alarm."
  }
}

run "unkeyed_and_on_demand" {
  command = plan

  module {
    source = "./modules/change_stream"
  }

  variables {
    stream      = { on_demand = true, shards = 3, retention_hours = 24 }
    kms_key_arn = null
    alarms      = false
  }

  assert {
    condition     = aws_kinesis_stream.this.stream_mode_details[0].stream_mode == "ON_DEMAND" && aws_kinesis_stream.this.shard_count == null
    error_message = "On demand, no number of shards is set, because Kinesis refuses one."
  }

  assert {
    condition     = aws_kinesis_stream.this.encryption_type == "KMS" && aws_kinesis_stream.this.kms_key_id == "alias/aws/kinesis"
    error_message = "Without a customer managed key, AWS's managed key encrypts the stream."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.archive.policy, "kms:") && length(aws_cloudwatch_metric_alarm.apply_behind) + length(aws_cloudwatch_metric_alarm.archive_freshness) == 0
    error_message = "Without a key no statement mentions one, and alarms = false creates no alarm."
  }
}

run "in_another_partition" {
  command = plan

  module {
    source = "./modules/change_stream"
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-us-gov" }
  }

  assert {
    condition     = startswith(output.arn, "arn:aws-us-gov:kinesis:")
    error_message = "The stream's ARN names the partition that the stack is in."
  }
}
