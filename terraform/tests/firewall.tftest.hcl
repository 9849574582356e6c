# Tests of module `firewall`: the web ACL of the edge. What its own statements do with requests is tested in
# tests/unit/firewall.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "us-east-1"
    }
  }
}

variables {
  name               = "shop"
  log_retention_days = 30
  alarms             = true
  alarm_actions = {
    page   = ["arn:aws:sns:us-east-1:111122223333:shop-alarms"]
    ticket = ["arn:aws:sns:us-east-1:111122223333:shop-tickets"]
  }

  # The defaults of the variable firewall.
  web_acl = {
    groups = {
      common           = "block"
      known_bad_inputs = "block"
      sql_injection    = "block"
      ip_reputation    = "block"
      anonymous_ips    = "off"
      bot_control      = "off"
    }
    body_rules = "count"
    counted    = []
    rules = {
      deny                 = "block"
      countries            = "block"
      size                 = "block"
      rate_ip              = "block"
      rate_token           = "block"
      sql_injection        = "block"
      cross_site_scripting = "block"
    }
    headers = ["user-agent", "x-forwarded-host"]
    allow   = []
    deny    = []
    sizes   = { path = 1024, query = 2048 }
    rate    = { window = 300, ip = 3000, token = 1500 }
    body_kb = 16
  }
}

run "by_default" {
  command = plan

  module {
    source = "./modules/firewall"
  }

  variables {
    rules = {
      size                     = "30 block 414 too_long"
      rate_ip                  = "40 block 429 too_many Retry-After=300"
      rate_token               = "50 block 429 too_many Retry-After=300"
      "group-ip_reputation"    = "60 own actions"
      "group-known_bad_inputs" = "80 own actions"
      "group-common"           = "90 own actions"
      "group-sql_injection"    = "100 own actions"
      own_sql_injection        = "120 block 403 refused"
      cross_site_scripting     = "130 block 403 refused"
    }

    counted = [
      "CrossSiteScripting_BODY", "EC2MetaDataSSRF_BODY", "GenericLFI_BODY", "GenericRFI_BODY",
      "JavaDeserializationRCE_BODY", "Log4JRCE_BODY", "ReactJSRCE_BODY", "SQLiExtendedPatterns_BODY", "SQLi_BODY",
      "SizeRestrictions_BODY",
    ]

    answers = {
      refused  = "APPLICATION_JSON 403 detail status title type"
      too_long = "APPLICATION_JSON 414 detail status title type"
      too_many = "APPLICATION_JSON 429 detail status title type"
    }

    # https://docs.aws.amazon.com/waf/latest/developerguide/aws-waf-capacity-units.html
    wcu = {
      size                   = 2
      rate_ip                = 2
      rate_token             = 32
      own_sql_injection      = 50
      cross_site_scripting   = 90
      group_common           = 700
      group_known_bad_inputs = 200
      group_sql_injection    = 200
      group_ip_reputation    = 25
    }

    protected = [
      "HASH authorization cookie x-api-key", "SUBSTITUTION proxy-authorization referer", "SUBSTITUTION code state",
    ]
    writer     = "delivery.logs.amazonaws.com"
    log_stream = "arn:aws:logs:us-east-1:111122223333:log-group:aws-waf-logs-shop-edge:*"
    metrics = {
      rate_ip    = "BlockedRequests rate_ip shop-edge"
      rate_token = "BlockedRequests rate_token shop-edge"
    }
  }

  assert {
    condition     = output.deployed.rules == var.rules
    error_message = "The rules have constant priorities, AWS's groups keep their actions, and the status says why."
  }

  assert {
    condition     = length(output.deployed.priorities) == length(distinct(output.deployed.priorities))
    error_message = "Each rule has a priority of its own."
  }

  assert {
    condition     = toset(output.deployed.counted) == toset(var.counted)
    error_message = "Every rule of AWS that looks into a body counts, and no other rule does."
  }

  assert {
    condition     = one(output.deployed.refused) == "refused"
    error_message = "A rule of AWS refuses with a JSON body too."
  }

  assert {
    condition     = output.deployed.answers == var.answers
    error_message = "Each answer has the fields of a problem document."
  }

  assert {
    condition     = output.wcu.sum == 1301 && output.wcu.rules == tomap(var.wcu)
    error_message = "By default, the rules stay below the 1,500 units that AWS includes."
  }

  assert {
    condition     = output.deployed.protected == var.protected
    error_message = "AWS WAF stores no token, no cookie, no secret of the lock, and no code of the sign-in page."
  }

  assert {
    condition     = aws_wafv2_web_acl.edge[0].scope == "CLOUDFRONT" && length(output.deployed.default) == 1
    error_message = "The web ACL is CloudFront's, and lets through what no rule refuses."
  }

  assert {
    condition     = output.deployed.body_size[0].default_size_inspection_limit == "KB_16"
    error_message = "AWS WAF sees 16 KB of a body."
  }

  assert {
    condition     = output.deployed.log == "aws-waf-logs-shop-edge 30"
    error_message = "The log group has the name that AWS WAF demands."
  }

  assert {
    condition     = jsondecode(output.log_policy).Statement[0].Principal.Service == var.writer
    error_message = "The service that delivers AWS WAF's log may write it."
  }

  assert {
    condition     = jsondecode(output.log_policy).Statement[0].Resource == [var.log_stream]
    error_message = "It may write to this log group only."
  }

  assert {
    condition = join(" ", output.deployed.redacted) == join(" ", [
      "authorization cookie proxy-authorization referer x-api-key", "query",
    ])
    error_message = "The log holds no token, no cookie, no secret of the lock and no query string."
  }

  assert {
    condition     = output.deployed.logged == ["DROP", "BLOCK", "COUNT", "EXCLUDED_AS_COUNT"]
    error_message = "The log holds what a rule refuses or counts, and nothing else."
  }

  assert {
    condition     = values(output.alarms)[*].alarm_name == ["shop-firewall-rate"]
    error_message = "The rate rules have an alarm."
  }

  assert {
    condition     = output.deployed.metrics == var.metrics
    error_message = "The alarm watches the metrics of both rules. CloudFront's have no dimension Region."
  }
}

run "everything_on" {
  command = plan

  module {
    source = "./modules/firewall"
  }

  # AWS would choose the ARNs. They differ, so that a rule with the wrong set shows.
  override_resource {
    target          = aws_wafv2_ip_set.this["allow-ipv4"]
    override_during = plan
    values          = { arn = "arn:aws:wafv2:us-east-1:111122223333:global/ipset/shop-allow-ipv4/1" }
  }

  override_resource {
    target          = aws_wafv2_ip_set.this["allow-ipv6"]
    override_during = plan
    values          = { arn = "arn:aws:wafv2:us-east-1:111122223333:global/ipset/shop-allow-ipv6/1" }
  }

  override_resource {
    target          = aws_wafv2_ip_set.this["deny-ipv4"]
    override_during = plan
    values          = { arn = "arn:aws:wafv2:us-east-1:111122223333:global/ipset/shop-deny-ipv4/1" }
  }

  override_resource {
    target          = aws_wafv2_ip_set.this["deny-ipv6"]
    override_during = plan
    values          = { arn = "arn:aws:wafv2:us-east-1:111122223333:global/ipset/shop-deny-ipv6/1" }
  }

  variables {
    web_acl = {
      groups = {
        common           = "count"
        known_bad_inputs = "block"
        sql_injection    = "block"
        ip_reputation    = "block"
        anonymous_ips    = "block"
        bot_control      = "count"
      }
      body_rules = "block"
      counted    = ["HostingProviderIPList"]
      rules = {
        deny                 = "count"
        countries            = "count"
        size                 = "count"
        rate_ip              = "count"
        rate_token           = "count"
        sql_injection        = "count"
        cross_site_scripting = "count"
      }
      headers   = ["user-agent"]
      allow     = ["203.0.113.7/32"]
      deny      = ["198.51.100.0/24", "2001:db8::/32"]
      countries = { only = ["DE", "AT"], except = [] }
      sizes     = { path = 1024, query = 2048 }
      rate      = { window = 60, ip = 100, token = 50 }
      body_kb   = 64
    }

    rules = {
      allow                    = "0 allow"
      deny                     = "10 count"
      countries                = "20 count"
      size                     = "30 count"
      rate_ip                  = "40 count"
      rate_token               = "50 count"
      "group-ip_reputation"    = "60 own actions"
      "group-anonymous_ips"    = "70 own actions"
      "group-known_bad_inputs" = "80 own actions"
      "group-common"           = "90 count"
      "group-sql_injection"    = "100 own actions"
      "group-bot_control"      = "110 count"
      own_sql_injection        = "120 count"
      cross_site_scripting     = "130 count"
    }

    addresses = {
      allow-ipv4 = "IPV4 203.0.113.7/32"
      allow-ipv6 = "IPV6"
      deny-ipv4  = "IPV4 198.51.100.0/24"
      deny-ipv6  = "IPV6 2001:db8::/32"
    }

    metrics = {
      rate_ip    = "CountedRequests rate_ip shop-edge"
      rate_token = "CountedRequests rate_token shop-edge"
    }
  }

  assert {
    condition     = output.wcu.sum == 1406
    error_message = "Even with every rule, the web ACL needs no more than the 1,500 units that AWS includes."
  }

  assert {
    condition     = output.deployed.rules == var.rules
    error_message = "A rule that shall count refuses nothing, and nor does a group."
  }

  assert {
    condition     = toset(output.deployed.counted) == toset(concat(local.common_rules, ["HostingProviderIPList"]))
    error_message = "In a group that counts, each rule counts, so the log names it. Elsewhere the named rules do."
  }

  assert {
    condition     = output.deployed.addresses == var.addresses
    error_message = "Addresses of each version are in a set of their own."
  }

  assert {
    condition     = output.deployed.metrics == var.metrics
    error_message = "The alarm watches the metric that a counting rule emits."
  }

  assert {
    condition     = output.deployed.body_size[0].default_size_inspection_limit == "KB_64"
    error_message = "body_kb sets how much of a body AWS WAF sees."
  }
}

run "everything_off" {
  command = plan

  module {
    source = "./modules/firewall"
  }

  variables {
    logging = false
    web_acl = {
      groups = {
        common           = "off"
        known_bad_inputs = "off"
        sql_injection    = "off"
        ip_reputation    = "off"
        anonymous_ips    = "off"
        bot_control      = "off"
      }
      body_rules = "count"
      counted    = []
      rules = {
        deny                 = "off"
        countries            = "off"
        size                 = "off"
        rate_ip              = "off"
        rate_token           = "off"
        sql_injection        = "off"
        cross_site_scripting = "off"
      }
      headers = ["user-agent"]
      allow   = []
      deny    = []
      sizes   = { path = 1024, query = 2048 }
      rate    = { window = 60, ip = 100, token = 50 }
      body_kb = 16
    }
  }

  assert {
    condition     = length(output.deployed.rules) == 0 && length(output.deployed.addresses) == 0 && output.wcu.sum == 0
    error_message = "A rule that is off isn't there."
  }

  assert {
    condition     = output.deployed.log == null && length(output.deployed.logged) == 0 && output.alarms == null
    error_message = "Without logging there is no log, and without rate rules no alarm."
  }
}

run "lock" {
  command = plan

  module {
    source = "./modules/firewall"
  }

  variables {
    web_acl = null
    alarms  = false
    lock = {
      generations = ["1", "2"]
      stage_arn   = "arn:aws:apigateway:us-east-1::/restapis/a1b2c3d4e5/stages/v1"
    }
    secrets = { "1" = "first", "2" = "second" }
  }

  assert {
    condition     = length(aws_wafv2_web_acl.edge) == 0 && aws_wafv2_web_acl.lock[0].scope == "REGIONAL"
    error_message = "The lock is a web ACL of the Region."
  }

  assert {
    condition     = join(" ", output.lock.rules) == "lock size"
    error_message = "It has only the lock and a bound, because it sees CloudFront's addresses and not the clients'."
  }

  assert {
    condition     = aws_wafv2_web_acl_association.lock[0].resource_arn == var.lock.stage_arn
    error_message = "It stands before the stage of the API."
  }

  assert {
    condition     = output.lock.passes == ["/v1/health", "first referer", "second referer"]
    error_message = "The API answers the health check, and calls with one of the secrets."
  }

  assert {
    condition     = output.deployed.log == "aws-waf-logs-shop-lock 30" && contains(output.deployed.redacted, "referer")
    error_message = "The lock's log doesn't hold its secret."
  }

  assert {
    condition     = output.wcu.sum == 7
    error_message = "The lock needs few units."
  }
}
