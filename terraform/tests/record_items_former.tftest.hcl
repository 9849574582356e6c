# Tests of the rules about the generations of the items table in module `record`, after the switch of a rebuild. A run
# that expects no failure proves that no rule refuses the plan. record_items.tftest.hcl tests all other states.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

override_data {
  target = data.aws_ssm_parameters_by_path.this
  values = {
    names = ["/readplane/shop/record", "/readplane/shop/begun"]
    values = [
      "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
      "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
    ]
  }
}

variables {
  name          = "shop"
  region        = "eu-central-1"
  collections   = {}
  replica       = { region = null, enabled = false, protected = false }
  keys          = { primary = "aws", replica = null }
  user_pool     = "own"
  role_path     = "/"
  change_stream = null
  edge          = null
  canary        = false
}

run "go_back_without_a_verification" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items = { live = 1, former = 2 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "The way back deletes no table."
  }
}

run "end_deletes_the_former_table" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items = { live = 2 }
  }

  assert {
    condition     = output.deleted_items_tables == toset(["1"])
    error_message = "The former table may go."
  }
}

run "back_without_keeping_the_other_table" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items = { live = 1, building = 3 }
  }

  expect_failures = [output.items]
}

run "building_the_former_table" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items = { live = 2, building = 1 }
  }

  expect_failures = [output.items]
}

run "building_beside_a_former_table" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items = { live = 2, building = 3 }
  }

  expect_failures = [output.items]
}

run "former_table_goes_during_canary" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items  = { live = 2 }
    canary = true
  }

  expect_failures = [output.items]
}
