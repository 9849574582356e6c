locals {
  # The name of the stage. It is the first segment of every path, on AWS and on the emulators.
  stage_name = "v1"

  # The format of the access log. The log contains no content of requests or responses: no headers, no bodies, and no
  # messages of API Gateway, which can quote the Authorization header. It also leaves out the values in a path, because
  # an item's id can be personal data.
  #
  # amzn_request_id is the response header x-amzn-RequestId. A client can choose it.
  access_log_format = jsonencode({
    request_id         = local.request_id
    amzn_request_id    = "$context.requestId"
    time               = "$context.requestTimeEpoch"
    source_ip          = "$context.identity.sourceIp"
    caller             = "$context.authorizer.claims.sub"
    client_id          = "$context.authorizer.claims.client_id"
    api_key_id         = "$context.identity.apiKeyId"
    method             = "$context.httpMethod"
    route              = "$context.resourcePath"
    protocol           = "$context.protocol"
    status             = "$context.status"
    error_type         = "$context.error.responseType"
    response_bytes     = "$context.responseLength"
    latency_ms         = "$context.responseLatency"
    integration_status = "$context.integration.status"
    integration_ms     = "$context.integration.latency"
    trace_id           = "$context.xrayTraceId"
  })

  # Route with a cache or throttle of its own -> the settings of its method. A method with its own settings inherits
  # none of the stage's settings, so each entry has all of them.
  #
  # `path` names the method. API Gateway expects every slash of the route's path as "~1", the leading slash included.
  # With plain slashes, API Gateway would store the settings for a path that no method has, and they would have no
  # effect.
  method_settings = { for key, route in local.routes : key => {
    path  = "${var.escape_method_paths ? replace("/${route.path}", "/", "~1") : route.path}/${route.method}"
    cache = route.cache != null
    ttl   = try(route.cache.ttl, 0)
    rate  = try(route.throttle.rate, var.throttle.rate)
    burst = try(route.throttle.burst, var.throttle.burst)
  } if route.cache != null || route.throttle != null }
}

resource "aws_api_gateway_stage" "this" {
  #checkov:skip=CKV_AWS_120:AWS bills a cache cluster by the hour, used or not; cache_size creates one.
  #checkov:skip=CKV2_AWS_29:Throttles protect what is behind the API; AWS bills a web ACL every month.
  #checkov:skip=CKV2_AWS_51:Few back offices check a client certificate; private ones are reached by VPC link.

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

  # These resources must exist before the stage. If the log group of the execution log doesn't exist, API Gateway
  # creates one that keeps its entries forever.
  #
  # API Gateway also refuses a stage with logs until the account has a role for them: "CloudWatch Logs role ARN must be
  # set in account settings to enable logging". Module `account_logging` creates that role, once for all stacks.
  depends_on = [
    aws_cloudwatch_log_group.execution,
    aws_lambda_permission.authorizer,
    aws_lambda_permission.invoke,
  ]
}

# The default settings, for every method without settings of its own. They turn caching off, so only a route's own
# settings can turn it on.
#
# API Gateway always sends the metrics of the API and of its stage, for nothing. The dashboard and the alarms read only
# those. With metrics_enabled, it also sends up to seven metrics with the dimensions ApiName, Stage, Resource and Method
# for each method that is called. CloudWatch bills each of them like a custom metric, 0.30 $ a month.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
resource "aws_api_gateway_method_settings" "stage" {
  #checkov:skip=CKV_AWS_225:A default cache would share a new route's responses between callers; each route opts in.

  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    metrics_enabled        = var.method_metrics
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
  #checkov:skip=CKV_AWS_225:Only routes with a cache and a complete key are cached; the others set a throttle here.

  for_each = local.method_settings

  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = each.value.path

  settings {
    metrics_enabled        = var.method_metrics
    logging_level          = "ERROR"
    data_trace_enabled     = false
    throttling_rate_limit  = each.value.rate
    throttling_burst_limit = each.value.burst

    caching_enabled      = each.value.cache
    cache_ttl_in_seconds = each.value.ttl
    cache_data_encrypted = true

    # With these two settings, API Gateway ignores the header Cache-Control of a request, so callers can't invalidate
    # the cache. A browser sends this header when its user reloads a page. API Gateway could also respond 403 to the
    # header, but then reloading a page would fail.
    require_authorization_for_cache_control    = true
    unauthorized_cache_control_header_strategy = "SUCCEED_WITHOUT_RESPONSE_HEADER"
  }

  # Terraform writes the settings of the whole stage first. So caching is off for every method before a route's settings
  # turn it on for that route's method.
  depends_on = [aws_api_gateway_method_settings.stage]
}
