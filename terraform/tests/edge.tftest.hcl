# Tests of module `edge`: what the distribution serves, keeps and refuses.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "us-east-1"
    }
  }

  mock_resource "aws_lambda_function" {
    defaults = {
      arn     = "arn:aws:lambda:us-east-1:111122223333:function:shop-edge-auth-0a1b2c3d"
      version = "7"

      # What MiniStack returns: no version. CloudFront on AWS would refuse it.
      qualified_arn = "arn:aws:lambda:us-east-1:111122223333:function:shop-edge-auth-0a1b2c3d"
    }
  }
}

variables {
  name         = "shop"
  account_name = "shop-eu-central-1"
  documents    = { primary = "docs-1.s3.eu-central-1.amazonaws.com", replica = "docs-2.s3.eu-west-1.amazonaws.com" }
  serve        = { documents = true, sign_in = true }
  collections = {
    products = "public"
    brands   = "public"
    prices   = "authenticated"
    profiles = "owner"
  }
  sources = { shop = "public", erp = "authenticated" }
  api     = { host = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com" }
  site = {
    primary                 = "site-1.s3.eu-central-1.amazonaws.com"
    replica                 = "site-2.s3.eu-west-1.amazonaws.com"
    content_security_policy = "default-src 'none'"
  }
  code = { zip = "tests/mocks/artefact.txt" }
  pools = [{
    issuer     = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"
    jwks_uri   = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI/.well-known/jwks.json"
    client_ids = ["web", "mobile"]
  }]
  scopes             = ["shop/read", "aws.cognito.signin.user.admin"]
  cors               = { origins = ["https://app.example.com"], headers = ["traceparent"] }
  log_retention_days = 30
  log_key_arn        = "arn:aws:kms:us-east-1:111122223333:key/e"

  # What the runs expect. The module has no such variables.
  expected_paths = [
    "/v1/*", "/documents/sources/shop", "/documents/brands/*", "/documents/products/*", "/documents/profiles/*",
    "/documents/*", "*",
  ]

  # Path -> origin, methods, what HTTP gets, cache policy, origin request policy, and the function's events.
  expected_behaviours = {
    "/v1/*"                   = "api, DELETE GET HEAD OPTIONS PATCH POST PUT, https-only, off, all but Host"
    "/documents/sources/shop" = "documents-public, GET HEAD OPTIONS, https-only, documents, origin-response"
    "/documents/brands/*"     = "documents-public, GET HEAD OPTIONS, https-only, documents, origin-response"
    "/documents/products/*"   = "documents-public, GET HEAD OPTIONS, https-only, documents, origin-response"
    "/documents/profiles/*"   = "documents-owner, GET HEAD OPTIONS, https-only, off, origin-response viewer-request"
    "/documents/*" = join(", ", [
      "documents-authenticated", "GET HEAD OPTIONS", "https-only", "documents", "origin-response viewer-request",
    ])
    "*" = "site, GET HEAD, redirect-to-https, documents, origin-response"
  }

  expected_origins = {
    documents-public-primary        = "/public 1 x 2 s signed"
    documents-public-replica        = "/public 1 x 2 s signed"
    documents-authenticated-primary = "/authenticated 1 x 2 s signed"
    documents-authenticated-replica = "/authenticated 1 x 2 s signed"
    documents-owner-primary         = "/owner 1 x 2 s signed"
    documents-owner-replica         = "/owner 1 x 2 s signed"
    site-primary                    = "1 x 2 s signed"
    site-replica                    = "1 x 2 s signed"
    nothing                         = "/nothing 1 x 2 s signed"
    api                             = "3 x 10 s https-only"
  }

  expected_groups = {
    documents-public        = "documents-public-primary documents-public-replica 500 502 503 504"
    documents-authenticated = "documents-authenticated-primary documents-authenticated-replica 500 502 503 504"
    documents-owner         = "documents-owner-primary documents-owner-replica 500 502 503 504"
    site                    = "site-primary site-replica 500 502 503 504"
  }

  expected_errors = { 404 = "0", 414 = "0", 500 = "0", 501 = "0", 502 = "0", 503 = "0", 504 = "0" }

  expected_removed = [
    "Server", "x-amz-id-2", "x-amz-meta-readplane-version", "x-amz-request-id", "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-version-id",
  ]

  expected_cors = "override https://app.example.com GET HEAD OPTIONS Authorization If-None-Match Range traceparent"

  expected_settings = {
    v = 1
    pools = [{
      issuer     = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"
      jwks_uri   = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI/.well-known/jwks.json"
      client_ids = ["web", "mobile"]
    }]
    scopes  = ["shop/read", "aws.cognito.signin.user.admin"]
    owner   = ["profiles"]
    shared  = ["prices"]
    sources = ["erp"]
    origins = ["https://app.example.com"]
    headers = ["Authorization", "If-None-Match", "Range", "traceparent"]
    hsts    = "max-age=31536000"
  }
}

run "behaviours" {
  command = plan

  module {
    source = "./modules/edge"
  }

  assert {
    condition     = join(" ", output.behaviours[*].path) == join(" ", var.expected_paths)
    error_message = "The edge serves the API, each public source and collection, each owner collection, and the rest."
  }

  assert {
    condition     = alltrue([for b in output.behaviours : b.viewer_request if b.headers == "documents-private"])
    error_message = "(i) Nothing is served from a private origin before edge_auth has checked the request."
  }

  assert {
    condition     = alltrue([for b in output.behaviours : !b.cached if b.visibility == "owner"])
    error_message = "(ii) An owner's document is never cached."
  }

  assert {
    condition     = jsonencode(output.deployed.behaviours) == jsonencode(var.expected_behaviours)
    error_message = "(iii), (v) The distribution has the behaviours of the list, and `/documents/*` asks for a token."
  }

  assert {
    condition     = jsonencode(output.deployed.origins) == jsonencode(var.expected_origins)
    error_message = "(iv) Each visibility is an origin of its own. Nothing else reaches documents."
  }

  assert {
    condition     = jsonencode(output.deployed.groups) == jsonencode(var.expected_groups)
    error_message = "If the primary Region fails, CloudFront asks the replica. A missing document isn't a failure."
  }

  assert {
    condition = alltrue([
      for arn in output.deployed.functions : can(regex("^arn:aws:lambda:us-east-1:.+:[0-9]+$", arn))
    ])
    error_message = "CloudFront runs a numbered version of the function, whatever the emulator says of its ARN."
  }

  assert {
    condition     = jsonencode(output.deployed.errors) == jsonencode(var.expected_errors)
    error_message = "CloudFront keeps no error, and no page replaces the errors of the API."
  }

  assert {
    condition     = aws_cloudfront_distribution.this.http_version == "http2and3"
    error_message = "The edge speaks HTTP/3."
  }

  assert {
    condition     = aws_cloudfront_distribution.this.is_ipv6_enabled
    error_message = "The edge speaks IPv6."
  }

  assert {
    condition     = aws_cloudfront_distribution.this.default_root_object == "index.html"
    error_message = "The site is at /."
  }

  assert {
    condition     = output.deployed.tls.minimum_protocol_version == "TLSv1"
    error_message = "Without a domain, CloudFront's own certificate sets TLSv1, and the plan says so."
  }

  assert {
    condition     = aws_cloudfront_origin_access_control.this.signing_behavior == "always"
    error_message = "CloudFront never passes a client's Authorization on to a bucket."
  }

  assert {
    condition     = length(setintersection(local.log_fields, ["cs(Cookie)", "cs-uri-query", "cs(Referer)"])) == 0
    error_message = "The access log holds neither cookies nor query strings, where the sign-in page returns a code."
  }

  assert {
    condition     = aws_cloudwatch_log_group.access[0].kms_key_id == var.log_key_arn
    error_message = "The stack's key in us-east-1 encrypts the log."
  }

  assert {
    condition     = aws_cloudwatch_log_delivery_source.access[0].log_type == "ACCESS_LOGS"
    error_message = "The log is one of the requests."
  }
}

run "cache_policy" {
  command = plan

  module {
    source = "./modules/edge"
  }

  assert {
    condition     = aws_cloudfront_cache_policy.documents.min_ttl == 0
    error_message = "An object that says private or no-cache isn't kept."
  }

  assert {
    condition     = aws_cloudfront_cache_policy.documents.default_ttl == 0
    error_message = "An object that says nothing isn't kept."
  }

  assert {
    condition     = aws_cloudfront_cache_policy.documents.max_ttl == 31536000
    error_message = "An object may be kept for a year."
  }

  assert {
    condition     = join(" ", distinct(local.key_parts)) == "none"
    error_message = "The cache key holds no header, no cookie and no query string."
  }
}

run "headers" {
  command = plan

  module {
    source = "./modules/edge"
  }

  assert {
    condition     = join(" ", sort(keys(output.deployed.headers))) == "api documents-private documents-public site"
    error_message = "A stack needs four of the account's 20 policies."
  }

  assert {
    condition = alltrue([
      for name in ["public", "private"] : output.deployed.headers["documents-${name}"].cors == var.expected_cors
    ])
    error_message = "A script of the declared origin may read documents, and send a token by name."
  }

  assert {
    condition     = output.deployed.headers.api.cors == null && output.deployed.headers.site.cors == null
    error_message = "The API sends its own CORS headers, and the site needs none."
  }

  assert {
    condition = alltrue([
      for name, policy in output.deployed.headers : join(" ", policy.removed) == join(" ", var.expected_removed)
      if name != "api"
    ])
    error_message = "No header of S3 names a key, an account or a version."
  }

  assert {
    condition     = join("", output.deployed.headers["documents-private"].custom) == "Cache-Control: private, no-cache"
    error_message = "No browser and no other cache keeps a private document."
  }

  assert {
    condition = length(concat(
      output.deployed.headers.api.custom, output.deployed.headers["documents-public"].custom
    )) == 0
    error_message = "Public documents and the API keep their own Cache-Control."
  }

  assert {
    condition     = output.deployed.headers.site.csp == "default-src 'none'"
    error_message = "The site has its Content-Security-Policy."
  }
}

run "function" {
  command = plan

  module {
    source = "./modules/edge"
  }

  assert {
    condition     = jsonencode(jsondecode(output.settings)) == jsonencode(var.expected_settings)
    error_message = "The function learns the pools, the scopes, and which paths need a token."
  }

  assert {
    condition     = toset(local.trusted) == toset(["lambda.amazonaws.com", "edgelambda.amazonaws.com"])
    error_message = "Lambda and CloudFront's copies may assume the role."
  }
}

run "without_a_replica_and_a_site" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    documents = { primary = "docs-1.s3.eu-central-1.amazonaws.com" }
    site      = null
    cors      = { origins = [] }
  }

  assert {
    condition     = length(output.deployed.groups) == 0
    error_message = "Without a replica there is no group."
  }

  assert {
    condition     = output.deployed.origins["documents-public-primary"] == "/public 3 x 10 s signed"
    error_message = "Without a replica, the only Region gets CloudFront's usual time."
  }

  assert {
    condition     = startswith(output.deployed.behaviours["/documents/*"], "documents-authenticated-primary, ")
    error_message = "Without a replica, the primary Region's documents are served."
  }

  assert {
    condition     = output.deployed.behaviours["*"] == "nothing, GET HEAD, redirect-to-https, off, origin-response"
    error_message = "Without a site, other paths reach a prefix without objects."
  }

  assert {
    condition     = alltrue([for policy in output.deployed.headers : policy.cors == null])
    error_message = "Without origins, no script of another site may read."
  }
}

run "without_sign_in" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    serve = { documents = true, sign_in = false }
  }

  assert {
    condition     = startswith(output.deployed.behaviours["/documents/*"], "nothing, ")
    error_message = "Without sign-in, a private document is a 404 at the edge, never open."
  }

  assert {
    condition     = !contains(keys(output.deployed.behaviours), "/documents/profiles/*")
    error_message = "Without sign-in, no behaviour is for owners."
  }

  assert {
    condition     = length(regexall("/(authenticated|owner)", jsonencode(output.deployed.origins))) == 0
    error_message = "No origin reaches private documents."
  }
}

run "without_documents" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    serve = { documents = false, sign_in = true }
  }

  assert {
    condition     = join(" ", output.behaviours[*].path) == "/v1/* /documents/* *"
    error_message = "Without documents, only the API and the site are served."
  }

  assert {
    condition     = startswith(output.deployed.behaviours["/documents/*"], "nothing, ")
    error_message = "Without documents, each of them is a 404."
  }
}

run "origins_that_cloudfront_does_not_take" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    cors = { origins = ["https://app.example.com", "capacitor://localhost"] }
  }

  assert {
    condition     = join(" ", local.cors_origins) == "*" && jsondecode(output.settings).origins == ["*"]
    error_message = "An origin with another scheme lets every answer say *, as the API does."
  }
}

run "domain_with_a_certificate" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    domain = { name = "www.example.com", certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/aaaa" }
  }

  assert {
    condition     = output.deployed.tls.minimum_protocol_version == "TLSv1.2_2021"
    error_message = "With a domain, the edge refuses TLS versions before 1.2."
  }

  assert {
    condition     = output.deployed.tls.ssl_support_method == "sni-only"
    error_message = "The edge needs no address of its own, which costs 600 $ a month."
  }

  assert {
    condition     = output.deployed.tls.acm_certificate_arn == var.domain.certificate_arn
    error_message = "The edge uses the team's certificate."
  }

  assert {
    condition     = join(" ", aws_cloudfront_distribution.this.aliases) == "www.example.com"
    error_message = "The edge answers to its name."
  }

  assert {
    condition     = output.url == "https://www.example.com"
    error_message = "The edge's URL has its name."
  }

  assert {
    condition     = length(aws_acm_certificate.this) + length(aws_route53_record.this) == 0
    error_message = "The team's own certificate needs nothing of the stack, and the team makes the record."
  }
}

run "domain_in_a_zone" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    domain = { name = "www.example.com", zone_id = "Z0123456789ABCDEFGHIJ" }
  }

  assert {
    condition     = keys(aws_route53_record.this) == ["A", "AAAA", "HTTPS"]
    error_message = "Clients find the edge by IPv4 and IPv6, and learn of HTTP/3 before they connect."
  }

  assert {
    condition     = aws_route53_record.proof[0].name == "_1.www.example.com."
    error_message = "The stack proves that the name is the team's."
  }

  assert {
    condition     = output.deployed.tls.acm_certificate_arn == aws_acm_certificate_validation.this[0].certificate_arn
    error_message = "The edge waits until the certificate is issued."
  }
}

run "drill" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    drill = "primary_unreachable"

    expected_origins_of_the_drill = {
      documents-public-primary        = "/public 1 x 2 s https-only lost"
      documents-authenticated-primary = "/authenticated 1 x 2 s https-only lost"
      documents-owner-primary         = "/owner 1 x 2 s https-only lost"
      site-primary                    = "1 x 2 s https-only lost"
    }
  }

  assert {
    condition = jsonencode(output.deployed.origins) == jsonencode(merge(
      var.expected_origins, var.expected_origins_of_the_drill
    ))
    error_message = "CloudFront finds no address for the primary Region's buckets. It still signs for the replica's."
  }

  assert {
    condition     = jsonencode(output.deployed.groups) == jsonencode(var.expected_groups)
    error_message = "The replica takes over as it does in an outage."
  }

  assert {
    condition     = contains(local.failover_statuses, 502)
    error_message = "CloudFront's own answer for a name that doesn't resolve is 502."
  }

  # A warning at every plan, so that nobody forgets the drill.
  expect_failures = [check.drill]
}

run "more_behaviours_than_cloudfront_allows" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    collections = { for number in range(40) : "collection-${number}" => "public" }
    sources     = { for number in range(33) : "source-${number}" => "public" }
  }

  expect_failures = [aws_cloudfront_distribution.this]
}

run "as_many_behaviours_as_cloudfront_allows" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    collections = { for number in range(40) : "collection-${number}" => "public" }
    sources     = { for number in range(32) : "source-${number}" => "public" }
  }

  assert {
    condition     = length(output.behaviours) == 75
    error_message = "CloudFront allows 75 behaviours, the default one included."
  }
}

run "settings_that_no_parameter_holds" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    collections = { for number in range(70) : "${join("", [for i in range(55) : "c"])}-${number}" => "authenticated" }
  }

  expect_failures = [aws_ssm_parameter.settings]
}
