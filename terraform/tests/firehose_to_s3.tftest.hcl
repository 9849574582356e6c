# Tests of module firehose_to_s3. Only these tests check the role, because the emulator's Firehose writes without one.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name               = "readplane-write-log"
  role               = { name = "readplane-eu-central-1-firehose", policy_name = "deliver-write-log" }
  bucket_arn         = "arn:aws:s3:::a-bucket"
  prefix             = "log/"
  error_prefix       = "errors/"
  buffering          = { seconds = 60, megabytes = 4 }
  kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/k"
  log_retention_days = 30
}

run "records_of_callers" {
  command = plan

  module {
    source = "./modules/firehose_to_s3"
  }

  variables {
    expected_hour = "year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"

    expected_log = {
      enabled         = true
      log_group_name  = "/aws/kinesisfirehose/readplane-write-log"
      log_stream_name = "delivery"
    }

    expected_trust = {
      Sid       = "FirehoseDelivers"
      Effect    = "Allow"
      Principal = { Service = "firehose.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = { StringEquals = { "sts:ExternalId" = "111122223333" } }
    }

    expected_statements = [
      {
        Sid      = "WriteObjects"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = ["arn:aws:s3:::a-bucket/log/*", "arn:aws:s3:::a-bucket/errors/*"]
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
        Sid       = "EncryptObjects"
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } }
      },
    ]
  }

  # --- The role

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement == var.expected_statements
    error_message = "Firehose writes below both prefixes, and reads or deletes nothing."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [var.expected_trust]
    error_message = "Only Firehose, acting for this account, may assume the role."
  }

  assert {
    condition     = aws_iam_role.this.name == var.role.name && aws_iam_role_policy.this.name == var.role.policy_name
    error_message = "The role and its policy have the names that the caller gives."
  }

  # --- The Firehose stream

  assert {
    condition = (
      output.stream.extended_s3_configuration[0].buffering_interval == 60
      && output.stream.extended_s3_configuration[0].buffering_size == 4
    )
    error_message = "Firehose writes an object after 60 seconds or 4 MB."
  }

  assert {
    condition     = output.stream.extended_s3_configuration[0].compression_format == "GZIP"
    error_message = "The objects are compressed."
  }

  assert {
    condition     = output.stream.extended_s3_configuration[0].kms_key_arn == var.kms_key_arn
    error_message = "The stack's key encrypts the objects."
  }

  assert {
    condition = (
      output.stream.extended_s3_configuration[0].prefix
      == "log/${var.expected_hour}"
    )
    error_message = "The objects are below the prefix, by the hour."
  }

  assert {
    condition = (
      output.stream.extended_s3_configuration[0].error_output_prefix
      == "errors/!{firehose:error-output-type}/${var.expected_hour}"
    )
    error_message = "What Firehose can't process is below the error prefix, by the type of the error and the hour."
  }

  assert {
    condition     = output.stream.server_side_encryption[0].key_type == "CUSTOMER_MANAGED_CMK"
    error_message = "The records are encrypted with a customer managed key while Firehose keeps them."
  }

  assert {
    condition     = output.stream.server_side_encryption[0].key_arn == var.kms_key_arn
    error_message = "That key is the stack's."
  }

  assert {
    condition     = length(output.stream.kinesis_source_configuration) == 0
    error_message = "Callers put the records themselves."
  }

  # --- The error log

  assert {
    condition     = output.stream.extended_s3_configuration[0].cloudwatch_logging_options[0] == var.expected_log
    error_message = "Firehose logs why a delivery fails."
  }

  assert {
    condition     = output.log_group == "/aws/kinesisfirehose/readplane-write-log"
    error_message = "The log group is named after the Firehose stream."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "Log lines expire."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.kms_key_id == var.kms_key_arn
    error_message = "The stack's key encrypts the log."
  }
}

run "records_of_a_kinesis_stream" {
  command = plan

  module {
    source = "./modules/firehose_to_s3"
  }

  variables {
    prefix       = "stream/"
    error_prefix = "errors/stream/"
    kinesis_stream = {
      arn         = "arn:aws:kinesis:eu-central-1:111122223333:stream/composed"
      created_arn = "arn:aws:kinesis:eu-central-1:111122223333:stream/created"
    }

    expected_sids = [
      "ReadStream", "WriteObjects", "FindBucket", "ReportDeliveryErrors", "DecryptStream", "EncryptObjects",
    ]

    expected_read = {
      Sid      = "ReadStream"
      Effect   = "Allow"
      Action   = ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
      Resource = ["arn:aws:kinesis:eu-central-1:111122223333:stream/composed"]
    }

    expected_decrypt = {
      Sid      = "DecryptStream"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
      Condition = { StringEquals = {
        "kms:ViaService"                        = ["kinesis.eu-central-1.amazonaws.com"]
        "kms:EncryptionContext:aws:kinesis:arn" = ["arn:aws:kinesis:eu-central-1:111122223333:stream/composed"]
      } }
    }
  }

  assert {
    condition = alltrue([
      for source in output.stream.kinesis_source_configuration :
      source.kinesis_stream_arn == var.kinesis_stream.created_arn
    ])
    error_message = "Firehose reads the stream, and is created after it."
  }

  assert {
    condition     = length(output.stream.kinesis_source_configuration) == 1
    error_message = "Firehose has the stream as its source."
  }

  assert {
    condition     = length(output.stream.server_side_encryption) == 0
    error_message = "Firehose's own encryption is off, because AWS refuses it for a Kinesis source."
  }

  assert {
    condition     = jsondecode(output.policies.delivery).Statement[*].Sid == var.expected_sids
    error_message = "Firehose may do nothing beyond reading the stream and writing objects."
  }

  assert {
    condition     = contains(jsondecode(output.policies.delivery).Statement, var.expected_read)
    error_message = "Firehose reads this stream."
  }

  assert {
    condition     = contains(jsondecode(output.policies.delivery).Statement, var.expected_decrypt)
    error_message = "Firehose may use the key to decrypt this stream."
  }
}

run "without_a_key" {
  command = plan

  module {
    source = "./modules/firehose_to_s3"
  }

  variables {
    kms_key_arn = null
    buffering   = { seconds = 0, megabytes = 1 }
  }

  assert {
    condition     = output.stream.server_side_encryption[0].key_type == "AWS_OWNED_CMK"
    error_message = "Without a key, a key that AWS owns encrypts."
  }

  assert {
    condition     = output.stream.server_side_encryption[0].enabled
    error_message = "Records are always encrypted while Firehose keeps them."
  }

  assert {
    condition     = !strcontains(output.policies.delivery, "kms:")
    error_message = "Without a key, no statement mentions one."
  }

  assert {
    condition     = output.stream.extended_s3_configuration[0].buffering_interval == 0
    error_message = "0 seconds means at once, not the default."
  }
}
