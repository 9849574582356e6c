# One self-contained Region of the stack: API, functions, write log and documents. Both Regions accept reads and writes.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix

  # If a change is older than this number of seconds, and is neither applied nor quarantined, `read` reports its status
  # as unknown instead of pending.
  pending_seconds = max(900, var.write_log.buffering_seconds + 300)
}

module "write_log" {
  source = "../write_log"

  name        = var.name
  kms_key_arn = var.kms_key_arn
  has_key     = var.has_key

  buffering = { seconds = var.write_log.buffering_seconds, megabytes = var.write_log.buffering_megabytes }
  storage = {
    infrequent_access_days = var.write_log.infrequent_access_days
    glacier_instant_days   = var.write_log.glacier_instant_days
  }

  # AWS advises a visibility timeout of six times the timeout of `apply`. If `apply` is throttled, Lambda needs time to
  # try the batch again. If the timeout ended meanwhile, SQS would deliver the same batch a second time.
  visibility_timeout_seconds = 6 * var.functions["apply"].timeout_seconds

  # The threshold of the alarm `delivery_freshness`. It includes Firehose's buffering interval, because a record can
  # wait that long in the buffer although nothing is wrong.
  freshness_alarm_seconds = local.pending_seconds

  roles              = var.roles
  access_log_bucket  = var.access_log_bucket
  log_retention_days = var.log_retention_days
  force_destroy      = var.force_destroy
  tls_only           = var.tls_only
  alarms             = var.alarms
  alarm_actions      = var.alarm_actions
}

module "documents" {
  source = "../documents"

  name              = var.name
  kms_key_arn       = var.kms_key_arn
  roles             = var.roles
  access_log_bucket = var.access_log_bucket
  force_destroy     = var.force_destroy
  tls_only          = var.tls_only
  reader_arns       = var.edge_arns
}

module "api" {
  source = "../api"

  name                = var.name
  endpoint_type       = var.api.endpoint_type
  user_pool_arn       = var.identity.user_pool_arn
  functions           = { for key in local.called_functions : key => local.api_functions[key] }
  documents_bucket    = module.documents.bucket
  routes              = local.routes
  usage_plans         = local.usage_plans
  key_authorizer      = one(module.backend_auth[*].authorizer)
  cors_origins        = var.api.cors_origins
  cors_headers        = var.api.cors_headers
  cache_size          = var.api.cache_size
  throttle            = var.api.throttle
  method_metrics      = var.api.method_metrics
  log_retention_days  = var.log_retention_days
  kms_key_arn         = var.kms_key_arn
  escape_method_paths = var.api.escape_method_paths
  domain              = var.domain
  health_check        = var.health_check
  origin              = var.origin
  origin_secrets      = var.origin_secrets
}
