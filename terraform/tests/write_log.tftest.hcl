mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                       = "readplane"
  kms_key_arn                = "arn:aws:kms:eu-central-1:111122223333:key/k"
  has_key                    = true
  buffering                  = { seconds = 60, megabytes = 4 }
  storage                    = { infrequent_access_days = 30, glacier_instant_days = 90 }
  visibility_timeout_seconds = 1800
  freshness_alarm_seconds    = 900
  log_retention_days         = 30
  force_destroy              = false
  tls_only                   = true
  alarms                     = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:team"]
  }
}

run "keyed" {
  command = plan

  module {
    source = "./modules/write_log"
  }

  variables {
    expected_write = {
      Sid      = "WriteObjects"
      Effect   = "Allow"
      Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
      Resource = ["arn:aws:s3:::a-bucket/log/*", "arn:aws:s3:::a-bucket/errors/*"]
    }

    expected_sids = ["WriteObjects", "FindBucket", "ReportDeliveryErrors", "EncryptObjects"]

    expected_apply_statements = [
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
    ]

    expected_dead_letters_statement = {
      Sid       = "DenyPlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = ["arn:aws:sqs:eu-central-1:111122223333:readplane-apply-dead-letters"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }

    expected_redrive = {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-central-1:111122223333:readplane-apply"]
    }

    expected_events = ["s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectCreated:CompleteMultipartUpload"]
    key_faults      = ["AccessDenied", "Disabled", "InvalidState", "NotFound"]

    expected_names = {
      apply_behind       = "readplane-apply-behind"
      dead_letters       = "readplane-apply-dead-letters"
      delivery_freshness = "readplane-write-log-delivery-freshness"
      key                = "readplane-write-log-key"
      records_lost       = "readplane-write-log-records-lost"
      throttled          = "readplane-write-log-throttled"
    }

    expected_metrics = {
      apply_behind       = "AWS/SQS ApproximateAgeOfOldestMessage"
      dead_letters       = "AWS/SQS ApproximateNumberOfMessagesVisible"
      delivery_freshness = "AWS/Firehose DeliveryToS3.DataFreshness"
      throttled          = "AWS/Firehose ThrottledRecords"
    }

    expected_dimensions = {
      apply_behind       = { QueueName = "readplane-apply" }
      dead_letters       = { QueueName = "readplane-apply-dead-letters" }
      delivery_freshness = { DeliveryStreamName = "readplane-write-log" }
      key                = null
      records_lost       = null
      throttled          = { DeliveryStreamName = "readplane-write-log" }
    }

    expected_lost = {
      delivered = null
      handled   = null
      lost      = "MIN([sum0, sum1, sum2])"
      missing   = "FILL(delivered, 0) - handled"
      sum0      = "RUNNING_SUM(missing)"
      sum1      = "RUNNING_SUM(IF(turn > 1, missing, 0))"
      sum2      = "RUNNING_SUM(IF(turn > 2, missing, 0))"
      turn      = "RUNNING_SUM(FILL(delivered, 0) * 0 + 1)"
    }

    expected_delivered = {
      dimensions  = { DeliveryStreamName = "readplane-write-log" }
      metric_name = "DeliveryToS3.Records"
      namespace   = "AWS/Firehose"
      period      = 900
      stat        = "Sum"
      unit        = null
    }

    expected_handled = {
      dimensions  = { Stack = "readplane" }
      metric_name = "RecordsHandled"
      namespace   = "Readplane"
      period      = 900
      stat        = "Sum"
      unit        = null
    }
  }

  # --- The Firehose stream and its role. The tests of module firehose_to_s3 check the rest.

  assert {
    condition     = jsondecode(output.policies.firehose).Statement[0] == var.expected_write
    error_message = "Firehose writes to log/ and errors/, and nowhere else."
  }

  assert {
    condition     = jsondecode(output.policies.firehose).Statement[*].Sid == var.expected_sids
    error_message = "Firehose reads or deletes nothing."
  }

  assert {
    condition     = jsondecode(output.policies.firehose_trust).Statement[*].Sid == ["FirehoseDelivers"]
    error_message = "Firehose assumes the role, and nobody else."
  }

  assert {
    condition     = module.firehose.stream.extended_s3_configuration[0].buffering_interval == 60
    error_message = "Firehose buffers for as long as the variable says."
  }

  assert {
    condition     = module.firehose.stream.extended_s3_configuration[0].buffering_size == 4
    error_message = "Firehose buffers as much as the variable says."
  }

  assert {
    condition     = startswith(module.firehose.stream.extended_s3_configuration[0].prefix, "log/year=")
    error_message = "Firehose writes below log/, of whose objects S3 notifies apply."
  }

  assert {
    condition     = startswith(module.firehose.stream.extended_s3_configuration[0].error_output_prefix, "errors/!{")
    error_message = "What Firehose can't process isn't below log/."
  }

  assert {
    condition     = module.firehose.stream.server_side_encryption[0].key_arn == var.kms_key_arn
    error_message = "Changes are encrypted with the stack's key while Firehose keeps them."
  }

  assert {
    condition     = output.delivery_stream == "readplane-write-log"
    error_message = "The Firehose stream has the name on which alarms and dashboard rely."
  }

  # --- The queues

  assert {
    condition     = jsondecode(aws_sqs_queue.apply.policy).Statement == var.expected_apply_statements
    error_message = "Only this bucket of this account notifies, over TLS."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.dead_letters.policy).Statement == [var.expected_dead_letters_statement]
    error_message = "The dead-letter queue's policy allows nobody outside the account."
  }

  assert {
    condition     = aws_sqs_queue.dead_letters.message_retention_seconds == 1209600
    error_message = "Dead letters live 14 days, counted from the first sending."
  }

  assert {
    condition     = aws_sqs_queue.apply.message_retention_seconds < 1209600
    error_message = "Messages of the apply queue expire earlier, so that a dead letter has time left."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.dead_letters.redrive_allow_policy) == var.expected_redrive
    error_message = "Dead letters come from one queue."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.apply.redrive_policy).maxReceiveCount == 30
    error_message = "A message becomes a dead letter only after thirty attempts."
  }

  assert {
    condition = alltrue([
      for queue in [aws_sqs_queue.apply, aws_sqs_queue.dead_letters] : queue.kms_master_key_id == var.kms_key_arn
    ])
    error_message = "The stack's key encrypts both queues."
  }

  assert {
    condition     = aws_sqs_queue.apply.visibility_timeout_seconds == 1800
    error_message = "A message stays hidden for visibility_timeout_seconds."
  }

  assert {
    condition     = aws_s3_bucket_notification.this.queue[*].filter_prefix == tolist(["log/"])
    error_message = "Only objects under log/ notify the queue, not those that apply itself writes."
  }

  assert {
    condition     = aws_s3_bucket_notification.this.queue[0].events == toset(var.expected_events)
    error_message = "Every new object notifies the queue, unless it is a copy."
  }

  # --- The alarms

  assert {
    condition     = { for key, alarm in module.alarms[0].alarms : key => alarm.alarm_name } == var.expected_names
    error_message = "The write log has five alarms, and one on its key."
  }

  assert {
    condition = alltrue([for name in var.key_faults :
      contains(flatten(values(module.alarms[0].queries["key"])[*].metric[*].metric_name), "KMSKey${name}")
    ])
    error_message = "The alarm on the key watches every reason for which Firehose can't use it."
  }

  assert {
    condition = var.expected_metrics == {
      for key, alarm in module.alarms[0].alarms : key => "${alarm.namespace} ${alarm.metric_name}"
      if alarm.metric_name != null
    }
    error_message = "Each alarm watches the metric that it is named after."
  }

  assert {
    condition = jsonencode({
      for key, alarm in module.alarms[0].alarms : key => alarm.dimensions
    }) == jsonencode(var.expected_dimensions)
    error_message = "Each alarm watches this stack's queue or stream."
  }

  assert {
    condition = alltrue([for key, alarm in module.alarms[0].alarms :
      alarm.alarm_actions == toset(var.alarm_actions[key == "dead_letters" ? "ticket" : "page"])
    ])
    error_message = "The alarms notify the topics of their severity."
  }

  assert {
    condition     = output.freshness_alarm_seconds == 900
    error_message = "15 minutes without delivery raise the alarm, because Firehose drops records after 24 hours."
  }

  assert {
    condition     = module.alarms[0].alarms["dead_letters"].threshold == 0
    error_message = "The first dead letter raises the alarm."
  }

  assert {
    condition     = module.alarms[0].alarms["dead_letters"].treat_missing_data == "ignore"
    error_message = "A dead letter keeps the alarm on although SQS emits nothing about a queue that nobody uses."
  }

  assert {
    condition     = module.alarms[0].alarms["apply_behind"].threshold == 900
    error_message = "Objects that wait for apply raise an alarm when the status of their changes becomes unknown."
  }

  assert {
    condition = jsonencode({
      for id, query in module.alarms[0].queries["records_lost"] : id => query.expression
    }) == jsonencode(var.expected_lost)
    error_message = "A lost record keeps the sum above zero, whichever of three periods the window starts at."
  }

  assert {
    condition = (
      jsonencode(module.alarms[0].queries["records_lost"]["delivered"].metric[0])
      == jsonencode(var.expected_delivered)
    )
    error_message = "The delivered records are those of this stack's Firehose stream."
  }

  assert {
    condition = (
      jsonencode(module.alarms[0].queries["records_lost"]["handled"].metric[0])
      == jsonencode(var.expected_handled)
    )
    error_message = "The handled records are those of this stack, in the same periods."
  }

  assert {
    condition = [
      for id, query in module.alarms[0].queries["records_lost"] : id if query.return_data == true
    ] == ["lost"]
    error_message = "An alarm watches exactly one series."
  }

  # The alarm may look back at most a day (86,400 seconds), because CloudWatch refuses a longer time.
  assert {
    condition     = module.alarms[0].alarms["records_lost"].evaluation_periods * 900 <= 86400
    error_message = "CloudWatch accepts the time over which the alarm looks back."
  }

  assert {
    condition     = module.alarms[0].alarms["records_lost"].datapoints_to_alarm == 4
    error_message = "Four periods must breach, because records in flight show in the newest period only."
  }
}

run "old_versions" {
  command = plan

  module {
    source = "./modules/write_log"
  }

  # Every prefix of the bucket but config/: those of this module, and those of quarantine, failed batches and archive.
  assert {
    condition = toset(module.bucket.noncurrent_prefixes) == toset([
      "aws/", "config/jobs/", "contract/", "errors/", "exports/", "log/", "quarantine/", "stream/",
    ])
    error_message = "S3 deletes old versions everywhere but under config/, which older versions of functions read."
  }

  assert {
    condition     = module.bucket.expirations == tomap({ "exports/" = 7 })
    error_message = "S3 deletes what an interrupted export has left, and nothing that the items are rebuilt from."
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
    condition     = output.queue_arn == "arn:aws-cn:sqs:eu-central-1:111122223333:readplane-apply"
    error_message = "ARNs name the partition that the stack is in."
  }

  assert {
    condition = (
      output.queue_url_ahead
      == "https://sqs.eu-central-1.amazonaws.com.cn/111122223333/readplane-apply"
    )
    error_message = "URLs name the domain of the partition that the stack is in."
  }
}

run "unkeyed" {
  command = plan

  module {
    source = "./modules/write_log"
  }

  variables {
    kms_key_arn = null
    has_key     = false
  }

  assert {
    condition     = !contains(keys(module.alarms[0].alarms), "key")
    error_message = "Without a customer managed key there is no alarm on it."
  }
}

run "unkeyed_on_an_emulator" {
  command = plan

  module {
    source = "./modules/write_log"
  }

  variables {
    kms_key_arn = null
    has_key     = false
    buffering   = { seconds = 0, megabytes = 1 }
    tls_only    = false
    alarms      = false
  }

  assert {
    condition = alltrue([for queue in [aws_sqs_queue.apply, aws_sqs_queue.dead_letters] :
      queue.sqs_managed_sse_enabled && queue.kms_master_key_id == null
    ])
    error_message = "Without a key, SQS's own key encrypts."
  }

  assert {
    condition     = module.firehose.stream.server_side_encryption[0].key_type == "AWS_OWNED_CMK"
    error_message = "Without a key, Firehose's own key encrypts."
  }

  assert {
    condition     = !strcontains(output.policies.firehose, "kms:")
    error_message = "Without a key, the role has no statement about one."
  }

  assert {
    condition     = jsondecode(output.policies.apply_queue).Statement[*].Sid == ["WriteLogNotifies"]
    error_message = "tls_only = false allows plain HTTP to the apply queue."
  }

  assert {
    condition     = length(jsondecode(output.policies.dead_letters).Statement) == 0
    error_message = "tls_only = false allows plain HTTP to the dead-letter queue."
  }

  assert {
    condition     = module.firehose.stream.extended_s3_configuration[0].buffering_interval == 0
    error_message = "0 seconds means at once, not the default."
  }

  assert {
    condition     = length(module.alarms) == 0 && output.freshness_alarm_seconds == null
    error_message = "alarms = false creates no alarm."
  }
}
