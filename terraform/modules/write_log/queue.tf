locals {
  queue_name = "${var.name}-apply"

  # The ARNs of both queues and the URL of the apply queue are composed here, because other resources need them before
  # the queues exist. Each queue's settings contain the other queue's ARN. The functions' settings contain the URL, so
  # the functions needn't wait the 25 seconds that the AWS provider takes to create a queue.
  #
  # The URL works on an emulator too, although it names a host of AWS. The AWS SDK takes only the account and the queue
  # name from the URL, and the host from the SDK's own configuration.
  partition        = data.aws_partition.current.partition
  dns_suffix       = data.aws_partition.current.dns_suffix
  queue_arn        = "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${local.queue_name}"
  queue_url        = "https://sqs.${local.region}.${local.dns_suffix}/${local.account_id}/${local.queue_name}"
  dead_letters_arn = "${local.queue_arn}-dead-letters"
}

resource "aws_sqs_queue" "dead_letters" {
  name   = "${local.queue_name}-dead-letters"
  policy = var.tls_only ? local.dead_letters_policy : null

  # The dead-letter queue keeps a message for 14 days, SQS's maximum. SQS counts them from when S3 first sent the
  # message, not from when it became a dead letter.
  message_retention_seconds = 1209600

  # sqs_managed_sse_enabled stays unset if there is a KMS key, because SQS refuses a queue that has both kinds of
  # encryption.
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
  policy                     = local.apply_queue_policy
  message_retention_seconds  = 345600
  receive_wait_time_seconds  = 20
  visibility_timeout_seconds = var.visibility_timeout_seconds

  sqs_managed_sse_enabled           = local.keyed ? null : true
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = local.keyed ? 300 : null

  # Thirty attempts outlast a long outage. `apply` quarantines a change that can't be applied, so a message fails only
  # in an outage. `apply` makes a failed message visible again after 2 seconds, then after twice as long each time, up
  # to 900 seconds. All attempts together take five and a half hours.
  #
  # If `apply` dies before it makes the message visible again, the message stays hidden for the whole visibility timeout
  # of the queue, which is at most 90 minutes. Thirty times 90 minutes are still less than the four days for which the
  # queue keeps a message.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 30
  })
}

locals {
  apply_queue_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for statement in local.plain_http_statements : merge(statement, { Resource = [local.queue_arn] })],
      # Allows S3 to send notifications to the apply queue. S3's service principal acts for every AWS account, so the
      # condition admits only the write-log bucket of this account.
      [{
        Sid       = "WriteLogNotifies"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = ["sqs:SendMessage"]
        Resource  = [local.queue_arn]
        Condition = {
          ArnEquals    = { "aws:SourceArn" = module.bucket.arn }
          StringEquals = { "aws:SourceAccount" = local.account_id }
        }
      }],
    )
  })

  dead_letters_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for statement in local.plain_http_statements : merge(statement, { Resource = [local.dead_letters_arn] })
    ]
  })

  # What both policies say about plain HTTP: nothing without tls_only.
  plain_http_statements = [for statement in [{
    Sid       = "DenyPlainHttp"
    Effect    = "Deny"
    Principal = "*"
    Action    = "sqs:*"
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }] : statement if var.tls_only]
}

locals {
  creation_events = [for kind in ["Put", "Post", "CompleteMultipartUpload"] : "s3:ObjectCreated:${kind}"]
}

resource "aws_s3_bucket_notification" "this" {
  bucket = module.bucket.name

  # S3 notifies `apply` only of objects under log/. The objects that `apply` itself writes (under quarantine/) must not
  # invoke `apply` again.
  #
  # A copy isn't announced either. `readplane erase finish` rewrites objects by a copy: their changes are applied and
  # counted already, and old ones would go to quarantine. To have a copied object applied, use `readplane replay`.
  queue {
    id            = "apply"
    queue_arn     = aws_sqs_queue.apply.arn
    events        = local.creation_events
    filter_prefix = "log/"
  }
}
