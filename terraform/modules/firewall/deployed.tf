# What the web ACL says, in a form that tests can compare. It is read from the resources, not from the lists that they
# are made of.
locals {
  edge_rules = flatten(aws_wafv2_web_acl.edge[*].rule)

  # Rule -> what it does: its priority, its action, and the answer if it refuses.
  deployed_rules = { for rule in local.edge_rules : rule.name => join(" ", concat(
    [rule.priority],
    flatten([for action in rule.action : [
      for kind, blocks in { allow = action.allow, block = action.block, count = action.count } : kind
      if length(blocks) > 0
    ]]),
    [for action in rule.override_action : length(action.none) > 0 ? "own actions" : "count"],
    flatten([for action in rule.action : [for block in action.block : [for response in block.custom_response : concat(
      [response.response_code, response.custom_response_body_key],
      [for header in response.response_header : "${header.name}=${header.value}"],
    )]]]),
  )) }

  managed_statements = flatten([
    for rule in local.edge_rules : rule.statement[0].managed_rule_group_statement if length(rule.override_action) > 0
  ])
  deployed_overrides = flatten(local.managed_statements[*].rule_action_override)
}

output "deployed" {
  description = "What the web ACL of the edge and its log say, for tests."
  value = {
    rules      = local.deployed_rules
    priorities = local.edge_rules[*].priority

    # Rules of AWS's groups that count, and the answer of those that refuse.
    counted = sort([for each in local.deployed_overrides : each.name if length(each.action_to_use[0].count) > 0])
    refused = distinct(flatten([
      for each in local.deployed_overrides : each.action_to_use[0].block[*].custom_response[*].custom_response_body_key
    ]))

    answers = { for body in flatten(aws_wafv2_web_acl.edge[*].custom_response_body) :
      body.key => join(" ", concat(
        [body.content_type, jsondecode(body.content).status],
        keys(jsondecode(body.content)),
      ))
    }
    default   = flatten(aws_wafv2_web_acl.edge[*].default_action[*].allow)
    body_size = flatten(aws_wafv2_web_acl.edge[*].association_config[*].request_body[*].cloudfront)
    protected = [
      for item in flatten(aws_wafv2_web_acl.edge[*].data_protection_config[*].data_protection) :
      join(" ", concat([item.action], item.field[0].field_keys))
    ]
    addresses = { for key, set in aws_wafv2_ip_set.this :
      key => join(" ", concat([set.ip_address_version], sort(set.addresses)))
    }

    log = one([for group in aws_cloudwatch_log_group.waf : "${group.name} ${group.retention_in_days}"])
    redacted = flatten([
      for config in aws_wafv2_web_acl_logging_configuration.this : [
        for field in config.redacted_fields :
        concat(field.single_header[*].name, [for _ in field.query_string : "query"])
      ]
    ])
    logged = flatten([
      for filter in flatten(aws_wafv2_web_acl_logging_configuration.this[*].logging_filter) : concat(
        [filter.default_behavior],
        sort(flatten([for each in filter.filter : [for c in each.condition : c.action_condition[*].action]])),
      )
    ])

    # Metric of the alarm -> its name and its dimensions.
    metrics = { for id, query in try(module.alarms[0].queries["rate"], {}) :
      id => join(" ", flatten([for m in query.metric : [m.metric_name, values(m.dimensions)]]))
      if length(query.metric) > 0
    }
  }
}

output "lock" {
  description = "The rules of the lock's web ACL and what its rule lets pass, for tests."
  sensitive   = true
  value = {
    rules = sort(flatten(aws_wafv2_web_acl.lock[*].rule[*].name))
    passes = flatten([for rule in flatten(aws_wafv2_web_acl.lock[*].rule) : [
      for match in flatten(
        rule.statement[0].not_statement[*].statement[*].or_statement[*].statement[*].byte_match_statement
      ) : join(" ", concat([match.search_string], flatten(match.field_to_match[*].single_header[*].name)))
    ]])
  }
}
