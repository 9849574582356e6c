resource "aws_cloudfront_distribution" "this" {
  #checkov:skip=CKV_AWS_86:Logs go to CloudWatch Logs (logs.tf); this check knows only the older kind, which needs ACLs.
  #checkov:skip=CKV_AWS_374:A country list here would answer with HTML for the API too; the firewall has one.
  #checkov:skip=CKV2_AWS_47:A web ACL costs 5 $ a month and more; the variable firewall makes one.

  comment             = "${var.name}: documents, API and web client"
  enabled             = true
  is_ipv6_enabled     = true
  http_version        = "http2and3"
  price_class         = var.price_class
  aliases             = var.domain[*].name
  default_root_object = var.site == null ? null : "index.html"
  wait_for_deployment = var.wait
  web_acl_id          = var.web_acl_arn

  dynamic "origin" {
    for_each = local.bucket_origins

    content {
      origin_id                = origin.value.id
      domain_name              = origin.value.host
      origin_path              = origin.value.path
      origin_access_control_id = origin.value.host == local.lost_host ? null : local.origin_access_control

      # These two bound how long CloudFront tries to connect. Nothing bounds how long a bucket that accepts a connection
      # may stay silent: CloudFront gives it 30 seconds.
      connection_attempts = local.connection.attempts
      connection_timeout  = local.connection.timeout

      # Only during a drill (origins.tf). These are CloudFront's defaults, and the provider wants them.
      dynamic "custom_origin_config" {
        for_each = origin.value.host == local.lost_host ? [1] : []

        content {
          http_port              = 80
          https_port             = 443
          origin_protocol_policy = "https-only"
          origin_ssl_protocols   = ["TLSv1.2"]
        }
      }
    }
  }

  origin {
    origin_id   = "api"
    domain_name = var.api.host
    origin_path = var.api.path

    # The API accepts only requests with this secret. CloudFront sends it instead of the client's own header.
    # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/add-origin-custom-headers.html
    dynamic "custom_header" {
      for_each = nonsensitive(var.origin_secret == null) ? [] : [1]

      content {
        name  = "Referer"
        value = var.origin_secret
      }
    }

    # CloudFront's defaults: no other origin takes over.
    connection_attempts = 3
    connection_timeout  = 10

    custom_origin_config {
      http_port              = coalesce(var.api.http_port, 80)
      https_port             = 443
      origin_protocol_policy = var.api.http_port == null ? "https-only" : "http-only"
      origin_ssl_protocols   = ["TLSv1.2"]

      # API Gateway answers within 29 seconds.
      origin_read_timeout = 30
    }
  }

  dynamic "origin_group" {
    for_each = local.groups

    content {
      origin_id = origin_group.key

      failover_criteria {
        status_codes = local.failover_statuses
      }

      dynamic "member" {
        for_each = origin_group.value

        content {
          origin_id = member.value
        }
      }
    }
  }

  dynamic "ordered_cache_behavior" {
    for_each = local.behaviours

    content {
      path_pattern               = ordered_cache_behavior.value.path
      target_origin_id           = ordered_cache_behavior.value.origin
      allowed_methods            = local.methods[ordered_cache_behavior.key]
      cached_methods             = ["GET", "HEAD"]
      viewer_protocol_policy     = ordered_cache_behavior.value.plain_http
      compress                   = true
      cache_policy_id            = ordered_cache_behavior.value.cached ? local.cache_policy : local.caching_disabled
      origin_request_policy_id   = ordered_cache_behavior.value.passes_all ? local.all_but_host : null
      response_headers_policy_id = aws_cloudfront_response_headers_policy.this[ordered_cache_behavior.value.headers].id

      dynamic "lambda_function_association" {
        for_each = local.events[ordered_cache_behavior.key]

        content {
          event_type   = lambda_function_association.value
          lambda_arn   = local.function_arn
          include_body = false
        }
      }
    }
  }

  default_cache_behavior {
    target_origin_id           = local.site_behaviour.origin
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    viewer_protocol_policy     = local.site_behaviour.plain_http
    compress                   = true
    cache_policy_id            = local.site_behaviour.cached ? local.cache_policy : local.caching_disabled
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this[local.site_behaviour.headers].id

    lambda_function_association {
      event_type   = "origin-response"
      lambda_arn   = local.function_arn
      include_body = false
    }
  }

  # Without these entries, CloudFront would keep an error for 10 seconds and give it to every client. They have no page,
  # because a page here would replace the errors of the API and of the documents too.
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html
  dynamic "custom_error_response" {
    for_each = local.kept_errors

    content {
      error_code            = custom_error_response.value
      error_caching_min_ttl = 0
    }
  }

  # With the distribution's own certificate, CloudFront sets the oldest version of TLS itself, to TLSv1.
  viewer_certificate {
    cloudfront_default_certificate = var.domain == null
    acm_certificate_arn            = local.certificate_arn
    ssl_support_method             = var.domain == null ? null : "sni-only"
    minimum_protocol_version       = var.domain == null ? "TLSv1" : "TLSv1.2_2021"
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  lifecycle {
    precondition {
      condition     = local.behaviour_count <= local.max_behaviours
      error_message = <<-EOT
        This edge needs ${local.behaviour_count} behaviours, and CloudFront allows ${local.max_behaviours} in a
        distribution: one for each public and owner collection and for each public source, and three more. Declare fewer
        of them, or put some into a second stack. (Collections for every signed-in user need none of their own.)
      EOT
    }
  }
}

locals {
  origin_access_control = aws_cloudfront_origin_access_control.this.id

  cache_policy = aws_cloudfront_cache_policy.documents.id

  all_methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]

  # For each behaviour, in their order. A group of origins takes no other methods than these three.
  methods = [for each in local.behaviours : each.writes ? local.all_methods : ["GET", "HEAD", "OPTIONS"]]
  events = [for each in local.behaviours : concat(
    each.viewer_request ? ["viewer-request"] : [],
    each.origin_response ? ["origin-response"] : [],
  )]

  # The errors that CloudFront keeps whatever their Cache-Control says, and 404, 414 and 501, of which it keeps those
  # that don't say no-store.
  kept_errors = [404, 414, 500, 501, 502, 503, 504]
}
