# A Firehose stream that writes compressed objects to S3, with its role and its error log. The records come from a
# Kinesis stream, or callers put them into the Firehose stream.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  dns_suffix = data.aws_partition.current.dns_suffix

  # The part of an object's key that names the hour (UTC) in which its first record arrived.
  hour = "year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/kinesisfirehose/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_cloudwatch_log_stream" "this" {
  name           = "delivery"
  log_group_name = aws_cloudwatch_log_group.this.name
}

locals {
  trust_policy = jsonencode({
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

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.source_statements,
      local.destination_statements,
      [for statement in local.key_statements : statement if var.kms_key_arn != null],
    )
  })

  source_statements = [for stream in var.kinesis_stream[*] : {
    Sid      = "ReadStream"
    Effect   = "Allow"
    Action   = ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
    Resource = [stream.arn]
  }]

  destination_statements = [
    {
      Sid      = "WriteObjects"
      Effect   = "Allow"
      Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
      Resource = ["${var.bucket_arn}/${var.prefix}*", "${var.bucket_arn}/${var.error_prefix}*"]
    },
    {
      Sid      = "FindBucket"
      Effect   = "Allow"
      Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
      Resource = [var.bucket_arn]
    },
    {
      Sid      = "ReportDeliveryErrors"
      Effect   = "Allow"
      Action   = ["logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.this.arn}:log-stream:${aws_cloudwatch_log_stream.this.name}"]
    },
  ]

  key_statements = concat(
    [for stream in var.kinesis_stream[*] : {
      Sid      = "DecryptStream"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = [var.kms_key_arn]
      Condition = {
        StringEquals = {
          "kms:ViaService"                        = ["kinesis.${local.region}.${local.dns_suffix}"]
          "kms:EncryptionContext:aws:kinesis:arn" = [stream.arn]
        }
      }
    }],
    [{
      Sid       = "EncryptObjects"
      Effect    = "Allow"
      Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
      Resource  = [var.kms_key_arn]
      Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.region}.${local.dns_suffix}"] } }
    }],
  )
}

resource "aws_iam_role" "this" {
  name                 = var.role.name
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.trust_policy
}

resource "aws_iam_role_policy" "this" {
  name   = var.role.policy_name
  role   = aws_iam_role.this.id
  policy = local.policy
}

resource "aws_kinesis_firehose_delivery_stream" "this" {
  name        = var.name
  destination = "extended_s3"

  # Firehose keeps the records that callers put until S3 has them, and encrypts them in the meantime. With a Kinesis
  # stream as the source, AWS refuses this block, because Firehose then stores no records itself.
  dynamic "server_side_encryption" {
    for_each = var.kinesis_stream == null ? [1] : []

    content {
      enabled  = true
      key_type = var.kms_key_arn == null ? "AWS_OWNED_CMK" : "CUSTOMER_MANAGED_CMK"
      key_arn  = var.kms_key_arn
    }
  }

  dynamic "kinesis_source_configuration" {
    for_each = var.kinesis_stream[*]

    content {
      kinesis_stream_arn = kinesis_source_configuration.value.created_arn
      role_arn           = aws_iam_role.this.arn
    }
  }

  extended_s3_configuration {
    role_arn   = aws_iam_role.this.arn
    bucket_arn = var.bucket_arn

    buffering_interval = var.buffering.seconds
    buffering_size     = var.buffering.megabytes
    compression_format = "GZIP"
    kms_key_arn        = var.kms_key_arn

    prefix              = "${var.prefix}${local.hour}"
    error_output_prefix = "${var.error_prefix}!{firehose:error-output-type}/${local.hour}"

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.this.name
      log_stream_name = aws_cloudwatch_log_stream.this.name
    }
  }

  # The role must have its policy first. With a Kinesis stream as the source, AWS couldn't create the Firehose stream
  # otherwise, because Firehose starts to read at once. With records from callers, the first deliveries would fail, and
  # Firehose would retry them for minutes.
  depends_on = [aws_iam_role_policy.this]
}
