# AWS's managed rule groups: their rules, and what each of them does here.
#
# A rule keeps AWS's own action only if it isn't named here. AWS WAF ignores an override whose rule doesn't exist, so a
# rule that AWS removes does no harm. A rule that AWS adds later refuses with AWS's own HTML page, until it is listed.
# https://docs.aws.amazon.com/waf/latest/APIReference/API_RuleActionOverride.html
#
# AWSManagedIPDDoSList is missing, because AWS itself lets it count.
locals {
  common_rules = [
    "NoUserAgent_HEADER", "UserAgent_BadBots_HEADER",
    "SizeRestrictions_QUERYSTRING", "SizeRestrictions_Cookie_HEADER", "SizeRestrictions_BODY",
    "SizeRestrictions_URIPATH",
    "EC2MetaDataSSRF_BODY", "EC2MetaDataSSRF_COOKIE", "EC2MetaDataSSRF_URIPATH", "EC2MetaDataSSRF_QUERYARGUMENTS",
    "GenericLFI_QUERYARGUMENTS", "GenericLFI_URIPATH", "GenericLFI_BODY",
    "RestrictedExtensions_URIPATH", "RestrictedExtensions_QUERYARGUMENTS",
    "GenericRFI_QUERYARGUMENTS", "GenericRFI_BODY", "GenericRFI_URIPATH",
    "CrossSiteScripting_COOKIE", "CrossSiteScripting_QUERYARGUMENTS", "CrossSiteScripting_BODY",
    "CrossSiteScripting_URIPATH",
  ]

  known_bad_inputs_rules = [
    "JavaDeserializationRCE_HEADER", "JavaDeserializationRCE_BODY", "JavaDeserializationRCE_URIPATH",
    "JavaDeserializationRCE_QUERYSTRING", "Host_localhost_HEADER", "PROPFIND_METHOD", "ExploitablePaths_URIPATH",
    "Log4JRCE_HEADER", "Log4JRCE_QUERYSTRING", "Log4JRCE_BODY", "Log4JRCE_URIPATH", "ReactJSRCE_BODY",
  ]

  sql_injection_rules = [
    "SQLi_QUERYARGUMENTS", "SQLiExtendedPatterns_QUERYARGUMENTS", "SQLi_BODY", "SQLiExtendedPatterns_BODY",
    "SQLi_COOKIE", "SQLi_URIPATH",
  ]

  # Group -> its name, the capacity that it uses, and its rules. Bot control also has rules, but too many, and AWS
  # changes them often.
  # https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-list.html
  managed = {
    common = { name = "AWSManagedRulesCommonRuleSet", wcu = 700, rules = local.common_rules }
    known_bad_inputs = {
      name = "AWSManagedRulesKnownBadInputsRuleSet", wcu = 200, rules = local.known_bad_inputs_rules
    }
    sql_injection = { name = "AWSManagedRulesSQLiRuleSet", wcu = 200, rules = local.sql_injection_rules }
    ip_reputation = {
      name  = "AWSManagedRulesAmazonIpReputationList"
      wcu   = 25
      rules = ["AWSManagedIPReputationList", "AWSManagedReconnaissanceList"]
    }
    anonymous_ips = {
      name = "AWSManagedRulesAnonymousIpList", wcu = 50, rules = ["AnonymousIPList", "HostingProviderIPList"]
    }
    bot_control = { name = "AWSManagedRulesBotControlRuleSet", wcu = 50, rules = [] }
  }

  # Group -> whether it refuses or counts. A group that is off isn't in the web ACL.
  group_modes = { for group, mode in try(var.web_acl.groups, {}) : group => mode if mode != "off" }

  # The rules that look into the body. They take ordinary JSON for attacks, and SizeRestrictions_BODY refuses every body
  # above 8 KB.
  body_rules = [for rule in flatten(values(local.managed)[*].rules) : rule if endswith(rule, "_BODY")]

  counted_rules = try(concat(var.web_acl.counted, var.web_acl.body_rules == "count" ? local.body_rules : []), [])

  # Group -> rule -> what the rule does instead of AWS's own action.
  overrides = { for group, mode in local.group_modes : group => {
    for rule in local.managed[group].rules :
    rule => mode == "count" || contains(local.counted_rules, rule) ? "count" : "block"
  } }
}
