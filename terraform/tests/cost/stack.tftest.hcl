# Plans a stack with a mocked provider, so that ops/cost can see what its resources cost. `python -m ops.cost --plan`
# gives it a variable file of environments/, and perhaps one in this folder.

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

run "stack" {
  command = plan

  variables {
    hot_zip        = "tests/mocks/hot.txt"
    functions_zip  = "tests/mocks/artefact.txt"
    layer_zip      = "tests/mocks/artefact.txt"
    poll_layer_zip = "tests/mocks/artefact.txt"

    database_layer_zip = "tests/mocks/artefact.txt"
    dax_layer_zip      = "tests/mocks/artefact.txt"
    edge_auth_zip      = "tests/mocks/artefact.txt"
  }
}
