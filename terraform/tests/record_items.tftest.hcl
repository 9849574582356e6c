# Tests of the rules about the generations of the items table in module `record`: which table may become the live one,
# the building one or the former one, and after which apply. Each run gives the record of the last complete apply, and
# of the last begun one.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
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
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = null, former = null })
    error_message = "A stack with an older record has the first table."
  }
}

run "begin" {
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
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = 2, former = null })
    error_message = "A new table is made beside the live one."
  }
}

run "begin_in_a_stack_with_an_older_record" {
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
    items = { live = 1, building = 2 }
  }

  assert {
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = 2, former = null })
    error_message = "A stack with an older record can make another table."
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
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = 2, former = null })
    error_message = "The next apply goes on with the table."
  }
}

run "give_up_after_half_a_begin" {
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
    items = { live = 1 }
  }

  assert {
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = null, former = null })
    error_message = "The table may go before it is used."
  }
}

run "give_up_a_building_table" {
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
    items = { live = 1 }
  }

  assert {
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = null, former = null })
    error_message = "The table may go before it is used."
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
    condition     = jsonencode(output.items) == jsonencode({ live = 2, building = 3, former = null })
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
    condition     = jsonencode(output.items) == jsonencode({ live = 2, building = null, former = null })
    error_message = "Without a record, what the last apply began says which table is live."
  }
}

run "switch" {
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
        "{\"verified\":2}",
      ]
    }
  }

  variables {
    items = { live = 2, former = 1 }
  }

  assert {
    condition     = jsonencode(output.items) == jsonencode({ live = 2, building = null, former = 1 })
    error_message = "A verified table becomes the live one."
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
    condition     = jsonencode(output.items) == jsonencode({ live = 2, building = null, former = 1 })
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
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = null, former = 2 })
    error_message = "The table that was live becomes live again."
  }
}

run "go_back" {
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
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
      ]
    }
  }

  variables {
    items = { live = 1, former = 2 }
  }

  assert {
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = null, former = 2 })
    error_message = "The former table needs no verification."
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
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = null, former = 2 })
    error_message = "The next apply goes on with the way back."
  }
}

run "switch_once_more" {
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
    condition     = jsonencode(output.items) == jsonencode({ live = 2, building = null, former = 1 })
    error_message = "The former table needs no verification."
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
    condition     = jsonencode(output.items) == jsonencode({ live = 2, building = null, former = 1 })
    error_message = "Both tables have been live."
  }
}

run "end" {
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
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
      ]
    }
  }

  variables {
    items = { live = 2 }
  }

  assert {
    condition     = jsonencode(output.items) == jsonencode({ live = 2, building = null, former = null })
    error_message = "The former table may go."
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
    condition     = jsonencode(output.items) == jsonencode({ live = 2, building = null, former = null })
    error_message = "The next apply goes on with the end."
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
    items = { live = 2 }
  }

  expect_failures = [output.items]
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
}

run "live_and_former_are_swapped_with_a_third_table" {
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
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
      ]
    }
  }

  variables {
    items = { live = 1, building = 3 }
  }

  expect_failures = [output.items]
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

run "building_the_former_table" {
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
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
      ]
    }
  }

  variables {
    items = { live = 2, building = 1 }
  }

  expect_failures = [output.items]
}

run "building_another_table" {
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

run "building_beside_a_former_table" {
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
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
      ]
    }
  }

  variables {
    items = { live = 2, building = 3 }
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
    items  = { live = 1 }
    canary = true
  }

  expect_failures = [output.items]
}

run "former_table_goes_during_canary" {
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
        "{\"items\":{\"live\":2,\"building\":null,\"former\":1}}",
      ]
    }
  }

  variables {
    items  = { live = 2 }
    canary = true
  }

  expect_failures = [output.items]
}
