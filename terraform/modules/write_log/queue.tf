locals {
  queue_name = "${var.name}-apply"

  # Known before the queues are: the dead-letter queue names the only queue that may use it, which in turn names the dead-letter queue. And
  # a new queue takes the provider 25 seconds, for which the functions needn't wait to learn its URL: the SDK takes the queue's name and
  # account from it, and the host from its own configuration, so it serves on an emulator too.
  queue_arn        = "arn:${data.aws_partition.current.partition}:sqs:${local.region}:${local.account_id}:${local.queue_name}"
  queue_url        = "https://sqs.${local.region}.${data.aws_partition.current.dns_suffix}/${local.account_id}/${local.queue_name}"
  dead_letters_arn = "${local.queue_arn}-dead-letters"
}

resource "aws_sqs_queue" "dead_letters" {
  name   = "${local.queue_name}-dead-letters"
  policy = var.tls_only ? local.queue_policies["dead_letters"] : null

  # SQS counts from when the message was first sent, not from when it came here: 14 days is the most that SQS keeps.
  message_retention_seconds = 1209600

  # SQS refuses both at once.
  sqs_managed_sse_enabled           = local.keyed ? null : true
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = local.keyed ? 300 : null

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.queue_arn]
  })
}

resource "aws_sqs_queue" "apply" {
  name                       = local.queue_name
  policy                     = local.queue_policies["apply"]
  message_retention_seconds  = 345600
  receive_wait_time_seconds  = 20
  visibility_timeout_seconds = var.visibility_timeout_seconds

  sqs_managed_sse_enabled           = local.keyed ? null : true
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = local.keyed ? 300 : null

  # Poison changes never fail a message (`apply` quarantines them). What fails is an outage, and thirty attempts outlast a long one:
  # `apply` has a failed message come again after 2 s, then after twice as long up to 900 s, in sum five and a half hours. Where it dies
  # before it can say so, the message waits out its visibility time-out instead; thirty of the longest, 90 minutes, are still less than
  # the four days that the queue keeps a message.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 30
  })
}

locals {
  queue_policies = { for key, arn in { apply = local.queue_arn, dead_letters = local.dead_letters_arn } : key => jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      var.tls_only ? [{
        Sid       = "DenyPlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = [arn]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }] : [],
      # S3's service principal acts for every account: source bucket and account keep the others out.
      key == "apply" ? [{
        Sid       = "WriteLogNotifies"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = [arn]
        Condition = {
          ArnEquals    = { "aws:SourceArn" = module.bucket.arn }
          StringEquals = { "aws:SourceAccount" = local.account_id }
        }
      }] : [],
    )
  }) }
}

resource "aws_s3_bucket_notification" "this" {
  bucket = module.bucket.name

  # Only the log: an object that `apply` itself writes (quarantine/) must not call `apply`.
  queue {
    id            = "apply"
    queue_arn     = aws_sqs_queue.apply.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "log/"
  }
}
