# The web ACL of the edge. CloudFront asks it about every request, before the cache and before `edge_auth`.
#
# It sees the beginning of a body only: 16 KB, or up to 64 KB with body_kb. A document has up to 256 KiB. So the rules
# on bodies are AWS's own, they count at first, and what keeps bad content out is the check of every item in `write`.
#
# The rules are blocks of this resource, because version 5 of the provider has no resource for a single rule, and with
# rule_json Terraform couldn't see whether somebody changed one.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

resource "aws_wafv2_web_acl" "edge" {
  #checkov:skip=CKV_AWS_192:The group for known bad inputs is a dynamic block, which this check can't read.

  count = var.web_acl == null ? 0 : 1

  name        = "${var.name}-edge"
  description = "The firewall of the edge of ${var.name}"
  scope       = "CLOUDFRONT"

  default_action {
    allow {}
  }

  dynamic "custom_response_body" {
    for_each = local.answers

    content {
      key          = custom_response_body.key
      content_type = "APPLICATION_JSON"
      content = jsonencode({
        type   = "about:blank"
        title  = custom_response_body.value.title
        status = custom_response_body.value.status
        detail = custom_response_body.value.detail
      })
    }
  }

  # How much of a body AWS WAF looks at. Each 16 KB after the first cost 0.30 $ per million requests
  # with a longer body.
  # https://docs.aws.amazon.com/waf/latest/APIReference/API_AssociationConfig.html
  association_config {
    request_body {
      cloudfront {
        default_size_inspection_limit = "KB_${var.web_acl.body_kb}"
      }
    }
  }

  # AWS WAF hides these in everything that it stores, sampled requests included. A hash lets somebody who has a token
  # find its requests. The query parameters are those with which the sign-in page returns to the web client.
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

  # --- AWS's rules

  dynamic "rule" {
    for_each = local.group_modes

    content {
      name     = "group-${rule.key}"
      priority = local.priorities[rule.key]

      # `none` leaves each rule its action. `count` would switch a whole group off, so only a group that shall count has
      # it, for the rules that aren't named in the overrides.
      override_action {
        dynamic "none" {
          for_each = rule.value == "block" ? [1] : []

          content {}
        }

        dynamic "count" {
          for_each = rule.value == "count" ? [1] : []

          content {}
        }
      }

      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = local.managed[rule.key].name

          dynamic "managed_rule_group_configs" {
            for_each = rule.key == "bot_control" ? [1] : []

            content {
              aws_managed_rules_bot_control_rule_set {
                inspection_level = "COMMON"
              }
            }
          }

          dynamic "rule_action_override" {
            for_each = local.overrides[rule.key]

            content {
              name = rule_action_override.key

              action_to_use {
                dynamic "block" {
                  for_each = rule_action_override.value == "block" ? [1] : []

                  content {
                    custom_response {
                      response_code            = local.answers.refused.status
                      custom_response_body_key = "refused"
                    }
                  }
                }

                dynamic "count" {
                  for_each = rule_action_override.value == "count" ? [1] : []

                  content {}
                }
              }
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "group-${rule.key}"
        sampled_requests_enabled   = true
      }
    }
  }

  # --- The stack's own rules

  dynamic "rule" {
    for_each = local.own_rules

    content {
      name     = rule.key
      priority = rule.value.priority

      action {
        dynamic "allow" {
          for_each = rule.value.mode == "allow" ? [1] : []

          content {}
        }

        dynamic "count" {
          for_each = rule.value.mode == "count" ? [1] : []

          content {}
        }

        dynamic "block" {
          for_each = rule.value.mode == "block" ? [1] : []

          content {
            custom_response {
              response_code            = local.answers[rule.value.answer].status
              custom_response_body_key = rule.value.answer

              dynamic "response_header" {
                for_each = rule.value.rate[*]

                content {
                  name  = "Retry-After"
                  value = tostring(var.web_acl.rate.window)
                }
              }
            }
          }
        }
      }

      statement {
        dynamic "rate_based_statement" {
          for_each = rule.value.rate[*]

          content {
            limit                 = rate_based_statement.value.limit
            evaluation_window_sec = var.web_acl.rate.window
            aggregate_key_type    = rate_based_statement.value.by == "token" ? "CUSTOM_KEYS" : "IP"

            dynamic "custom_key" {
              for_each = rate_based_statement.value.by == "token" ? [1] : []

              content {
                header {
                  name = "authorization"

                  text_transformation {
                    priority = 0
                    type     = "NONE"
                  }
                }
              }
            }
          }
        }

        dynamic "geo_match_statement" {
          for_each = [for countries in rule.value.countries[*] : countries if !countries.negate]

          content {
            country_codes = geo_match_statement.value.codes
          }
        }

        dynamic "not_statement" {
          for_each = [for countries in rule.value.countries[*] : countries if countries.negate]

          content {
            statement {
              geo_match_statement {
                country_codes = not_statement.value.codes
              }
            }
          }
        }

        dynamic "or_statement" {
          for_each = length(rule.value.alternatives) == 0 ? [] : [rule.value.alternatives]

          content {
            dynamic "statement" {
              for_each = or_statement.value

              content {
                dynamic "ip_set_reference_statement" {
                  for_each = statement.value.kind == "ip_set" ? [statement.value.of] : []

                  content {
                    arn = aws_wafv2_ip_set.this[ip_set_reference_statement.value].arn
                  }
                }

                dynamic "size_constraint_statement" {
                  for_each = statement.value.kind == "size" ? [statement.value] : []

                  content {
                    comparison_operator = "GT"
                    size                = size_constraint_statement.value.limit

                    field_to_match {
                      dynamic "uri_path" {
                        for_each = size_constraint_statement.value.of == "path" ? [1] : []

                        content {}
                      }

                      dynamic "query_string" {
                        for_each = size_constraint_statement.value.of == "query" ? [1] : []

                        content {}
                      }
                    }

                    text_transformation {
                      priority = 0
                      type     = "NONE"
                    }
                  }
                }

                dynamic "sqli_match_statement" {
                  for_each = statement.value.kind == "sql_injection" ? [statement.value.of] : []

                  content {
                    sensitivity_level = "LOW"

                    field_to_match {
                      dynamic "query_string" {
                        for_each = sqli_match_statement.value == "query" ? [1] : []

                        content {}
                      }

                      dynamic "headers" {
                        for_each = sqli_match_statement.value == "headers" ? [1] : []

                        content {
                          match_scope       = "VALUE"
                          oversize_handling = "CONTINUE"

                          match_pattern {
                            included_headers = var.web_acl.headers
                          }
                        }
                      }
                    }

                    text_transformation {
                      priority = 0
                      type     = sqli_match_statement.value == "query" ? "URL_DECODE" : "NONE"
                    }
                  }
                }

                dynamic "xss_match_statement" {
                  for_each = statement.value.kind == "scripting" ? [statement.value.of] : []

                  content {
                    field_to_match {
                      dynamic "query_string" {
                        for_each = xss_match_statement.value == "query" ? [1] : []

                        content {}
                      }

                      dynamic "headers" {
                        for_each = xss_match_statement.value == "headers" ? [1] : []

                        content {
                          match_scope       = "VALUE"
                          oversize_handling = "CONTINUE"

                          match_pattern {
                            included_headers = var.web_acl.headers
                          }
                        }
                      }
                    }

                    text_transformation {
                      priority = 0
                      type     = xss_match_statement.value == "query" ? "URL_DECODE" : "NONE"
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
        metric_name                = rule.key
        sampled_requests_enabled   = true
      }
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "${var.name}-edge"
    sampled_requests_enabled   = true
  }

  # AWS WAF refuses to delete a web ACL that a distribution uses. With this, Terraform first changes the distribution.
  lifecycle {
    create_before_destroy = true
  }
}

locals {
  protected_fields = [
    { type = "SINGLE_HEADER", keys = ["authorization", "cookie", "x-api-key"], action = "HASH" },
    { type = "SINGLE_HEADER", keys = ["proxy-authorization", "referer"], action = "SUBSTITUTION" },
    { type = "SINGLE_QUERY_ARGUMENT", keys = ["code", "state"], action = "SUBSTITUTION" },
  ]
}
