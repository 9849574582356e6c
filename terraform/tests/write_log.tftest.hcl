mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                       = "readplane"
  kms_key_arn                = "arn:aws:kms:eu-central-1:111122223333:key/k"
  buffering                  = { seconds = 60, megabytes = 4 }
  storage                    = { infrequent_access_days = 30, glacier_instant_days = 90 }
  visibility_timeout_seconds = 1800
  freshness_alarm_seconds    = 900
  log_retention_days         = 30
  force_destroy              = false
  tls_only                   = true
  alarms                     = true
  alarm_actions              = ["arn:aws:sns:eu-central-1:111122223333:operators"]
}

run "keyed" {
  command = plan

  module {
    source = "./modules/write_log"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.firehose.policy).Statement == jsondecode(jsonencode([
      {
        Sid      = "WriteLogObjects"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = ["arn:aws:s3:::a-bucket/log/*", "arn:aws:s3:::a-bucket/errors/*"]
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
        Sid       = "EncryptLogObjects"
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } }
      },
    ]))
    error_message = "Firehose writes to log/ and errors/, and reads or deletes nothing."
  }

  assert {
    condition = jsondecode(aws_iam_role.firehose.assume_role_policy).Statement == jsondecode(jsonencode([{
      Sid       = "FirehoseDelivers"
      Effect    = "Allow"
      Principal = { Service = "firehose.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = { StringEquals = { "sts:ExternalId" = "111122223333" } }
    }]))
    error_message = "A Firehose stream of another account can't assume the role."
  }

  assert {
    condition = jsondecode(aws_sqs_queue.apply.policy).Statement == jsondecode(jsonencode([
      {
        Sid       = "DenyPlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = ["arn:aws:sqs:eu-central-1:111122223333:readplane-apply"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "WriteLogNotifies"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = ["arn:aws:sqs:eu-central-1:111122223333:readplane-apply"]
        Condition = {
          ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::a-bucket" }
          StringEquals = { "aws:SourceAccount" = "111122223333" }
        }
      },
    ]))
    error_message = "Only this bucket of this account notifies, over TLS."
  }

  assert {
    condition     = [for s in jsondecode(aws_sqs_queue.dead_letters.policy).Statement : s.Sid] == ["DenyPlainHttp"]
    error_message = "The dead-letter queue's policy allows nobody outside the account."
  }

  assert {
    condition = (
      aws_sqs_queue.dead_letters.message_retention_seconds == 1209600
      && aws_sqs_queue.apply.message_retention_seconds < 1209600
      && jsondecode(aws_sqs_queue.dead_letters.redrive_allow_policy).redrivePermission == "byQueue"
      && jsondecode(aws_sqs_queue.dead_letters.redrive_allow_policy).sourceQueueArns == jsondecode("[\"arn:aws:sqs:eu-central-1:111122223333:readplane-apply\"]")
      && jsondecode(aws_sqs_queue.apply.redrive_policy).maxReceiveCount == 30
    )
    error_message = "Dead letters live 14 days, counted from the first sending, come from one queue and only after thirty attempts."
  }

  assert {
    condition     = alltrue([for queue in [aws_sqs_queue.apply, aws_sqs_queue.dead_letters] : queue.kms_master_key_id == "arn:aws:kms:eu-central-1:111122223333:key/k"])
    error_message = "The stack's key encrypts both queues."
  }

  assert {
    condition     = aws_sqs_queue.apply.visibility_timeout_seconds == 1800
    error_message = "A message stays hidden for visibility_timeout_seconds."
  }

  assert {
    condition = (
      length(aws_s3_bucket_notification.this.queue) == 1
      && aws_s3_bucket_notification.this.queue[0].filter_prefix == "log/"
      && aws_s3_bucket_notification.this.queue[0].events == toset(["s3:ObjectCreated:*"])
    )
    error_message = "Only objects under log/ notify the queue, not those that apply itself writes."
  }

  assert {
    condition = (
      aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].buffering_interval == 60
      && aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].buffering_size == 4
      && aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].compression_format == "GZIP"
      && startswith(aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].prefix, "log/year=")
      && endswith(aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].prefix, "/hour=!{timestamp:HH}/")
      && startswith(aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].error_output_prefix, "errors/!{firehose:error-output-type}/")
      && aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].cloudwatch_logging_options[0].enabled
    )
    error_message = "Firehose writes compressed objects below log/, by the hour, and logs why a delivery fails."
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.this.server_side_encryption[0].key_type == "CUSTOMER_MANAGED_CMK"
    error_message = "Changes are encrypted with the stack's key while Firehose keeps them."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.delivery_freshness[0].metric_name == "DeliveryToS3.DataFreshness"
      && aws_cloudwatch_metric_alarm.delivery_freshness[0].threshold == 900
      && aws_cloudwatch_metric_alarm.delivery_freshness[0].dimensions.DeliveryStreamName == "readplane-write-log"
    )
    error_message = "15 minutes without delivery raise the alarm, because Firehose drops records after 24 hours."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.dead_letters[0].threshold == 0
      && aws_cloudwatch_metric_alarm.dead_letters[0].dimensions.QueueName == "readplane-apply-dead-letters"
    )
    error_message = "The first dead letter raises the alarm."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.apply_behind[0].alarm_name == "readplane-apply-behind"
      && aws_cloudwatch_metric_alarm.apply_behind[0].metric_name == "ApproximateAgeOfOldestMessage"
      && aws_cloudwatch_metric_alarm.apply_behind[0].threshold == 900
      && aws_cloudwatch_metric_alarm.apply_behind[0].dimensions.QueueName == "readplane-apply"
      && aws_cloudwatch_metric_alarm.apply_behind[0].alarm_actions == toset(var.alarm_actions)
    )
    error_message = "Objects that wait for apply raise an alarm when the status of their changes becomes unknown."
  }

  assert {
    condition = jsonencode({ for query in aws_cloudwatch_metric_alarm.records_lost[0].metric_query : query.id => query.expression if query.expression != null }) == jsonencode({
      missing = "FILL(delivered, 0) - FILL(handled, 0)"
      turn    = "RUNNING_SUM(TIME_SERIES(1))"
      sum0    = "RUNNING_SUM(missing)"
      sum1    = "RUNNING_SUM(IF(turn > 1, missing, 0))"
      sum2    = "RUNNING_SUM(IF(turn > 2, missing, 0))"
      lost    = "MIN([sum0, sum1, sum2])"
    })
    error_message = "A lost record keeps the sum above zero, whichever of three periods the window starts at."
  }

  assert {
    condition = toset(flatten([for query in aws_cloudwatch_metric_alarm.records_lost[0].metric_query : [for m in query.metric : "${m.namespace} ${m.metric_name} ${m.stat} ${m.period} ${join(",", values(m.dimensions))}"]])) == toset([
      "AWS/Firehose DeliveryToS3.Records Sum 900 readplane-write-log",
      "Readplane RecordsHandled Sum 900 readplane",
    ])
    error_message = "Both counts cover the same stack and the same periods."
  }

  assert {
    condition     = [for query in aws_cloudwatch_metric_alarm.records_lost[0].metric_query : query.id if coalesce(query.return_data, false)] == ["lost"]
    error_message = "An alarm watches exactly one series."
  }

  # The alarm may look back at most a day (86,400 seconds), because CloudWatch refuses a longer time.
  assert {
    condition     = aws_cloudwatch_metric_alarm.records_lost[0].evaluation_periods * 900 <= 86400 && aws_cloudwatch_metric_alarm.records_lost[0].datapoints_to_alarm == 4
    error_message = "Four periods must breach, because records in flight show in the newest period only."
  }
}

run "in_another_partition" {
  command = plan

  module {
    source = "./modules/write_log"
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  assert {
    condition = (
      output.queue_arn == "arn:aws-cn:sqs:eu-central-1:111122223333:readplane-apply"
      && output.queue_url_ahead == "https://sqs.eu-central-1.amazonaws.com.cn/111122223333/readplane-apply"
    )
    error_message = "ARNs and URLs name the partition that the stack is in."
  }
}

run "unkeyed_on_an_emulator" {
  command = plan

  module {
    source = "./modules/write_log"
  }

  variables {
    kms_key_arn = null
    buffering   = { seconds = 0, megabytes = 1 }
    tls_only    = false
    alarms      = false
  }

  assert {
    condition     = alltrue([for queue in [aws_sqs_queue.apply, aws_sqs_queue.dead_letters] : queue.sqs_managed_sse_enabled && queue.kms_master_key_id == null])
    error_message = "Without a key, SQS's own key encrypts."
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.this.server_side_encryption[0].key_type == "AWS_OWNED_CMK" && aws_kinesis_firehose_delivery_stream.this.server_side_encryption[0].enabled
    error_message = "Without a key, Firehose's own key encrypts."
  }

  assert {
    condition     = !contains([for s in jsondecode(output.policies.firehose).Statement : s.Sid], "EncryptLogObjects")
    error_message = "Without a key, the role has no statement about one."
  }

  assert {
    condition     = [for s in jsondecode(output.policies.apply_queue).Statement : s.Sid] == ["WriteLogNotifies"] && length(jsondecode(output.policies.dead_letters).Statement) == 0
    error_message = "tls_only = false allows plain HTTP."
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.this.extended_s3_configuration[0].buffering_interval == 0
    error_message = "0 seconds means at once, not the default."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.delivery_freshness) + length(aws_cloudwatch_metric_alarm.dead_letters) + length(aws_cloudwatch_metric_alarm.apply_behind) + length(aws_cloudwatch_metric_alarm.records_lost) == 0
    error_message = "alarms = false creates no alarm."
  }
}
