# Tests that the root passes its variables and outputs on. readplane.tftest.hcl tests the stack itself.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias           = "replica"
  source          = "./tests/mocks"
  override_during = plan
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

# The values that only the root's types could spoil: objects that have different attributes, and a secret.
run "values_of_the_type_any" {
  command = plan

  variables {
    region         = "eu-central-1"
    name           = null
    sign_in        = null
    sources        = null
    horizon_days   = null
    hot_zip        = "tests/mocks/hot.txt"
    functions_zip  = "tests/mocks/artefact.txt"
    layer_zip      = "tests/mocks/artefact.txt"
    cache_size     = "0.5"
    tags           = { Team = "data" }
    cors_origins   = ["https://app.example.com"]
    cors_headers   = ["traceparent"]
    alarm_actions  = []
    poll_layer_zip = null
    collections = {
      products = { read = "public", write_groups = ["editors"], cache_ttl = 60 }
      prices   = { read = "authenticated", throttle = { rate = 1, burst = 2 }, schema = "{}" }
    }
    groups           = ["editors"]
    replica          = { region = "" }
    backend_api_keys = { crm = "a-key-of-ours-0123456789" }
    backends = {
      crm   = { url = "https://crm.example.com", quota = { limit = 3 } }
      staff = { url = "https://staff.example.com", api_key = false, scopes = ["read"] }
    }
  }

  assert {
    condition     = output.name == "readplane"
    error_message = "A name that is null becomes the module's default."
  }

  assert {
    condition     = local.tags == { Project = "readplane", Stack = "readplane", Team = "data" }
    error_message = "The tags name the stack, and include the tags of the variable."
  }

  assert {
    condition = (
      contains(output.routes, "PUT /items/products/{item_id}")
      && contains(output.routes, "GET /items/prices")
    )
    error_message = "Collections with different attributes reach the module."
  }

  assert {
    condition     = { for name, backend in output.backends : name => backend.api_key } == { crm = true, staff = false }
    error_message = "Backends with different attributes reach the module, which adds the defaults."
  }

  assert {
    condition     = strcontains(module.readplane.api_documents["eu-central-1"].document, "traceparent")
    error_message = "The headers that scripts may send reach the module."
  }

  assert {
    condition     = issensitive(output.backend_api_keys) && issensitive(var.backend_api_keys)
    error_message = "Terraform never prints the API keys."
  }

  assert {
    condition     = nonsensitive(output.backend_api_keys) == { crm = "a-key-of-ours-0123456789" }
    error_message = "The API keys reach the module."
  }

  assert {
    condition     = length(output.sources) == 0 && output.poll_function == null
    error_message = "Sources that are null become the module's default: none."
  }
}

# The provider of a replica must never be one for the primary Region, whose resources have the same names.
run "provider_of_a_replica_that_was_removed" {
  command = plan

  variables {
    region        = "us-east-1"
    hot_zip       = "tests/mocks/hot.txt"
    functions_zip = "tests/mocks/artefact.txt"
    layer_zip     = "tests/mocks/artefact.txt"
    collections   = { products = { read = "public" } }
  }

  override_data {
    target = module.readplane.data.aws_region.primary
    values = {
      name = "us-east-1"
    }
  }

  assert {
    condition     = local.replica_region == "us-west-2"
    error_message = "Without a replica, the provider is for another Region."
  }
}

run "provider_without_a_replica_in_another_partition" {
  command = plan

  variables {
    region        = "eusc-de-east-1"
    hot_zip       = "tests/mocks/hot.txt"
    functions_zip = "tests/mocks/artefact.txt"
    layer_zip     = "tests/mocks/artefact.txt"
    collections   = { products = { read = "public" } }
  }

  override_data {
    target = module.readplane.data.aws_region.primary
    values = {
      name = "eusc-de-east-1"
    }
  }

  assert {
    condition     = local.replica_region == "eusc-de-east-1"
    error_message = "Credentials of one partition don't work in another."
  }
}

run "provider_of_a_replica_that_is_going" {
  command = plan

  variables {
    region        = "eu-central-1"
    replica       = { region = "eu-west-1", enabled = false }
    hot_zip       = "tests/mocks/hot.txt"
    functions_zip = "tests/mocks/artefact.txt"
    layer_zip     = "tests/mocks/artefact.txt"
    collections   = { products = { read = "public" } }
  }

  assert {
    condition     = local.replica_region == "eu-west-1" && output.replica_region == null
    error_message = "The provider is for the Region of the replica until it is gone."
  }
}

run "setting_of_the_provider_that_does_not_exist" {
  command = plan

  variables {
    region            = "eu-central-1"
    hot_zip           = "tests/mocks/hot.txt"
    functions_zip     = "tests/mocks/artefact.txt"
    layer_zip         = "tests/mocks/artefact.txt"
    collections       = { products = { read = "public" } }
    emulator_provider = { s3_path_style = true }
  }

  expect_failures = [var.emulator_provider]
}

run "account_id_without_its_leading_zero" {
  command = plan

  variables {
    region              = "eu-central-1"
    hot_zip             = "tests/mocks/hot.txt"
    functions_zip       = "tests/mocks/artefact.txt"
    layer_zip           = "tests/mocks/artefact.txt"
    collections         = { products = { read = "public" } }
    allowed_account_ids = ["11122223333"]
  }

  expect_failures = [var.allowed_account_ids]
}
