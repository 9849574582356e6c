# The stack's own rules, and the order of all rules.
locals {
  # AWS WAF goes through the rules from the lowest priority to the highest, until one of them refuses or allows. The
  # priorities are constants, because a rule whose priority depends on the others would change when one of them is
  # switched off. Cheap rules that need no look into the request come first.
  priorities = {
    allow                = 0
    deny                 = 10
    countries            = 20
    size                 = 30
    rate_ip              = 40
    rate_token           = 50
    ip_reputation        = 60
    anonymous_ips        = 70
    known_bad_inputs     = 80
    common               = 90
    sql_injection        = 100
    bot_control          = 110
    own_sql_injection    = 120
    cross_site_scripting = 130
  }

  # Rule -> block, count or off. A rule without addresses or countries is off.
  own_modes = var.web_acl == null ? {} : {
    allow                = length(var.web_acl.allow) == 0 ? "off" : "allow"
    deny                 = length(var.web_acl.deny) == 0 ? "off" : var.web_acl.rules.deny
    countries            = var.web_acl.countries == null ? "off" : var.web_acl.rules.countries
    size                 = var.web_acl.rules.size
    rate_ip              = var.web_acl.rules.rate_ip
    rate_token           = var.web_acl.rules.rate_token
    own_sql_injection    = var.web_acl.rules.sql_injection
    cross_site_scripting = var.web_acl.rules.cross_site_scripting
  }

  # The statements of which one must match.
  alternatives = var.web_acl == null ? {} : {
    allow = [for set in local.ip_set_keys.allow : { kind = "ip_set", of = set }]
    deny  = [for set in local.ip_set_keys.deny : { kind = "ip_set", of = set }]
    size = [
      { kind = "size", of = "path", limit = var.web_acl.sizes.path },
      { kind = "size", of = "query", limit = var.web_acl.sizes.query },
    ]
    own_sql_injection    = [{ kind = "sql_injection", of = "query" }, { kind = "sql_injection", of = "headers" }]
    cross_site_scripting = [{ kind = "scripting", of = "query" }, { kind = "scripting", of = "headers" }]
  }

  # What a rate rule counts by, and how many requests it lets pass in a window.
  #
  # AWS WAF doesn't count a request without the header. So a client dodges the rule per token by leaving the token out,
  # or with another made-up token in each request. The rule shares the load fairly among honest clients, and the rule
  # per address is the defence.
  rates = var.web_acl == null ? {} : {
    rate_ip    = { by = "address", limit = var.web_acl.rate.ip }
    rate_token = { by = "token", limit = var.web_acl.rate.token }
  }

  # A statement gives either the countries to refuse, or those outside which it refuses.
  countries = try(var.web_acl.countries, null) == null ? {} : {
    countries = {
      codes  = concat(var.web_acl.countries.only, var.web_acl.countries.except)
      negate = length(var.web_acl.countries.only) > 0
    }
  }

  # The answers to refused requests. AWS WAF can't set their content type to application/problem+json, so this is the
  # one place where an error isn't a problem document in name.
  answers = {
    refused = {
      status = 403, title = "Forbidden"
      detail = "The firewall refused this request. The header x-amz-cf-id names it."
    }
    too_long = { status = 414, title = "URI Too Long", detail = "The path or the query of this request is too long." }
    too_many = { status = 429, title = "Too Many Requests", detail = "Too many requests. Try again later." }
  }

  answer_of = { size = "too_long", rate_ip = "too_many", rate_token = "too_many" }

  own_rules = { for rule, mode in local.own_modes : rule => {
    mode         = mode
    priority     = local.priorities[rule]
    answer       = lookup(local.answer_of, rule, "refused")
    alternatives = try(local.alternatives[rule], [])
    rate         = try(local.rates[rule], null)
    countries    = try(local.countries[rule], null)
  } if mode != "off" }
}

# AWS WAF keeps IPv4 and IPv6 addresses in sets of their own.
locals {
  addresses = var.web_acl == null ? {} : { allow = var.web_acl.allow, deny = var.web_acl.deny }

  ip_sets = merge([for list, ranges in local.addresses : length(ranges) == 0 ? {} : {
    "${list}-ipv4" = { list = list, version = "IPV4", ranges = [for r in ranges : r if !strcontains(r, ":")] }
    "${list}-ipv6" = { list = list, version = "IPV6", ranges = [for r in ranges : r if strcontains(r, ":")] }
  }]...)

  ip_set_keys = { for list in ["allow", "deny"] : list => [for key, set in local.ip_sets : key if set.list == list] }
}

resource "aws_wafv2_ip_set" "this" {
  for_each = local.ip_sets

  name               = "${var.name}-${each.key}"
  description        = "Addresses that the firewall of ${var.name} knows by itself: ${each.value.list}"
  scope              = "CLOUDFRONT"
  ip_address_version = each.value.version
  addresses          = each.value.ranges

  # AWS WAF refuses to delete a set that a web ACL uses. With this, Terraform first changes the web ACL.
  lifecycle {
    create_before_destroy = true
  }
}

# Web ACL capacity units (WCU) that each rule uses. AWS includes 1,500 of them in the price of a request. The sum can't
# exceed them even if every rule is on, which a test proves, so no plan has to be refused for it.
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-waf-capacity-units.html
locals {
  statement_wcu = { ip_set = 1, country = 1, size = 1, sql_injection = 20, scripting = 40, rate = 2, rate_key = 30 }

  # A text transformation costs 10. Only statements that look for attacks in a query have one.
  transformation_wcu = 10

  own_wcu = { for rule, settings in local.own_rules : rule => sum(concat(
    [for s in settings.alternatives : local.statement_wcu[s.kind]],
    [for s in settings.alternatives : local.transformation_wcu
    if s.of == "query" && contains(["sql_injection", "scripting"], s.kind)],
    [for rate in settings.rate[*] : local.statement_wcu.rate + (rate.by == "token" ? local.statement_wcu.rate_key : 0)],
    [for countries in settings.countries[*] : local.statement_wcu.country],
  )) }

  group_wcu = { for group in keys(local.group_modes) : "group_${group}" => local.managed[group].wcu }
  wcu       = sum(concat([0], values(local.own_wcu), values(local.group_wcu)))
}
