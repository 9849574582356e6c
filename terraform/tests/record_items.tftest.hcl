# Tests of the rules about the generations of the items table in module `record`: which table may become the live one,
# the building one or the former one, and after which apply. Many runs give the record of the last complete apply and
# that of the last begun one. The others have the records below, of a rebuild whose building table is verified. A run
# that expects no failure also proves that no rule refuses the plan.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

override_data {
  target = data.aws_ssm_parameters_by_path.this
  values = {
    names = ["/readplane/shop/record", "/readplane/shop/begun", "/readplane/shop/rebuild"]
    values = [
      "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
      "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
      "{\"verified\":2}",
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

run "new_stack" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names  = []
      values = []
    }
  }

  variables {
    items = { live = 1 }
  }

  assert {
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = null, former = null })
    error_message = "A new stack has the first table."
  }
}

run "record_without_items" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":null}",
        "{\"release\":null}",
      ]
    }
  }

  variables {
    items = { live = 1 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "A stack with an older record has the first table."
  }
}

run "begin_beside_the_live_table" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
      ]
    }
  }

  variables {
    items = { live = 1, building = 2 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "The live table stays."
  }
}

run "begin_again_after_half_an_apply" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
      ]
    }
  }

  variables {
    items = { live = 1, building = 2 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "The next apply goes on with the table."
  }
}

run "give_up_a_building_table" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items = { live = 1 }
  }

  assert {
    condition     = output.deleted_items_tables == toset(["2"])
    error_message = "The building table may go before it is used."
  }
}

run "begin_another_rebuild" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":2,\"building\":null,\"former\":null}}",
        "{\"items\":{\"live\":2,\"building\":null,\"former\":null}}",
      ]
    }
  }

  variables {
    items = { live = 2, building = 3 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "After the end of a rebuild, another one can begin."
  }
}

run "record_gone_after_half_a_destroy" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names  = ["/readplane/shop/begun"]
      values = ["{\"items\":{\"live\":2,\"building\":null,\"former\":null}}"]
    }
  }

  variables {
    items = { live = 2 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "Without a record, what the last apply began says which table is live."
  }
}

run "switch_to_a_verified_table" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items = { live = 2, former = 1 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "A switch deletes no table."
  }
}

run "switch_again_after_half_an_apply" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun", "/readplane/shop/rebuild"]
      values = [
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
        "{\"verified\":2}",
      ]
    }
  }

  variables {
    items = { live = 2, former = 1 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "The next apply goes on with the switch."
  }
}

run "go_back_after_half_a_switch" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun", "/readplane/shop/rebuild"]
      values = [
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
        "{\"verified\":2}",
      ]
    }
  }

  variables {
    items = { live = 1, former = 2 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "The table that was live becomes live again."
  }
}

run "go_back_again_after_half_an_apply" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
        "{\"items\":{\"live\":1,\"building\":null,\"former\":2}}",
      ]
    }
  }

  variables {
    items = { live = 1, former = 2 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "The next apply goes on with the way back."
  }
}

run "switch_once_more_without_a_verification" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":1,\"building\":null,\"former\":2}}",
        "{\"items\":{\"live\":1,\"building\":null,\"former\":2}}",
      ]
    }
  }

  variables {
    items = { live = 2, former = 1 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "Another switch deletes no table."
  }
}

run "switch_once_more_after_half_a_way_back" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
        "{\"items\":{\"live\":1,\"building\":null,\"former\":2}}",
      ]
    }
  }

  variables {
    items = { live = 2, former = 1 }
  }

  assert {
    condition     = length(output.deleted_items_tables) == 0
    error_message = "Both tables have been live."
  }
}

run "end_again_after_half_an_apply" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
        "{\"items\":{\"live\":2,\"building\":null,\"former\":null}}",
      ]
    }
  }

  variables {
    items = { live = 2 }
  }

  assert {
    condition     = output.deleted_items_tables == toset(["1"])
    error_message = "The former table may still be there."
  }
}

run "live_without_a_second_table" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
      ]
    }
  }

  variables {
    items = { live = 2 }
  }

  expect_failures = [output.items]

  assert {
    condition     = output.offered_items == "live = 1"
    error_message = "The message offers what was before."
  }
}

run "live_of_a_new_stack" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names  = []
      values = []
    }
  }

  variables {
    items = { live = 2 }
  }

  expect_failures = [output.items]
}

run "live_without_a_way_back" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items = { live = 2 }
  }

  expect_failures = [output.items]

  assert {
    condition     = output.offered_items == "live = 2, former = 1"
    error_message = "The message offers the switch with a way back."
  }
}

run "live_is_a_third_table" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun", "/readplane/shop/rebuild"]
      values = [
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"verified\":3}",
      ]
    }
  }

  variables {
    items = { live = 3, former = 1 }
  }

  expect_failures = [output.items]

  assert {
    condition     = output.offered_items == "live = 1, building = 2"
    error_message = "The message offers what was before, with the second table."
  }
}

run "building_again_after_half_a_switch" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun", "/readplane/shop/rebuild"]
      values = [
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
        "{\"verified\":2}",
      ]
    }
  }

  variables {
    items = { live = 1, building = 2 }
  }

  expect_failures = [output.items]

  assert {
    condition     = output.offered_items == "live = 1, former = 2"
    error_message = "The message offers the way back without items.building."
  }
}

run "live_without_verification" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
      ]
    }
  }

  variables {
    items = { live = 2, former = 1 }
  }

  expect_failures = [output.items]
}

run "live_with_another_table_verified" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun", "/readplane/shop/rebuild"]
      values = [
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"verified\":3}",
      ]
    }
  }

  variables {
    items = { live = 2, former = 1 }
  }

  expect_failures = [output.items]
}

run "live_without_verification_after_half_a_switch" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
      ]
    }
  }

  variables {
    items = { live = 2, former = 1 }
  }

  expect_failures = [output.items]
}

run "former_was_never_there" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
      ]
    }
  }

  variables {
    items = { live = 1, former = 2 }
  }

  expect_failures = [output.items]
}

run "former_was_never_live" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items = { live = 1, former = 2 }
  }

  expect_failures = [output.items]
}

run "former_is_gone" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":2,\"building\":null,\"former\":null}}",
        "{\"items\":{\"live\":2,\"building\":null,\"former\":null}}",
      ]
    }
  }

  variables {
    items = { live = 2, former = 1 }
  }

  expect_failures = [output.items]
}

run "former_may_be_gone_after_half_an_end" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
        "{\"items\":{\"live\":2,\"building\":null,\"former\":null}}",
      ]
    }
  }

  variables {
    items = { live = 2, former = 1 }
  }

  expect_failures = [output.items]
}

run "building_another_table" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items = { live = 1, building = 3 }
  }

  expect_failures = [output.items]
}

run "building_another_table_after_half_a_begin" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
      ]
    }
  }

  variables {
    items = { live = 1, building = 3 }
  }

  expect_failures = [output.items]
}

run "building_counts_as_verified" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun", "/readplane/shop/rebuild"]
      values = [
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
        "{\"verified\":2}",
      ]
    }
  }

  variables {
    items = { live = 1, building = 2 }
  }

  expect_failures = [output.items]
}

run "building_counts_as_verified_after_half_an_end" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun", "/readplane/shop/rebuild"]
      values = [
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"items\":{\"live\":1,\"building\":null,\"former\":null}}",
        "{\"verified\":2}",
      ]
    }
  }

  variables {
    items = { live = 1, building = 2 }
  }

  expect_failures = [output.items]
}

run "building_table_goes_during_canary" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    items  = { live = 1 }
    canary = true
  }

  expect_failures = [output.items]
}
