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

  # All prefixes but config/. The objects there hold the settings of functions, and each version of a function reads the
  # object's version that was deployed with it. So a version of a function stays usable for as long as it exists. Below
  # config/jobs/ are the positions of operators' jobs. A job writes its position every second, and nobody reads an old
  # one.
  noncurrent_prefixes = ["aws/", "config/jobs/", "contract/", "errors/", "exports/", "log/", "quarantine/", "stream/"]

  # Below exports/ are exports of the items table, which `verify --export` deletes when it has read them. The rule
  # deletes those of an interrupted command.
  expirations = { "exports/" = 7 }

  access_log_bucket = var.access_log_bucket

  # The key prefix log/ holds the changes of clients, and stream/ those of back offices (module change_stream). Together
  # they are the whole history of the items.
  transitions = { for prefix in ["log/", "stream/"] : prefix => [
    { days = var.storage.infrequent_access_days, storage_class = "STANDARD_IA" },
    { days = var.storage.glacier_instant_days, storage_class = "GLACIER_IR" },
  ] }
}

# The Firehose stream that makes every acknowledged change durable. It keeps a change in three availability zones until
# S3 has the change. If S3 keeps refusing the change, Firehose drops it after 24 hours, so the alarm
# `delivery_freshness` watches the delay.
module "firehose" {
  source = "../firehose_to_s3"

  name = "${var.name}-write-log"

  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  role = { name = "${var.name}-${local.region}-firehose", policy_name = "deliver-write-log" }

  bucket_arn         = module.bucket.arn
  prefix             = "log/"
  error_prefix       = "errors/"
  buffering          = var.buffering
  kms_key_arn        = var.kms_key_arn
  roles              = var.roles
  log_retention_days = var.log_retention_days
}
