# The archive of the change stream in S3. Kinesis deletes a record after retention_hours, but the archive keeps it, so
# the items can be rebuilt from S3 alone. The archive lies under stream/ and not under log/, because S3 notifies `apply`
# of every object under log/, and `apply` already gets these changes from the stream.

resource "aws_cloudwatch_log_group" "archive" {
  name              = "/aws/kinesisfirehose/${local.stream_name}-archive"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_cloudwatch_log_stream" "archive" {
  name           = "delivery"
  log_group_name = aws_cloudwatch_log_group.archive.name
}

locals {
  archive_trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "FirehoseArchives"
      Effect    = "Allow"
      Principal = { Service = "firehose.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      # Firehose sends the id of the account that owns the Firehose stream as the external id. With this condition,
      # Firehose can't assume the role for another account's Firehose stream.
      Condition = { StringEquals = { "sts:ExternalId" = local.account_id } }
    }]
  })

  archive_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "ReadChanges"
          Effect   = "Allow"
          Action   = ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
          Resource = [local.stream_arn]
        },
        {
          Sid      = "WriteArchive"
          Effect   = "Allow"
          Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
          Resource = ["${var.archive.bucket_arn}/stream/*", "${var.archive.bucket_arn}/errors/stream/*"]
        },
        {
          Sid      = "FindLogBucket"
          Effect   = "Allow"
          Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
          Resource = [var.archive.bucket_arn]
        },
        {
          Sid      = "ReportDeliveryErrors"
          Effect   = "Allow"
          Action   = ["logs:PutLogEvents"]
          Resource = ["${aws_cloudwatch_log_group.archive.arn}:log-stream:${aws_cloudwatch_log_stream.archive.name}"]
        },
      ],
      [for statement in [
        {
          Sid      = "DecryptChanges"
          Effect   = "Allow"
          Action   = ["kms:Decrypt"]
          Resource = [var.kms_key_arn]
          Condition = {
            StringEquals = {
              "kms:ViaService"                        = ["kinesis.${local.region}.amazonaws.com"]
              "kms:EncryptionContext:aws:kinesis:arn" = [local.stream_arn]
            }
          }
        },
        {
          Sid       = "EncryptArchive"
          Effect    = "Allow"
          Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
          Resource  = [var.kms_key_arn]
          Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.region}.amazonaws.com"] } }
        },
      ] : statement if local.keyed],
    )
  })
}

resource "aws_iam_role" "archive" {
  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name               = "${var.name}-${local.region}-archive"
  assume_role_policy = local.archive_trust_policy
}

resource "aws_iam_role_policy" "archive" {
  name   = "archive-changes"
  role   = aws_iam_role.archive.id
  policy = local.archive_policy
}

# The Firehose stream that writes the archive. It starts reading the change stream at LATEST, so it misses records that
# were put before it existed. For that reason module `poll` creates its schedules after this Firehose stream.
#
# server_side_encryption isn't set, because AWS refuses it if the source is a Kinesis stream. Firehose then stores no
# records itself, so there is nothing that it could encrypt.
resource "aws_kinesis_firehose_delivery_stream" "archive" {
  name        = "${local.stream_name}-archive"
  destination = "extended_s3"

  kinesis_source_configuration {
    kinesis_stream_arn = aws_kinesis_stream.this.arn
    role_arn           = aws_iam_role.archive.arn
  }

  extended_s3_configuration {
    role_arn   = aws_iam_role.archive.arn
    bucket_arn = var.archive.bucket_arn

    buffering_interval = var.archive.seconds
    buffering_size     = var.archive.megabytes
    compression_format = "GZIP"
    kms_key_arn        = var.kms_key_arn

    prefix              = "stream/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"
    error_output_prefix = "errors/stream/!{firehose:error-output-type}/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.archive.name
      log_stream_name = aws_cloudwatch_log_stream.archive.name
    }
  }

  # The role must have its policy first. Firehose reads its source as soon as it is created, so without the policy the
  # creation would fail.
  depends_on = [aws_iam_role_policy.archive]
}
