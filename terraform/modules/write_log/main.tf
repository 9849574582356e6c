data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  keyed      = var.kms_key_arn != null
}

# The bucket of the write log. It holds every accepted change whole and in order of arrival. The items are built from
# this log and can be rebuilt from it.
module "bucket" {
  source = "../bucket"

  name            = "${var.name}-write-log-${local.account_id}-${local.region}"
  kms_key_arn     = var.kms_key_arn
  force_destroy   = var.force_destroy
  tls_only        = var.tls_only
  noncurrent_days = 30

  # The key prefix log/ holds the changes of clients, and stream/ those of back offices (module change_stream). Together
  # they are the whole history of the items.
  transitions = { for prefix in ["log/", "stream/"] : prefix => [
    { days = var.storage.infrequent_access_days, storage_class = "STANDARD_IA" },
    { days = var.storage.glacier_instant_days, storage_class = "GLACIER_IR" },
  ] }
}

resource "aws_cloudwatch_log_group" "firehose" {
  name              = "/aws/kinesisfirehose/${var.name}-write-log"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_cloudwatch_log_stream" "firehose" {
  name           = "delivery"
  log_group_name = aws_cloudwatch_log_group.firehose.name
}

locals {
  firehose_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "FirehoseDelivers"
      Effect    = "Allow"
      Principal = { Service = "firehose.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      # Firehose sends the id of the account that owns the Firehose stream as the external id. With this condition,
      # Firehose can't assume the role for another account's Firehose stream.
      Condition = { StringEquals = { "sts:ExternalId" = local.account_id } }
    }]
  })

  firehose_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "WriteLogObjects"
          Effect   = "Allow"
          Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
          Resource = ["${module.bucket.arn}/log/*", "${module.bucket.arn}/errors/*"]
        },
        {
          Sid      = "FindLogBucket"
          Effect   = "Allow"
          Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
          Resource = [module.bucket.arn]
        },
        {
          Sid      = "ReportDeliveryErrors"
          Effect   = "Allow"
          Action   = ["logs:PutLogEvents"]
          Resource = ["${aws_cloudwatch_log_group.firehose.arn}:log-stream:${aws_cloudwatch_log_stream.firehose.name}"]
        },
      ],
      local.keyed ? [{
        Sid       = "EncryptLogObjects"
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = [var.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.region}.amazonaws.com"] } }
      }] : [],
    )
  })
}

resource "aws_iam_role" "firehose" {
  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name               = "${var.name}-${local.region}-firehose"
  assume_role_policy = local.firehose_trust_policy
}

resource "aws_iam_role_policy" "firehose" {
  name   = "deliver-write-log"
  role   = aws_iam_role.firehose.id
  policy = local.firehose_policy
}

# The Firehose stream that makes every acknowledged change durable. It keeps a change in three availability zones until
# S3 has the change. If S3 keeps refusing the change, Firehose drops it after 24 hours, so the alarm
# `delivery_freshness` watches the delay.
resource "aws_kinesis_firehose_delivery_stream" "this" {
  name        = "${var.name}-write-log"
  destination = "extended_s3"

  dynamic "server_side_encryption" {
    for_each = local.keyed ? [var.kms_key_arn] : []

    content {
      enabled  = true
      key_type = "CUSTOMER_MANAGED_CMK"
      key_arn  = server_side_encryption.value
    }
  }

  dynamic "server_side_encryption" {
    for_each = local.keyed ? [] : ["a key that AWS owns"]

    content {
      enabled  = true
      key_type = "AWS_OWNED_CMK"
    }
  }

  extended_s3_configuration {
    role_arn   = aws_iam_role.firehose.arn
    bucket_arn = module.bucket.arn

    # Firehose writes an object to S3 as soon as its buffer reaches this age (interval) or this size. An interval of 0
    # seconds is allowed, because the destination is S3.
    buffering_interval = var.buffering.seconds
    buffering_size     = var.buffering.megabytes
    compression_format = "GZIP"
    kms_key_arn        = var.kms_key_arn

    prefix              = "log/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"
    error_output_prefix = "errors/!{firehose:error-output-type}/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.firehose.name
      log_stream_name = aws_cloudwatch_log_stream.firehose.name
    }
  }

  # The role must have its policy before the first record arrives. Otherwise the delivery would fail, and Firehose would
  # retry for minutes.
  depends_on = [aws_iam_role_policy.firehose]
}
