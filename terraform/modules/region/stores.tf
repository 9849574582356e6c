# What `read` and `publish` have to do with the private stores: `read` asks the item cache before DynamoDB, and
# `publish` tells `feed` which items have changed.
locals {
  cache_settings = { for cache in var.cache[*] : "cache" => jsondecode(cache.settings) }

  feed_settings = { for setting in ["feeds"] : setting => {
    for store, feed in var.feeds : store => { queue_url = feed.queue_url, collections = feed.collections }
  } if length(var.feeds) > 0 }

  feed_statements = [for arns in [values(var.feeds)[*].queue_arn] : {
    Sid      = "SendKeys"
    Action   = ["sqs:SendMessage"]
    Resource = arns
  } if length(arns) > 0]

  # `publish` uses the key for the messages, too, if it sends any.
  feed_services = length(var.feeds) > 0 ? ["sqs"] : []
}

# The client of DynamoDB Accelerator, for `read`.
resource "aws_lambda_layer_version" "dax" {
  count = try(var.cache.engine, null) == "dax" ? 1 : 0

  layer_name               = "${var.name}-dax"
  description              = "The client of DynamoDB Accelerator"
  filename                 = var.code.s3 == null ? var.code.dax_layer_zip : null
  source_code_hash         = var.code.s3 == null ? filebase64sha256(var.code.dax_layer_zip) : null
  s3_bucket                = try(var.code.s3.bucket, null)
  s3_key                   = try(var.code.s3.keys[var.code.dax_layer_zip], null)
  compatible_runtimes      = ["python3.13"]
  compatible_architectures = [var.code.architecture]

  # As the other layer (functions.tf).
  lifecycle {
    create_before_destroy = true
  }
}
