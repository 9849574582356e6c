# Tests that each of the examples can be planned as it stands.

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
  dist = "tests/mocks/dist"
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }

  assert {
    condition     = module.readplane.name == "notes"
    error_message = "The example names its stack."
  }

  assert {
    condition     = contains(module.readplane.routes, "PUT /items/notes/{item_id}")
    error_message = "The example's collection can be written."
  }

  assert {
    condition     = output.api_url == module.readplane.api_url && module.readplane.replica_api_url == null
    error_message = "The example has one Region, and says where its API is."
  }

  assert {
    condition     = module.readplane.poll_function == null
    error_message = "The example polls nothing."
  }
}

run "back_office" {
  command = plan

  module {
    source = "./examples/back_office"
  }

  variables {
    token_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf"
  }

  assert {
    condition     = strcontains(module.readplane.policies.poll.poll, var.token_arn)
    error_message = "poll reads the example's secret."
  }

  assert {
    condition     = output.backends["erp"] == { url = "${output.api_url}/v1/backends/erp", api_key = true }
    error_message = "Clients reach the back office with an API key."
  }

  assert {
    condition     = keys(nonsensitive(output.backend_api_keys)) == ["erp"]
    error_message = "The example gives the API key out."
  }

  assert {
    condition     = contains(module.readplane.routes, "GET /items/products") && module.readplane.alarm_topic_arn != null
    error_message = "Clients read what poll delivers, and alarms notify the operators."
  }
}

run "two_regions" {
  command = plan

  module {
    source = "./examples/two_regions"
  }

  assert {
    condition     = keys(output.api_urls) == ["eu-central-1", "eu-west-1"]
    error_message = "The example names the API of each Region."
  }

  assert {
    condition     = module.readplane.replica_api_url != null && module.readplane.replica_documents_bucket != null
    error_message = "The replica Region has its own API and documents."
  }

  assert {
    condition     = contains(module.readplane.routes, "PUT /items/profiles/{item_id}")
    error_message = "Users write their own profiles."
  }
}

run "account" {
  command = plan

  module {
    source = "./examples/account"
  }

  assert {
    condition     = length(output.role_arns) == 2
    error_message = "The example sets the role of two Regions."
  }
}

run "several_stacks" {
  command = plan

  module {
    source = "./examples/several_stacks"
  }

  variables {
    allowed_account_ids = ["111122223333"]
    certificate_arns = {
      blue  = "arn:aws:acm:eu-central-1:111122223333:certificate/b"
      green = "arn:aws:acm:eu-central-1:111122223333:certificate/g"
    }
  }

  assert {
    condition     = keys(module.readplane) == ["blue", "green"]
    error_message = "One call of the module makes two stacks."
  }

  assert {
    condition = output.api_urls == {
      blue = "https://api.blue.example.com", green = "https://api.green.example.com"
    }
    error_message = "Each stack has a domain of its own."
  }

  assert {
    condition = alltrue([for name, stack in module.readplane : alltrue([
      for function in values(stack.primary.functions) : startswith(function.name, "${name}-")
    ])])
    error_message = "No two stacks name a function alike."
  }

  assert {
    condition     = alltrue([for stack in module.readplane : stack.replica == null])
    error_message = "A provider for the replica Region makes no replica."
  }
}
