# Plans the demo, so that `make openapi` can take its contract from the plan (ops/openapi.py). tests/local compares
# docs/openapi.yaml with the contract of an applied stack.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "us-east-1"
    }
  }
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
  hot_zip        = "tests/mocks/hot.txt"
  functions_zip  = "tests/mocks/artefact.txt"
  layer_zip      = "tests/mocks/artefact.txt"
  poll_layer_zip = "tests/mocks/artefact.txt"

  database_layer_zip = "tests/mocks/artefact.txt"

  # As in a local run. On AWS, a check would warn that clients can call the API around the edge.
  api_base_url = "http://localhost:4566/_aws/execute-api/{api_id}"
}

run "demo" {
  command = plan

  assert {
    condition     = can(jsondecode(module.readplane.openapi).paths["/health"])
    error_message = "The plan knows the whole contract."
  }
}
