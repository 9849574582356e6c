locals {
  queue_name = "${var.name}-apply"

  # Known before the queue is: the dead-letter queue names the only queue that may use it, which in turn names the dead-letter queue.
  queue_arn = "arn:aws:sqs:${local.region}:${local.account_id}:${local.queue_name}"
}

resource "aws_sqs_queue" "dead_letters" {
  name = "${local.queue_name}-dead-letters"

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
  message_retention_seconds  = 345600
  receive_wait_time_seconds  = 20
  visibility_timeout_seconds = var.visibility_timeout_seconds

  sqs_managed_sse_enabled           = local.keyed ? null : true
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = local.keyed ? 300 : null

  # Poison changes never fail a message (`apply` quarantines them). What fails is an outage, and ten attempts outlast a long one.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 10
  })
}

locals {
  queue_policies = { for key, queue in { apply = aws_sqs_queue.apply, dead_letters = aws_sqs_queue.dead_letters } : key => jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "DenyPlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = [queue.arn]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      # S3's service principal acts for every account: source bucket and account keep the others out.
      key == "apply" ? [{
        Sid       = "WriteLogNotifies"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = [queue.arn]
        Condition = {
          ArnEquals    = { "aws:SourceArn" = module.bucket.arn }
          StringEquals = { "aws:SourceAccount" = local.account_id }
        }
      }] : [],
    )
  }) }
}

resource "aws_sqs_queue_policy" "apply" {
  queue_url = aws_sqs_queue.apply.url
  policy    = local.queue_policies["apply"]
}

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.url
  policy    = local.queue_policies["dead_letters"]
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

  # S3 sends a test message when the notification is made, and refuses it if that fails.
  depends_on = [aws_sqs_queue_policy.apply]
}
