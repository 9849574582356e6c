data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  keyed      = var.kms_key_arn != null

  table_name = "${var.name}-checkpoints"
}

# The table of the checkpoint and lease of each source, and of the items that a running sweep has seen so far. Each
# Region that can poll has its own. DynamoDB keeps no order between items when it replicates a table, so a checkpoint
# could arrive in the other Region before the changes that it covers. A poll that continued there from the checkpoint
# would skip these changes. So a Region that takes a source over begins at an older position (poll/switch.py).
resource "aws_dynamodb_table" "checkpoints" {
  name         = local.table_name
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"

  attribute {
    name = "pk"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  # The block is left out if there is no customer managed key. DynamoDB then encrypts with a key that it owns, free of
  # charge. With `enabled = true` but no ARN, DynamoDB would use the key aws/dynamodb, which costs money.
  dynamic "server_side_encryption" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      enabled     = true
      kms_key_arn = server_side_encryption.value
    }
  }

  deletion_protection_enabled = var.deletion_protection
}

resource "aws_lambda_layer_version" "poll" {
  layer_name               = "${var.name}-poll"
  description              = "What poll alone needs beyond the runtime: an HTTP client and the time zones"
  filename                 = var.code.s3 == null ? var.code.poll_layer_zip : null
  source_code_hash         = var.code.s3 == null ? filebase64sha256(var.code.poll_layer_zip) : null
  s3_bucket                = try(var.code.s3.bucket, null)
  s3_key                   = try(var.code.s3.keys[var.code.poll_layer_zip], null)
  compatible_runtimes      = ["python3.13"]
  compatible_architectures = [var.code.architecture]

  # Terraform creates the new layer version before it deletes the old one, because the live version of `poll` uses the
  # old one until the new version of `poll` is live.
  lifecycle {
    create_before_destroy = true
  }
}

locals {
  # Without another Region that can poll, the settings don't name the first one, so that `poll` asks for no switch.
  first_region = { for region in compact([var.first_region]) : "first_region" => region }

  settings = jsonencode(merge(local.first_region, {
    name              = var.name
    items_table       = var.items.name
    items_index       = var.items.index_name
    checkpoints_table = local.table_name
    stream            = var.stream.name
    log_bucket        = var.log_bucket.name
    quarantine_prefix = "quarantine/"
    documents         = [for documents in var.documents : { region = documents.region, bucket = documents.bucket }]
    horizon_days      = var.horizon_days
    config = {
      bucket = var.log_bucket.name
      key    = aws_s3_object.sources.key
      # S3 gives the version "null" to an object that it stored before it knew that the bucket is versioned.
      version_id = coalesce(aws_s3_object.sources.version_id, "null")
      sha256     = sha256(local.config)
    }
    collections = {
      for c, collection in var.collections : c => {
        read = collection.read, cache_ttl = collection.cache_ttl, edge_ttl = collection.edge_ttl
      }
    }
  }))
}

module "poll" {
  source = "../function"

  name     = var.name
  function = "poll"
  code = {
    zip          = var.code.zip
    s3           = var.code.s3 == null ? null : { bucket = var.code.s3.bucket, key = var.code.s3.keys[var.code.zip] }
    architecture = var.code.architecture
    layers       = [var.code.layer_arn, aws_lambda_layer_version.poll.arn]
  }

  memory_mb            = var.function.memory_mb
  timeout_seconds      = var.function.timeout_seconds
  reserved_concurrency = var.function.reserved_concurrency
  snap_start           = false # no client waits for `poll` to start, and AWS bills a snapshot for as long as it exists
  vpc                  = var.vpc
  republish            = var.republish
  release              = var.release
  settings             = local.settings
  statements           = local.statements

  kms_key_arn        = var.kms_key_arn
  roles              = var.roles
  log_retention_days = var.log_retention_days
  alarms             = var.alarms
  alarm_actions      = var.alarm_actions
}

# Schedules invoke `poll` asynchronously. Lambda must not retry an event that failed, because the next scheduled run is
# the retry. (By default, Lambda would retry it twice.) If Lambda can't start `poll` within a minute after an event, it
# drops the event, because the next scheduled run replaces it. (By default, Lambda would keep trying for six hours.)
resource "aws_lambda_function_event_invoke_config" "poll" {
  function_name                = module.poll.function_name
  qualifier                    = module.poll.qualifier
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

# The same for the alias that CodeDeploy moves.
resource "aws_lambda_function_event_invoke_config" "released" {
  count = var.release == null ? 0 : 1

  function_name                = module.poll.function_name
  qualifier                    = module.poll.released_alias
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}
