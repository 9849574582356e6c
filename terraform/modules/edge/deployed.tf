# What the distribution and its policies say, in a form that tests can compare. It is read from the resources, not from
# the lists that they are made of.
locals {
  trusted = jsondecode(module.edge_auth.trust_policy).Statement[0].Principal.Service

  deployed_behaviours = concat(
    aws_cloudfront_distribution.this.ordered_cache_behavior,
    [for each in aws_cloudfront_distribution.this.default_cache_behavior : merge(each, { path_pattern = "*" })],
  )

  policy_names = {
    (local.cache_policy)     = "documents"
    (local.caching_disabled) = "off"
    (local.all_but_host)     = "all but Host"
  }

  # The set of origins counts as a secret, because one of them has the secret of the lock. The values below don't.
  deployed_origins = {
    for origin in nonsensitive(aws_cloudfront_distribution.this.origin) : origin.origin_id => join(" ", compact([
      origin.origin_path, "${origin.connection_attempts} x ${origin.connection_timeout} s",
      try(origin.custom_origin_config[0].origin_protocol_policy, ""),
      coalesce(origin.origin_access_control_id, "unsigned") == "unsigned" ? "" : "signed",
      origin.domain_name == local.lost_host ? "lost" : "",
    ]))
  }

  deployed_headers = { for name, policy in aws_cloudfront_response_headers_policy.this : name => {
    cors = one([for cors in policy.cors_config : join(" ", concat(
      cors.origin_override ? ["override"] : [],
      cors.access_control_allow_credentials ? ["credentials"] : [],
      sort(cors.access_control_allow_origins[0].items),
      sort(cors.access_control_allow_methods[0].items),
      sort(cors.access_control_allow_headers[0].items),
    ))])
    # The emulator returns null for the headers of a policy that removes or adds none.
    removed = flatten([for config in policy.remove_headers_config : try(sort(config.items[*].header), [])])
    custom = flatten([for config in policy.custom_headers_config : try([
      for item in config.items : "${item.header}: ${item.value}" if item.override
    ], [])])
    csp = one(flatten([
      for config in policy.security_headers_config : config.content_security_policy[*].content_security_policy
    ]))
  } }
}

output "deployed" {
  description = "What the distribution and its policies say, for tests."
  value = {
    # Path -> origin, methods, what HTTP gets, cache policy, origin request policy, and the function's events.
    behaviours = { for each in local.deployed_behaviours : each.path_pattern => join(", ", compact([
      each.target_origin_id,
      join(" ", sort(each.allowed_methods)),
      each.viewer_protocol_policy,
      local.policy_names[each.cache_policy_id],
      try(local.policy_names[each.origin_request_policy_id], ""),
      join(" ", sort(each.lambda_function_association[*].event_type)),
      each.compress ? "" : "not compressed",
      length(each.function_association) > 0 ? "CloudFront Function" : "",
    ])) }
    functions = distinct(flatten(local.deployed_behaviours[*].lambda_function_association[*].lambda_arn))
    origins   = local.deployed_origins
    groups = { for group in aws_cloudfront_distribution.this.origin_group :
      group.origin_id => join(" ", concat(
        group.member[*].origin_id,
        sort([for code in group.failover_criteria[0].status_codes : tostring(code)]),
      ))
    }
    errors = { for error in aws_cloudfront_distribution.this.custom_error_response :
      error.error_code => join(" ", compact([error.error_caching_min_ttl, error.response_page_path]))
    }
    headers = local.deployed_headers
    tls     = aws_cloudfront_distribution.this.viewer_certificate[0]
  }
}
