locals {
  # The stage is the first segment of every path, here and on the emulators.
  stage_name = "v1"

  # Names and numbers only: no header, no body, no message of the gateway (it can quote the Authorization header) and no path with
  # its values, because an item id can be personal.
  access_log_format = jsonencode({
    request_id          = "$context.requestId"
    extended_request_id = "$context.extendedRequestId"
    time                = "$context.requestTimeEpoch"
    source_ip           = "$context.identity.sourceIp"
    caller              = "$context.authorizer.claims.sub"
    client_id           = "$context.authorizer.claims.client_id"
    api_key_id          = "$context.identity.apiKeyId"
    method              = "$context.httpMethod"
    route               = "$context.resourcePath"
    protocol            = "$context.protocol"
    status              = "$context.status"
    error_type          = "$context.error.responseType"
    response_bytes      = "$context.responseLength"
    latency_ms          = "$context.responseLatency"
    integration_status  = "$context.integration.status"
    integration_ms      = "$context.integration.latency"
    trace_id            = "$context.xrayTraceId"
  })

  # Settings of a single method don't fall back to the stage's one by one, so a route with any of its own gets all of them.
  # API Gateway writes such a path with "~1" for every slash, the leading one included; with plain slashes it keeps the settings
  # under a name that no method has, and they do nothing.
  method_settings = { for key, route in local.routes : key => {
    path  = "${var.escape_method_paths ? replace("/${route.path}", "/", "~1") : route.path}/${route.method}"
    cache = route.cache != null
    ttl   = try(route.cache.ttl, 0)
    rate  = try(route.throttle.rate, var.throttle.rate)
    burst = try(route.throttle.burst, var.throttle.burst)
  } if route.cache != null || route.throttle != null }
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  # A deployment is a copy of the API: it has to be made again when anything that it copies changes. The files stand for what is
  # written in them and comes from no variable.
  triggers = {
    configuration = sha256(jsonencode([
      local.routes,
      var.functions,
      var.documents_bucket,
      var.user_pool_arn,
      var.endpoint_type,
      local.parameters,
      local.document_templates,
      local.backend_parameters,
      local.policy,
      var.key_authorizer,
      local.document_answers,
      local.fixed_headers,
      local.preflight_headers,
      local.gateway_headers,
      local.problems,
      sort(values(local.resource_ids)),
      [for file in sort(fileset(path.module, "*.tf")) : filesha256("${path.module}/${file}")],
    ]))
  }

  # A stage always points to a deployment: the old one can go only when the stage has moved on. Terraform then makes everything that a
  # deployment depends on before it removes what that replaces. So where a route gets another kind of answer (document, function,
  # fixed), the removal of the old integration takes the new one with it, because both have the same name: the deployment, a copy
  # made in between, serves on, and the next apply puts it back. Apply twice after such a change.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [
    aws_api_gateway_gateway_response.default,
    aws_api_gateway_gateway_response.this,
    aws_api_gateway_integration.backend,
    aws_api_gateway_integration.document,
    aws_api_gateway_integration.fixed,
    aws_api_gateway_integration.function,
    aws_api_gateway_integration.preflight,
    aws_api_gateway_integration_response.document,
    aws_api_gateway_integration_response.fixed,
    aws_api_gateway_integration_response.preflight,
    aws_api_gateway_rest_api_policy.this,
    terraform_data.cache_rule,
  ]
}

resource "aws_api_gateway_stage" "this" {
  #checkov:skip=CKV_AWS_120:A cache cluster is paid by the hour, used or not: cache_size asks for one.
  #checkov:skip=CKV2_AWS_29:Throttling protects the back; a firewall costs by the month and is a module of its own.
  #checkov:skip=CKV2_AWS_51:A client certificate would prove the gateway to a back office; few check one. Private back offices are reached by VPC link.

  rest_api_id   = aws_api_gateway_rest_api.this.id
  deployment_id = aws_api_gateway_deployment.this.id
  stage_name    = local.stage_name

  cache_cluster_enabled = var.cache_size != null
  cache_cluster_size    = var.cache_size
  xray_tracing_enabled  = true

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format          = local.access_log_format
  }

  # API Gateway refuses a stage with logs while the account has no role for them, and makes the execution log's group itself, without
  # an end to what it keeps, if it finds none.
  depends_on = [aws_api_gateway_account.this, aws_cloudwatch_log_group.execution, aws_lambda_permission.authorizer, aws_lambda_permission.invoke]
}

# Everything that isn't set for a route. Caching is off unless a route asks for it.
resource "aws_api_gateway_method_settings" "stage" {
  #checkov:skip=CKV_AWS_225:Cached by default, every new route would share answers between callers; a route asks for its cache.

  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    metrics_enabled        = true
    logging_level          = "ERROR"
    data_trace_enabled     = false # it would log bodies and headers, tokens included
    throttling_rate_limit  = var.throttle.rate
    throttling_burst_limit = var.throttle.burst

    caching_enabled                            = false
    cache_data_encrypted                       = true
    require_authorization_for_cache_control    = true
    unauthorized_cache_control_header_strategy = "SUCCEED_WITHOUT_RESPONSE_HEADER"
  }
}

resource "aws_api_gateway_method_settings" "route" {
  #checkov:skip=CKV_AWS_225:Only the routes that have a cache and a complete key are cached; the others are here for their throttle.

  for_each = local.method_settings

  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = each.value.path

  settings {
    metrics_enabled        = true
    logging_level          = "ERROR"
    data_trace_enabled     = false
    throttling_rate_limit  = each.value.rate
    throttling_burst_limit = each.value.burst

    caching_enabled      = each.value.cache
    cache_ttl_in_seconds = each.value.ttl
    cache_data_encrypted = true

    # A caller can't empty the cache. A browser's reload sends the header that would: it is ignored, because a 403 would break reloading.
    require_authorization_for_cache_control    = true
    unauthorized_cache_control_header_strategy = "SUCCEED_WITHOUT_RESPONSE_HEADER"
  }

  # The stage's settings first: written later, they would still be right, but the routes' would be made from defaults meanwhile.
  depends_on = [aws_api_gateway_method_settings.stage]
}
