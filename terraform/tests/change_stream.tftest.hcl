# Tests of module change_stream: the stream from `poll` to `apply`, and its archive. Only these tests check the limits
# and the failure destination of the event source mapping, and the IAM roles, because the emulator models none of them.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name   = "readplane"
  stream = { on_demand = false, shards = 3, retention_hours = 48 }

  apply = {
    arn                    = "arn:aws:lambda:eu-central-1:111122223333:function:readplane-apply-stream:live"
    function_name          = "readplane-apply-stream"
    batch_size             = 500
    parallelization_factor = 2
  }

  archive                 = { bucket_arn = "arn:aws:s3:::a-bucket", seconds = 60, megabytes = 4 }
  kms_key_arn             = "arn:aws:kms:eu-central-1:111122223333:key/k"
  freshness_alarm_seconds = 900
  log_retention_days      = 30
  alarms                  = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:team"]
  }
}

run "keyed" {
  command = plan

  module {
    source = "./modules/change_stream"
  }

  variables {
    expected_statements = [
      {
        Sid      = "ReadStream"
        Effect   = "Allow"
        Action   = ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
        Resource = ["arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes"]
      },
      {
        Sid      = "WriteObjects"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = ["arn:aws:s3:::a-bucket/stream/*", "arn:aws:s3:::a-bucket/errors/stream/*"]
      },
      {
        Sid      = "FindBucket"
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
        Sid      = "DecryptStream"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { StringEquals = {
          "kms:ViaService" = ["kinesis.eu-central-1.amazonaws.com"]
          "kms:EncryptionContext:aws:kinesis:arn" = [
            "arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes",
          ]
        } }
      },
      {
        Sid       = "EncryptObjects"
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } }
      },
    ]

    expected_names = {
      apply_behind      = "readplane-changes-behind"
      apply_set_aside   = "readplane-changes-set-aside"
      apply_stopped     = "readplane-changes-stopped"
      archive_behind    = "readplane-changes-archive-behind"
      archive_freshness = "readplane-changes-archive-freshness"
      archive_stopped   = "readplane-changes-archive-stopped"
      throttled         = "readplane-changes-throttled"
    }

    # tests/unit/alarms checks the metrics and dimensions of all alarms.
    tickets = { apply_set_aside = "ticket", throttled = "ticket" }

    expected_thresholds = { apply_behind = 60000, archive_behind = 900000, archive_freshness = 900 }
  }

  assert {
    condition = (
      aws_kinesis_stream.this.shard_count == 3
      && aws_kinesis_stream.this.stream_mode_details[0].stream_mode == "PROVISIONED"
    )
    error_message = "The stream has the declared shards."
  }

  assert {
    condition     = aws_kinesis_stream.this.retention_period == 48
    error_message = "The stream has the declared retention."
  }

  assert {
    condition = (
      aws_kinesis_stream.this.encryption_type == "KMS"
      && aws_kinesis_stream.this.kms_key_id == var.kms_key_arn
    )
    error_message = "The stack's own key encrypts the stream."
  }

  assert {
    condition     = output.arn == aws_kinesis_stream.this.arn && output.name == "readplane-changes"
    error_message = "The ARN that the module composes for policies is the stream's ARN."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.apply.event_source_arn == aws_kinesis_stream.this.arn
    error_message = "apply reads the change stream."
  }

  assert {
    condition     = endswith(aws_lambda_event_source_mapping.apply.function_name, ":live")
    error_message = "The alias of apply gets the records."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.apply.starting_position == "TRIM_HORIZON"
    error_message = "apply gets every record from the start."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.apply.parallelization_factor == 2
      && aws_lambda_event_source_mapping.apply.batch_size == 500
    )
    error_message = "apply gets several batches at once."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.apply.function_response_types == toset(["ReportBatchItemFailures"])
    )
    error_message = "apply reports which records failed."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.apply.bisect_batch_on_function_error
      && aws_lambda_event_source_mapping.apply.maximum_retry_attempts == 10000
    )
    error_message = "Retries end by number. By default, one batch would stop its shard until the stream deletes it."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.apply.maximum_record_age_in_seconds == 21600
    error_message = "Retries end by age, after six hours."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.apply.destination_config[0].on_failure[0].destination_arn
      == "arn:aws:s3:::a-bucket"
    )
    error_message = "S3 keeps the failed records whole."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.apply.maximum_record_age_in_seconds < 3600 * var.stream.retention_hours
    )
    error_message = "Lambda moves a failed record to S3 before the stream deletes the record."
  }

  # --- The archive of the stream. The tests of module firehose_to_s3 check the rest.

  assert {
    condition = (
      module.archive.stream.kinesis_source_configuration[0].kinesis_stream_arn == aws_kinesis_stream.this.arn
    )
    error_message = "Firehose archives every record of the change stream."
  }

  assert {
    condition     = module.archive.stream.extended_s3_configuration[0].bucket_arn == "arn:aws:s3:::a-bucket"
    error_message = "The archive is in the write-log bucket."
  }

  assert {
    condition     = module.archive.stream.extended_s3_configuration[0].kms_key_arn == var.kms_key_arn
    error_message = "The stack's own key encrypts the archive."
  }

  assert {
    condition     = module.archive.stream.extended_s3_configuration[0].buffering_interval == 60
    error_message = "Firehose buffers for as long as the variable says."
  }

  assert {
    condition     = module.archive.stream.extended_s3_configuration[0].buffering_size == 4
    error_message = "Firehose buffers as much as the variable says."
  }

  assert {
    condition     = startswith(module.archive.stream.extended_s3_configuration[0].prefix, "stream/year=")
    error_message = "The archive isn't under log/, because apply would get its changes a second time from there."
  }

  assert {
    condition     = startswith(module.archive.stream.extended_s3_configuration[0].error_output_prefix, "errors/stream/")
    error_message = "What Firehose can't process isn't in the archive."
  }

  assert {
    condition     = output.archive == "readplane-changes-archive"
    error_message = "The Firehose stream of the archive has a name of its own."
  }

  assert {
    condition     = jsondecode(output.policies.archive).Statement == var.expected_statements
    error_message = "Firehose reads this stream and adds to the archive; it reads or deletes nothing else."
  }

  assert {
    condition     = jsondecode(output.policies.archive_trust).Statement[*].Sid == ["FirehoseDelivers"]
    error_message = "Firehose assumes the role, and nobody else."
  }

  # --- The alarms

  assert {
    condition     = { for key, alarm in module.alarms[0].alarms : key => alarm.alarm_name } == var.expected_names
    error_message = "The stream has alarms on each of its readers, and on its capacity."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.apply.metrics_config[0].metrics == toset(["EventCount"])
    error_message = "Lambda emits the metrics that the alarms on the mapping watch."
  }

  assert {
    condition = {
      for key in keys(var.expected_thresholds) : key => module.alarms[0].alarms[key].threshold
    } == var.expected_thresholds
    error_message = "Changes that wait for apply, and changes that aren't archived, raise an alarm in time."
  }

  assert {
    condition = alltrue([for key, alarm in module.alarms[0].alarms :
      alarm.alarm_actions == toset(var.alarm_actions[lookup(var.tickets, key, "page")])
    ])
    error_message = "The alarms notify the topics of their severity."
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
    condition = (
      aws_kinesis_stream.this.stream_mode_details[0].stream_mode == "ON_DEMAND"
      && aws_kinesis_stream.this.shard_count == null
    )
    error_message = "On demand, no number of shards is set, because Kinesis refuses one."
  }

  assert {
    condition = (
      aws_kinesis_stream.this.encryption_type == "KMS"
      && aws_kinesis_stream.this.kms_key_id == "alias/aws/kinesis"
    )
    error_message = "Without a customer managed key, AWS's managed key encrypts the stream."
  }

  assert {
    condition     = !strcontains(output.policies.archive, "kms:")
    error_message = "Without a key, no statement mentions one."
  }

  assert {
    condition     = length(module.alarms) == 0
    error_message = "alarms = false creates no alarm."
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
