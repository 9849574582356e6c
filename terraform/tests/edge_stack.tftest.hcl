# Tests of a stack with an edge: how the edge is connected with the rest, for every combination of what it can have.
# Terraform refuses a plan with a cycle, so each of these runs also shows that there is none.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias           = "replica"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "eu-west-1"
    }
  }
}

mock_provider "aws" {
  alias           = "edge"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "us-east-1"
    }
  }
}

variables {
  region         = "eu-central-1"
  hot_zip        = "tests/mocks/hot.txt"
  functions_zip  = "tests/mocks/artefact.txt"
  layer_zip      = "tests/mocks/artefact.txt"
  poll_layer_zip = "tests/mocks/artefact.txt"
  edge_auth_zip  = "tests/mocks/artefact.txt"

  collections = {
    products = { read = "public", edge_ttl = 300 }
    prices   = { read = "authenticated", edge_ttl = 60 }
    profiles = { read = "owner" }
    old      = { read = "public", retired = true }
  }

  # What the runs expect. The module has no such variables.
  expected_key_statement = {
    Sid       = "EdgeReads"
    Effect    = "Allow"
    Principal = { Service = "cloudfront.amazonaws.com" }
    Action    = ["kms:Decrypt"]
    Resource  = "*"
    Condition = { ArnLike = { "aws:SourceArn" = "arn:aws:cloudfront::111122223333:distribution/*" } }
  }

  expected_bucket_statement = {
    Sid       = "EdgeReads"
    Effect    = "Allow"
    Principal = { Service = "cloudfront.amazonaws.com" }
    Action    = "s3:GetObject"
    Resource = [
      "arn:aws:s3:::a-bucket/authenticated/documents/*",
      "arn:aws:s3:::a-bucket/owner/documents/*",
      "arn:aws:s3:::a-bucket/public/documents/*",
    ]
    Condition = { StringEquals = {
      "aws:SourceArn" = ["arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE"]
    } }
  }

  expected_emulated_origin = { host = "localhost", path = "/_aws/execute-api/a1b2c3d4e5", http_port = 4566 }
}

run "production" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    replica              = { region = "eu-west-1" }
    customer_managed_key = true
    alarms               = true
    cors_origins         = ["https://app.example.com"]
    sign_in              = { web_callback_urls = ["https://app.example.com/"], web_logout_urls = [] }
    domains = {
      primary = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      }
      replica = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/1"
      }
    }
    edge = { domain = { name = "www.example.com", zone_id = "Z0123456789ABCDEFGHIJ" } }
  }

  assert {
    condition     = output.edge_url == "https://www.example.com" && output.edge_id == "E1EXAMPLE"
    error_message = "The edge has the address of its domain."
  }

  assert {
    condition     = !contains(output.edge_behaviours[*].path, "/documents/old/*") && length(output.edge_behaviours) == 5
    error_message = "The edge serves the collections that clients can reach."
  }

  assert {
    condition     = strcontains(output.policies.keys.primary, jsonencode(var.expected_key_statement))
    error_message = "CloudFront may decrypt the documents of the primary Region. Without that, each would be a 403."
  }

  assert {
    condition     = strcontains(output.policies.keys.replica, jsonencode(var.expected_key_statement))
    error_message = "CloudFront may decrypt the replica's documents. A failover would answer 403 without it."
  }

  assert {
    condition     = strcontains(output.policies.documents_bucket, jsonencode(var.expected_bucket_statement))
    error_message = "Only this distribution reads documents."
  }

  assert {
    condition     = strcontains(module.replica[0].policies.documents_bucket, jsonencode(var.expected_bucket_statement))
    error_message = "The distribution reads the replica's documents too. A failover would answer 403 without it."
  }

  assert {
    condition     = length(regexall("\"Allow\"", output.policies.documents_bucket)) == 1
    error_message = "The bucket allows nobody anything else. So nobody can list keys at the edge."
  }

  assert {
    condition     = contains(local.edge_pages, "https://www.example.com/")
    error_message = "Users return to the edge after sign-in and sign-out."
  }

  assert {
    condition     = local.edge_api.host == "api.example.com" && local.edge_api.path == ""
    error_message = "CloudFront reaches the API by its domain name, and the stage is part of the path already."
  }

  assert {
    condition     = jsondecode(module.primary.settings.publish).collections.prices.edge_ttl == 60
    error_message = "publish learns how long the edge may keep documents."
  }
}

run "one_region_without_a_domain" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    edge = {}
  }

  assert {
    condition     = output.edge_url == "https://d111111abcdef8.cloudfront.net"
    error_message = "Without a domain, the edge has the distribution's own address."
  }

  assert {
    condition     = output.edge_domain_name == "d111111abcdef8.cloudfront.net"
    error_message = "The output has the host name alone, for a DNS record."
  }

  assert {
    condition     = join(" ", local.edge_pages) == "https://d111111abcdef8.cloudfront.net/"
    error_message = "Users return to the distribution's own address."
  }

  assert {
    condition     = local.edge_api.host == "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
    error_message = "CloudFront reaches the API by its own address."
  }
}

run "edge_without_sign_in_and_site" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    edge = { sign_in = false, site = false, access_logs = false }
  }

  assert {
    condition     = length(local.edge_pages) == 0 && length(module.site) == 0
    error_message = "Without a site, nobody returns to the edge after sign-in."
  }
}

run "edge_with_its_own_certificate" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  override_data {
    target = data.aws_region.replica
    values = { name = "us-east-1" }
  }

  variables {
    # The edge keeps its log in us-east-1, where this stack has a key.
    replica              = { region = "us-east-1" }
    customer_managed_key = true
    edge = { domain = {
      name            = "www.example.com"
      certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/1"
    }, documents = false, origin_lock = "none" }
  }

  assert {
    condition     = !local.probes.primary.has_edge
    error_message = "An edge without documents gets no request for one."
  }

  assert {
    condition     = output.edge_url == "https://www.example.com"
    error_message = "The edge has the address of its domain."
  }

  assert {
    condition     = local.edge_key_arn != null && local.edge_key_arn == local.replica_key_arn
    error_message = "The stack's key in us-east-1 encrypts the log of the edge's requests."
  }

  # The plan warns that clients can go around an edge without a lock.
  expect_failures = [check.origin_lock]
}

run "emulator" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    edge          = {}
    edge_base_url = "http://localhost:8080"
    api_base_url  = "http://localhost:4566/_aws/execute-api/{api_id}"
  }

  assert {
    condition     = output.edge_url == "http://localhost:8080"
    error_message = "On an emulator, a stand-in serves the edge."
  }

  assert {
    condition     = jsonencode(local.edge_api) == jsonencode(var.expected_emulated_origin)
    error_message = "On an emulator, the API is at the emulator's address."
  }

  assert {
    condition     = local.key_set == "http://localhost:4566/eu-central-1_AbCdEfGhI/.well-known/jwks.json"
    error_message = "On an emulator, the keys of its tokens are at its own address."
  }

  assert {
    condition     = local.issuer == "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"
    error_message = "On an emulator, the tokens name the same issuer as on AWS."
  }
}

run "without_an_edge" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    customer_managed_key = true
  }

  assert {
    condition     = output.edge_url == null && output.edge_id == null && output.edge_domain_name == null
    error_message = "Without an edge, its outputs are null."
  }

  assert {
    condition     = length(regexall("cloudfront", jsonencode(output.policies))) == 0
    error_message = "Without an edge, no policy names CloudFront."
  }
}

run "provider_of_another_region" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws
  }

  variables {
    edge = {}
  }

  expect_failures = [data.aws_region.edge]
}
