# The log of the requests that a rule refuses or counts. It has no others, because every request of every client would
# be 0.50 $ a GB.
#
# AWS WAF writes only to a log group whose name begins so, in the web ACL's Region: us-east-1 for the edge.
# https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
locals {
  kind       = var.lock == null ? "edge" : "lock"
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition
  log_group  = "aws-waf-logs-${var.name}-${local.kind}"
  log_arn    = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${local.log_group}"

  log_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "WafWrites"
      Effect    = "Allow"
      Principal = { Service = "delivery.logs.amazonaws.com" }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = ["${local.log_arn}:*"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:logs:${local.region}:${local.account_id}:*" }
      }
    }]
  })

  # The secret of the lock is in the header Referer, and a caller of a backend sends its key in X-Api-Key. The query
  # holds the code with which the sign-in page returns.
  redacted_headers = ["authorization", "cookie", "proxy-authorization", "referer", "x-api-key"]
}

resource "aws_cloudwatch_log_group" "waf" {
  count = var.logging ? 1 : 0

  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# An account may have ten of these policies in a Region.
resource "aws_cloudwatch_log_resource_policy" "waf" {
  count = var.logging ? 1 : 0

  policy_name     = local.log_group
  policy_document = local.log_policy
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  count = var.logging ? 1 : 0

  resource_arn            = var.lock == null ? aws_wafv2_web_acl.edge[0].arn : aws_wafv2_web_acl.lock[0].arn
  log_destination_configs = [aws_cloudwatch_log_group.waf[0].arn]

  dynamic "redacted_fields" {
    for_each = local.redacted_headers

    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }

  redacted_fields {
    query_string {}
  }

  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      # EXCLUDED_AS_COUNT means AWS's rules whose action is overridden with count.
      dynamic "condition" {
        for_each = ["BLOCK", "COUNT", "EXCLUDED_AS_COUNT"]

        content {
          action_condition {
            action = condition.value
          }
        }
      }
    }
  }

  depends_on = [aws_cloudwatch_log_resource_policy.waf]
}
