data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  keyed      = var.kms_key_arn != null
}

# Holds every accepted change whole and in order of arrival. The items are built from this log and can be rebuilt from
# it.
module "bucket" {
  source = "../bucket"

  name            = "${var.name}-write-log-${local.account_id}-${local.region}"
  kms_key_arn     = var.kms_key_arn
  force_destroy   = var.force_destroy
  tls_only        = var.tls_only
  noncurrent_days = 30

  # log/ holds the changes of clients, stream/ those of back offices (module
  # change_stream). Together they are the whole history.
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
      # Firehose sends the id of the account that owns the Firehose stream as the external id. So another account's
      # stream can't assume this role.
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
  # IAM roles are global, so the name contains the Region.
  name               = "${var.name}-${local.region}-firehose"
  assume_role_policy = local.firehose_trust_policy
}

resource "aws_iam_role_policy" "firehose" {
  name   = "deliver-write-log"
  role   = aws_iam_role.firehose.id
  policy = local.firehose_policy
}

# Makes every acknowledged change durable. Firehose keeps a change in three availability zones until S3 has it. If S3
# refuses the change, Firehose drops it after 24 hours, so the alarm `delivery_freshness` watches the delay.
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

    # Firehose writes an object when it reaches either limit. S3 is one of the destinations that accept 0 seconds.
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

  # Delivery starts with the first record. If the role didn't have its policy by then, delivery would fail, and Firehose
  # would retry for minutes.
  depends_on = [aws_iam_role_policy.firehose]
}
