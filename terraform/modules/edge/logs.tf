# The log of the requests, in us-east-1, where CloudFront delivers it. Delivery is on a best-effort basis.
#
# The log holds no cookies and no query strings, because the sign-in page returns a code there. It holds the path, and
# so the ids of items.
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging.html
locals {
  log_fields = [
    "timestamp(ms)", "x-edge-location", "c-ip", "cs-method", "cs(Host)", "cs-uri-stem", "sc-status", "sc-bytes",
    "time-taken", "time-to-first-byte", "x-edge-result-type", "x-edge-detailed-result-type", "x-edge-request-id",
    "cs-protocol-version", "ssl-protocol", "cs(User-Agent)",
  ]

  # With a name of this form, the account's resource policy for vended logs covers the group.
  log_group = "/aws/vendedlogs/readplane/${var.account_name}/edge"
}

resource "aws_cloudwatch_log_group" "access" {
  count = var.access_logs ? 1 : 0

  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_key_arn
}

resource "aws_cloudwatch_log_delivery_source" "access" {
  count = var.access_logs ? 1 : 0

  name         = "${var.account_name}-edge"
  log_type     = "ACCESS_LOGS"
  resource_arn = aws_cloudfront_distribution.this.arn
}

resource "aws_cloudwatch_log_delivery_destination" "access" {
  count = var.access_logs ? 1 : 0

  name          = "${var.account_name}-edge"
  output_format = "json"

  delivery_destination_configuration {
    destination_resource_arn = aws_cloudwatch_log_group.access[0].arn
  }
}

resource "aws_cloudwatch_log_delivery" "access" {
  count = var.access_logs ? 1 : 0

  delivery_source_name     = aws_cloudwatch_log_delivery_source.access[0].name
  delivery_destination_arn = aws_cloudwatch_log_delivery_destination.access[0].arn
  record_fields            = local.log_fields
}
