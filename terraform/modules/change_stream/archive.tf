# The archive of the change stream in S3. Kinesis deletes a record after retention_hours, but the archive keeps it, so
# the items can be rebuilt from S3 alone. The archive lies under stream/ and not under log/, because S3 notifies `apply`
# of every object under log/, and `apply` already gets these changes from the stream.
#
# The Firehose stream that writes the archive starts reading the change stream at LATEST, so it misses records that were
# put before it existed. For that reason module `poll` creates its schedules after this Firehose stream.
module "archive" {
  source = "../firehose_to_s3"

  name = "${local.stream_name}-archive"

  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  role = { name = "${var.name}-${local.region}-archive", policy_name = "archive-changes" }

  kinesis_stream     = { arn = local.stream_arn, created_arn = aws_kinesis_stream.this.arn }
  bucket_arn         = var.archive.bucket_arn
  prefix             = "stream/"
  error_prefix       = "errors/stream/"
  buffering          = { seconds = var.archive.seconds, megabytes = var.archive.megabytes }
  kms_key_arn        = var.kms_key_arn
  roles              = var.roles
  log_retention_days = var.log_retention_days
}
