# Tests of a stack inside an organisation's own rules: roles, an existing user pool, access logs, domain names, and what
# the stack tells the team about its resources.
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
  name           = "readplane"
  region         = "eu-central-1"
  replica        = { region = "eu-west-1" }
  hot_zip        = "tests/mocks/hot.txt"
  functions_zip  = "tests/mocks/artefact.txt"
  layer_zip      = "tests/mocks/artefact.txt"
  poll_layer_zip = "tests/mocks/artefact.txt"

  collections = {
    products = { read = "public" }
    notes    = { read = "owner" }
  }

  sources = { shop = {
    mode             = "changes"
    collection       = "products"
    url              = "https://shop.example.com/products?since={cursor}"
    schedule         = "rate(5 minutes)"
    staleness_budget = 900
    records          = "rows"
    id               = "id"
    translation      = "{name: name}"
    version          = { expression = "changed", format = "rfc3339" }
  } }

  backends = { erp = {
    url     = "https://erp.example.com"
    callers = { default = {}, billing = { keys = ["spring", "summer"] } }
  } }
}

run "organisation" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    roles              = { path = "/platform/", permissions_boundary = "arn:aws:iam::111122223333:policy/boundary" }
    user_pool          = { arn = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_TeamsPool" }
    access_log_buckets = { primary = "logs-eu-central-1", replica = "logs-eu-west-1" }

    domains = {
      primary = {
        name             = "api.example.com"
        certificate_arn  = "arn:aws:acm:eu-central-1:111122223333:certificate/c1"
        hosted_zone_id   = "Z0123456789ABCDEFGHIJ"
        default_endpoint = false
      }
      replica = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/c2"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
      }
    }

    queues_and_buckets = ["apply", "apply_dead_letters", "documents", "write_log"]
    functions_of_primary = [
      "apply", "apply-stream", "backend_auth", "poll", "publish", "read", "write",
    ]
    roles_of_primary = [
      "change_stream_archive", "delivery_stream", "documents_authenticated", "documents_owner", "documents_public",
      "poll", "publish", "read", "scheduler", "write",
    ]
  }

  assert {
    condition     = output.api_url == "https://api.example.com" && output.replica_api_url == "https://api.example.com"
    error_message = "The URLs are those of the domain."
  }

  assert {
    condition = (
      output.primary.api.domain.name == "api.example.com"
      && output.primary.api.domain.target == "d-a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
    )
    error_message = "The output says what the team's own DNS must lead to."
  }

  assert {
    condition = [for server in jsondecode(output.openapi).servers : server.url] == [
      "https://api.example.com/v1", "https://api.example.com/v1",
    ]
    error_message = "The contract names the domain."
  }

  assert {
    condition     = output.user_pool_arn == var.user_pool.arn && output.user_pool_id == "eu-central-1_TeamsPool"
    error_message = "The stack uses the team's user pool."
  }

  assert {
    condition     = !strcontains(module.primary.api.document, "aws.cognito.signin.user.admin")
    error_message = "Tokens of other applications of the pool open no route."
  }

  assert {
    condition     = length(setsubtract(var.functions_of_primary, keys(output.primary.functions))) == 0
    error_message = "The output names every function, so that a team can grant and watch them."
  }

  assert {
    condition     = length(setsubtract(var.roles_of_primary, keys(output.primary.roles))) == 0
    error_message = "The output names the roles."
  }

  assert {
    condition     = output.primary.api.stage_arn == "arn:aws:apigateway:eu-central-1::/restapis/a1b2c3d4e5/stages/v1"
    error_message = "A web ACL can be put in front of the stage."
  }

  assert {
    condition     = output.primary.api.id == "a1b2c3d4e5" && output.primary.api.stage_name == "v1"
    error_message = "The output names the API and its stage."
  }

  assert {
    condition = alltrue([for region in [output.primary, output.replica] :
      keys(merge(region.queues, region.buckets)) == var.queues_and_buckets
    ])
    error_message = "Both Regions say which queues and buckets they have."
  }

  assert {
    condition = alltrue([
      for region in [output.primary, output.replica] : startswith(region.kms_key_arn, "arn:aws:kms:")
    ])
    error_message = "Both Regions say which key they have."
  }

  assert {
    condition = alltrue([
      for region in [output.primary, output.replica] : startswith(region.alarm_topic_arn, "arn:aws:sns:")
    ])
    error_message = "Both Regions say which topic they have."
  }

  assert {
    condition     = output.primary.region == "eu-central-1" && output.replica.region == "eu-west-1"
    error_message = "Each output is for its own Region."
  }

  assert {
    condition = keys(nonsensitive(output.backend_api_keys)) == [
      "erp", "erp/billing/spring", "erp/billing/summer",
    ]
    error_message = "Each caller has keys of its own."
  }

  assert {
    condition     = nonsensitive(module.replica[0].backend_api_keys) == nonsensitive(output.backend_api_keys)
    error_message = "Each key opens the API of both Regions."
  }
}

run "own_pool_and_addresses" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    replica      = null
    cors_origins = ["https://*.example.com"]
  }

  assert {
    condition     = output.replica == null && output.primary.api.domain == null
    error_message = "Without a replica and a domain, the outputs say so."
  }

  assert {
    condition     = startswith(output.api_url, "https://a1b2c3d4e5.execute-api.eu-central-1.")
    error_message = "Without a domain, the URL is the API's own."
  }

  assert {
    condition = (
      strcontains(module.primary.api.document, "\"'*'\"")
      && !strcontains(module.primary.api.document, "*.example.com")
    )
    error_message = "API Gateway never names a wildcard origin, which no browser would accept."
  }

  assert {
    condition     = jsondecode(module.primary.settings["read"]).cors_origins == ["*"]
    error_message = "A function never names a wildcard origin either."
  }

  assert {
    condition = (
      endswith(output.openapi_uri, "/contract/openapi.json")
      && endswith(output.api_document_uris["eu-central-1"].uri, "/contract/api.json")
    )
    error_message = "The long documents are S3 objects, so that Terraform doesn't print them."
  }
}
