# The alarm on the rate rules.
#
# AWS WAF emits a metric only for a minute in which the rule matched, so missing data is calm. For a web ACL of
# CloudFront, the metrics have no dimension Region, and they are in us-east-1.
# https://docs.aws.amazon.com/waf/latest/developerguide/waf-metrics.html
locals {
  rate_rules = [for rule in ["rate_ip", "rate_token"] : rule if contains(keys(local.own_rules), rule)]
  refuses    = anytrue([for rule in local.rate_rules : local.own_rules[rule].mode == "block"])
  watched    = var.alarms && length(local.rate_rules) > 0

  # A rule that only counts emits another metric than one that refuses.
  rate_metrics = { for rule in local.rate_rules : rule => {
    namespace   = "AWS/WAFV2"
    metric_name = local.own_rules[rule].mode == "block" ? "BlockedRequests" : "CountedRequests"
    dimensions  = { WebACL = "${var.name}-edge", Rule = rule }
    statistic   = "Sum"
  } }
}

module "alarms" {
  source = "../alarm"
  count  = local.watched ? 1 : 0

  name    = var.name
  actions = var.alarm_actions

  alarms = {
    # Fires if a client sends more than its share for two of three five-minute periods. One period isn't enough, because
    # a client that retries too fast for a moment needs nobody.
    rate = {
      name     = "firewall-rate"
      severity = "ticket"
      effect   = local.refuses ? "clients that send too much get a 429 or a 403." : "none. The rules only count."
      first    = "aws logs tail ${local.log_group} --since 1h"
      description = join(" ", [
        "Clients send more requests to the edge than the firewall allows each of them. Look in the log",
        "${local.log_group} (us-east-1) who they are. If they are honest, raise firewall.rate; if not, add them to",
        "firewall.deny.",
      ])

      expression = {
        id      = "limited"
        label   = "Requests above the limits"
        text    = join(" + ", [for rule in local.rate_rules : "FILL(${rule}, 0)"])
        metrics = local.rate_metrics
      }

      periods      = { seconds = 300, evaluated = 3, breaching = 2 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }
}
