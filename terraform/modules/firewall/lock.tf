# A web ACL that lets only the edge reach an API. CloudFront sends the API a secret in the header Referer, so whoever
# calls the API directly doesn't have it.
#
# It has no other rules about clients: it sees CloudFront's addresses and not theirs, so a limit per address would hit
# everybody at once.
#
# The health check stays open, because Route 53 asks it without a secret.
locals {
  lock_wcu = var.lock == null ? 0 : 2 * (1 + length(var.lock.generations)) + 1
}

resource "aws_wafv2_web_acl" "lock" {
  #checkov:skip=CKV_AWS_192:It only locks the API. The firewall of the edge has the group for known bad inputs.

  count = var.lock == null ? 0 : 1

  name        = "${var.name}-lock"
  description = "Lets only the edge of ${var.name} reach the API"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  custom_response_body {
    key          = "locked"
    content_type = "APPLICATION_JSON"
    content      = jsonencode({ type = "about:blank", title = "Forbidden", status = 403, detail = local.locked })
  }

  # Hides the secret in sampled requests too.
  data_protection_config {
    dynamic "data_protection" {
      for_each = local.protected_fields

      content {
        action = data_protection.value.action

        field {
          field_type = data_protection.value.type
          field_keys = data_protection.value.keys
        }
      }
    }
  }

  rule {
    name     = "lock"
    priority = 0

    action {
      block {
        custom_response {
          response_code            = 403
          custom_response_body_key = "locked"
        }
      }
    }

    statement {
      not_statement {
        statement {
          or_statement {
            statement {
              byte_match_statement {
                search_string         = "/v1/health"
                positional_constraint = "EXACTLY"

                field_to_match {
                  uri_path {}
                }

                text_transformation {
                  priority = 0
                  type     = "NONE"
                }
              }
            }

            dynamic "statement" {
              for_each = var.lock.generations

              content {
                byte_match_statement {
                  search_string         = var.secrets[statement.value]
                  positional_constraint = "EXACTLY"

                  field_to_match {
                    single_header {
                      name = "referer"
                    }
                  }

                  text_transformation {
                    priority = 0
                    type     = "NONE"
                  }
                }
              }
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "lock"
      sampled_requests_enabled   = true
    }
  }

  # A client that has no secret doesn't get here. So this rule only bounds what the edge passes on.
  rule {
    name     = "size"
    priority = 10

    action {
      block {
        custom_response {
          response_code            = 403
          custom_response_body_key = "locked"
        }
      }
    }

    statement {
      size_constraint_statement {
        comparison_operator = "GT"
        size                = 8192 # what CloudFront allows for a whole URL

        field_to_match {
          query_string {}
        }

        text_transformation {
          priority = 0
          type     = "NONE"
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "size"
      sampled_requests_enabled   = true
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "${var.name}-lock"
    sampled_requests_enabled   = true
  }

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  locked = "Call this API through its edge."
}

resource "aws_wafv2_web_acl_association" "lock" {
  count = var.lock == null ? 0 : 1

  resource_arn = var.lock.stage_arn
  web_acl_arn  = aws_wafv2_web_acl.lock[0].arn
}
