# What a cached answer depends on, what the API gets of a request, and the headers of the answers.

# The only cache policy, because an account has 20 of them. The key is the path (and what the client can decompress).
# How long an answer stays says the object itself. An object that doesn't say it isn't kept, because the default is 0.
# The minimum is 0 too: with any other one, CloudFront would keep answers that say `private`, `no-cache` or `no-store`.
# https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CachePolicyConfig.html
resource "aws_cloudfront_cache_policy" "documents" {
  name        = "${var.account_name}-documents"
  comment     = "Path only; each object says how long it stays"
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 31536000

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = true
    enable_accept_encoding_brotli = true

    headers_config {
      header_behavior = "none"
    }

    cookies_config {
      cookie_behavior = "none"
    }

    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

locals {
  # What the key holds of a request besides its path, for tests.
  key_parts = flatten([
    for key in aws_cloudfront_cache_policy.documents.parameters_in_cache_key_and_forwarded_to_origin : [
      key.headers_config[*].header_behavior,
      key.cookies_config[*].cookie_behavior,
      key.query_strings_config[*].query_string_behavior,
    ]
  ])

  # AWS's own policies have the same ids in every account.
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
  caching_disabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

  # Everything of a request but the header Host. With the edge's own host name, API Gateway would answer 403.
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
  all_but_host = "b689b0a8-53d0-40ab-baf2-68738e2966ac"

  # CloudFront accepts http and https origins alone. For others, such as capacitor://localhost, every answer says `*`,
  # as the API does. That is safe, because callers send bearer tokens and no cookies.
  web_origins  = [for origin in var.cors.origins : origin if can(regex("^https?://[^*]+$", origin))]
  are_plain    = length(local.web_origins) == length(var.cors.origins)
  cors_origins = local.are_plain ? var.cors.origins : ["*"]

  # One by one, because a `*` wouldn't cover Authorization. `edge_auth` answers preflights with the same list.
  cors_headers = distinct(concat(["Authorization", "If-None-Match", "Range"], var.cors.headers))

  # The header Strict-Transport-Security of what `edge_auth` answers itself. AWS doesn't say whether CloudFront adds the
  # headers of a policy to such an answer.
  hsts = join("; ", concat(
    ["max-age=${var.hsts.max_age}"],
    var.hsts.subdomains ? ["includeSubDomains"] : [],
    var.hsts.preload ? ["preload"] : [],
  ))

  # S3's own headers: they name versions, keys (and so the account) and internals. `edge_auth` has copied the document's
  # version to Readplane-Version. CloudFront removes at most 10 headers.
  removed_headers = [
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-version-id",
    "x-amz-meta-readplane-version",
    "x-amz-request-id",
    "x-amz-id-2",
    "Server",
  ]

  # Name -> what the answers of a behaviour get. The API sends its own headers, so the edge only adds what is missing.
  response_headers = merge({
    api = {
      comment = "The API's answers"
      strict  = false
      cors    = false
      csp     = null
      removed = []
      custom  = {}
    }
    documents-public = {
      comment = "Documents for everybody"
      strict  = true
      cors    = true
      csp     = null
      removed = local.removed_headers
      custom  = {}
    }
    # A document in S3 says how long the edge may keep it. Browsers and other caches may not.
    documents-private = {
      comment = "Documents that need a token"
      strict  = true
      cors    = true
      csp     = null
      removed = local.removed_headers
      custom  = { "Cache-Control" = "private, no-cache" }
    }
    }, var.site == null ? {} : { site = {
      comment = "The web client"
      strict  = true
      cors    = false
      csp     = var.site.content_security_policy
      removed = local.removed_headers
      custom = {
        "Cross-Origin-Opener-Policy" = "same-origin"
        "Permissions-Policy"         = "camera=(), geolocation=(), microphone=()"
      }
  } })
}

resource "aws_cloudfront_response_headers_policy" "this" {
  #checkov:skip=CKV_AWS_259:A preloaded name is hard to take back, so only the team can promise it (edge.hsts).

  for_each = local.response_headers

  name    = "${var.account_name}-${each.key}"
  comment = each.value.comment

  # CloudFront refuses to delete a policy that a distribution uses. With this, Terraform first changes the distribution.
  # https://github.com/hashicorp/terraform-provider-aws/issues/21730
  lifecycle {
    create_before_destroy = true
  }

  dynamic "cors_config" {
    for_each = each.value.cors && length(local.cors_origins) > 0 ? [1] : []

    content {
      access_control_allow_credentials = false
      access_control_max_age_sec       = 7200 # the longest for which Chromium caches a preflight
      origin_override                  = true

      access_control_allow_headers {
        items = local.cors_headers
      }

      access_control_allow_methods {
        items = ["GET", "HEAD", "OPTIONS"]
      }

      access_control_allow_origins {
        items = local.cors_origins
      }

      access_control_expose_headers {
        items = ["ETag", "Readplane-Version", "Retry-After"]
      }
    }
  }

  security_headers_config {
    strict_transport_security {
      access_control_max_age_sec = var.hsts.max_age
      include_subdomains         = var.hsts.subdomains
      preload                    = var.hsts.preload
      override                   = each.value.strict
    }

    dynamic "content_type_options" {
      for_each = each.value.strict ? [1] : []

      content {
        override = true
      }
    }

    dynamic "frame_options" {
      for_each = each.value.strict ? [1] : []

      content {
        frame_option = "DENY"
        override     = true
      }
    }

    dynamic "referrer_policy" {
      for_each = each.value.strict ? [1] : []

      content {
        referrer_policy = "no-referrer"
        override        = true
      }
    }

    dynamic "content_security_policy" {
      for_each = each.value.csp[*]

      content {
        content_security_policy = content_security_policy.value
        override                = true
      }
    }
  }

  dynamic "custom_headers_config" {
    for_each = length(each.value.custom) > 0 ? [1] : []

    content {
      dynamic "items" {
        for_each = each.value.custom

        content {
          header   = items.key
          value    = items.value
          override = true
        }
      }
    }
  }

  dynamic "remove_headers_config" {
    for_each = length(each.value.removed) > 0 ? [1] : []

    content {
      dynamic "items" {
        for_each = each.value.removed

        content {
          header = items.value
        }
      }
    }
  }
}
