# The queue of each store, and its dead letters. A message holds up to 100 keys of items, and no data. So keys may
# arrive twice or in any order, and a store can be rebuilt from its queue: put the keys of all items into it again.
locals {
  queue_names = { for store in keys(local.stores) : store => "${var.name}-feed-${store}" }

  # Composed, because each queue's settings contain the other queue's ARN.
  queue_arns = { for store, name in local.queue_names : store => (
    "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${name}"
  ) }
  dead_letter_arns = { for store, arn in local.queue_arns : store => "${arn}-dead-letters" }

  queue_policies       = { for store, arn in local.queue_arns : store => local.plain_http_policies[arn] }
  dead_letter_policies = { for store, arn in local.dead_letter_arns : store => local.plain_http_policies[arn] }

  # Roles of the account get their access from their own policies. Nobody else has any.
  all_arns = concat(values(local.queue_arns), values(local.dead_letter_arns))
  plain_http_policies = { for arn in local.all_arns : arn => jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DenyPlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = [arn]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  }) }
}

resource "aws_sqs_queue" "dead_letters" {
  for_each = local.stores

  name   = "${local.queue_names[each.key]}-dead-letters"
  policy = var.tls_only ? local.dead_letter_policies[each.key] : null

  # 14 days, SQS's maximum. SQS counts them from when `publish` first sent the message.
  message_retention_seconds = 1209600

  # sqs_managed_sse_enabled stays unset if there is a KMS key, because SQS refuses a queue that has both kinds of
  # encryption.
  sqs_managed_sse_enabled           = local.keyed ? null : true
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = local.keyed ? 300 : null

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.queue_arns[each.key]]
  })
}

resource "aws_sqs_queue" "this" {
  for_each = local.stores

  name                      = local.queue_names[each.key]
  policy                    = var.tls_only ? local.queue_policies[each.key] : null
  message_retention_seconds = 345600
  receive_wait_time_seconds = 20

  # AWS advises six times the timeout of the function. If `feed` is throttled, Lambda needs time to try the batch again.
  # A message that failed comes back after this time, because `feed` can't reach SQS from the VPC to shorten it.
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  visibility_timeout_seconds = 6 * var.function.timeout_seconds

  sqs_managed_sse_enabled           = local.keyed ? null : true
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = local.keyed ? 300 : null

  # So many attempts outlast a failover, a restart and a long outage of a store: ten hours, or as long as the queue
  # keeps a message. `feed` writes every row of a batch that can be written, so only a store that is down or an item
  # that it can't hold fails a message.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[each.key].arn
    maxReceiveCount     = local.attempts
  })
}

locals {
  # 36,000 seconds of visibility timeouts, and at least 20 attempts.
  attempts = max(20, min(1000, floor(36000 / (6 * var.function.timeout_seconds))))
}
