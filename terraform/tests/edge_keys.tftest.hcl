# What an answer of the edge depends on, beside what its cache key and its function hold: nothing must be left. The key
# holds the path alone, and CloudFront keeps nothing of a behaviour that isn't cached.

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

  # The module has no such variable.
  private = ["authenticated", "owner"]
}

run "nothing_is_kept_that_depends_on_more_than_its_key" {
  command = plan

  module {
    source = "./modules/edge"
  }

  assert {
    condition     = alltrue([for b in output.behaviours : !b.cached if b.passes_all])
    error_message = "The origin sees headers, cookies and the query, which no key holds. So its answers aren't kept."
  }

  assert {
    condition     = alltrue([for b in output.behaviours : !b.cached if b.visibility == "owner"])
    error_message = "An owner's document depends on the caller, whom no key holds."
  }

  assert {
    condition     = alltrue([for b in output.behaviours : b.viewer_request if contains(var.private, b.visibility)])
    error_message = "A private document depends on whether the caller may read it. The function must ask each time."
  }

  assert {
    condition     = alltrue([for b in output.behaviours : endswith(b.origin, b.visibility) if b.visibility != "none"])
    error_message = "A behaviour reads the prefix of the visibility that it checks, and no other."
  }

  assert {
    condition     = alltrue([for b in output.behaviours : b.visibility != "none" if strcontains(b.origin, "documents")])
    error_message = "A behaviour without a visibility reads no documents."
  }

  assert {
    condition     = length(distinct(output.behaviours[*].path)) == length(output.behaviours)
    error_message = "Each path pattern has one behaviour."
  }
}

run "nothing_is_kept_without_sign_in" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    serve = { documents = true, sign_in = false }
  }

  assert {
    condition     = !anytrue([for b in output.behaviours : contains(var.private, b.visibility)])
    error_message = "Without a function that checks the caller, no private document has a route."
  }

  assert {
    condition     = alltrue([for b in output.behaviours : b.visibility != "none" if strcontains(b.origin, "documents")])
    error_message = "A behaviour without a visibility reads no documents."
  }
}
