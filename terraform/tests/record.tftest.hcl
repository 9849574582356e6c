# Tests of module `record`: what a plan may change in a stack whose last apply left the record below, and what not.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

# The record of a stack with two Regions, keys of its own and a source. Nothing may be deleted. `old` was retired.
override_data {
  target = data.aws_ssm_parameters_by_path.this
  values = {
    names = ["/readplane/shop/other", "/readplane/shop/record"]
    values = ["not the record", <<-JSON
      {
        "collections": {
          "products": { "read": "public", "read_changes": 0, "retired": false },
          "prices": { "read": "authenticated", "read_changes": 1, "retired": false },
          "profiles": { "read": "owner", "read_changes": 0, "retired": false },
          "old": { "read": "public", "read_changes": 0, "retired": true }
        },
        "replica": { "region": "eu-west-1", "protected": true },
        "keys": { "primary": "own", "replica": "own" },
        "user_pool": "own",
        "change_stream": { "shards": 4, "protected": true }
      }
    JSON
    ]
  }
}

variables {
  name   = "shop"
  region = "eu-central-1"
  collections = {
    products = { read = "public", read_changes = 0, retired = false }
    prices   = { read = "authenticated", read_changes = 1, retired = false }
    profiles = { read = "owner", read_changes = 0, retired = false }
  }
  replica       = { region = "eu-west-1", enabled = true, protected = true }
  keys          = { primary = "own", replica = "own" }
  user_pool     = "own"
  role_path     = "/"
  change_stream = { shards = 4, protected = true }
  edge          = null
}

run "nothing_changes" {
  command = plan

  module {
    source = "./modules/record"
  }

  assert {
    condition     = output.collections["old"].retired && length(output.collections) == 4
    error_message = "The record remembers a retired collection whose declaration is gone."
  }

  assert {
    condition     = output.parameter == "/readplane/shop/record"
    error_message = "The record has a parameter of its own for each stack."
  }

  assert {
    condition     = output.replica == { region = "eu-west-1", protected = true }
    error_message = "The next record names the replica."
  }
}

run "no_record" {
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
    collections   = { notices = { read = "public", read_changes = 0, retired = false } }
    replica       = { region = null, enabled = false, protected = false }
    keys          = { primary = "aws", replica = null }
    change_stream = null
  }

  assert {
    condition     = output.collections == { notices = { read = "public", read_changes = 0, retired = false } }
    error_message = "A new stack may declare what it wants."
  }

  assert {
    condition     = output.replica == null && output.change_stream == null
    error_message = "The record of a stack in one Region, without sources, says so."
  }
}

# --- Collections

run "removed_collection" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = {
      products = { read = "public", read_changes = 0, retired = false }
      profiles = { read = "owner", read_changes = 0, retired = false }
    }
  }

  expect_failures = [output.collections]
}

run "renamed_collection" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = {
      goods    = { read = "public", read_changes = 0, retired = false }
      prices   = { read = "authenticated", read_changes = 1, retired = false }
      profiles = { read = "owner", read_changes = 0, retired = false }
    }
  }

  expect_failures = [output.collections]
}

run "retired_collection" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = {
      products = { read = "public", read_changes = 0, retired = true }
      prices   = { read = "authenticated", read_changes = 1, retired = false }
      profiles = { read = "owner", read_changes = 0, retired = false }
    }
  }

  assert {
    condition     = output.collections["products"].retired
    error_message = "The next record knows that the collection is retired."
  }
}

run "visibility_changed_without_saying_so" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = {
      products = { read = "authenticated", read_changes = 0, retired = false }
      prices   = { read = "authenticated", read_changes = 1, retired = false }
      profiles = { read = "owner", read_changes = 0, retired = false }
    }
  }

  expect_failures = [output.collections]
}

run "visibility_changed_again_without_saying_so" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = {
      products = { read = "public", read_changes = 0, retired = false }
      prices   = { read = "public", read_changes = 1, retired = false }
      profiles = { read = "owner", read_changes = 0, retired = false }
    }
  }

  expect_failures = [output.collections]
}

run "visibility_changed" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = {
      products = { read = "authenticated", read_changes = 1, retired = false }
      prices   = { read = "public", read_changes = 2, retired = false }
      profiles = { read = "owner", read_changes = 0, retired = false }
    }
  }

  assert {
    condition     = output.collections["prices"].read == "public" && output.collections["prices"].read_changes == 2
    error_message = "The next record knows the new visibility."
  }
}

run "visibility_changed_to_owner" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = {
      products = { read = "owner", read_changes = 1, retired = false }
      prices   = { read = "authenticated", read_changes = 1, retired = false }
      profiles = { read = "owner", read_changes = 0, retired = false }
    }
  }

  expect_failures = [output.collections]
}

run "visibility_changed_from_owner" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = {
      products = { read = "public", read_changes = 0, retired = false }
      prices   = { read = "authenticated", read_changes = 1, retired = false }
      profiles = { read = "authenticated", read_changes = 1, retired = false }
    }
  }

  expect_failures = [output.collections]
}

run "name_of_a_retired_collection_with_another_visibility" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = {
      products = { read = "public", read_changes = 0, retired = false }
      prices   = { read = "authenticated", read_changes = 1, retired = false }
      profiles = { read = "owner", read_changes = 0, retired = false }
      old      = { read = "authenticated", read_changes = 0, retired = false }
    }
  }

  expect_failures = [output.collections]
}

run "visibility_changes_forgotten" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = {
      products = { read = "public", read_changes = 0, retired = false }
      prices   = { read = "authenticated", read_changes = 0, retired = false }
      profiles = { read = "owner", read_changes = 0, retired = false }
    }
  }

  expect_failures = [output.collections]
}

run "more_collections_than_the_record_holds" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    collections = merge(
      {
        products = { read = "public", read_changes = 0, retired = false }
        prices   = { read = "authenticated", read_changes = 1, retired = false }
        profiles = { read = "owner", read_changes = 0, retired = false }
      },
      { for n in range(120) : "c${n}" => { read = "authenticated", read_changes = 0, retired = false } },
    )
  }

  expect_failures = [output.collections]
}

# --- The replica

run "replica_removed_with_its_region" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    replica = { region = null, enabled = false, protected = false }
    keys    = { primary = "own", replica = null }
  }

  expect_failures = [output.replica]
}

run "replica_moved" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    replica = { region = "eu-north-1", enabled = true, protected = true }
  }

  expect_failures = [output.replica]
}

run "protected_replica_removed" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    replica = { region = "eu-west-1", enabled = false, protected = false }
    keys    = { primary = "own", replica = null }
  }

  expect_failures = [output.replica]
}

run "replica_loses_its_protection" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    replica = { region = "eu-west-1", enabled = true, protected = false }
  }

  assert {
    condition     = !output.replica.protected
    error_message = "The next record knows that the replica may be removed."
  }
}

run "unprotected_replica_removed" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record"]
      values = [<<-JSON
        { "replica": { "region": "eu-west-1", "protected": false }, "keys": { "primary": "own", "replica": "own" } }
      JSON
      ]
    }
  }

  variables {
    replica = { region = "eu-west-1", enabled = false, protected = false }
    keys    = { primary = "own", replica = null }
  }

  assert {
    condition     = output.replica == null
    error_message = "After this apply there is no replica, and replica.region may change."
  }
}

# --- Keys

run "own_key_switched_off" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    keys = { primary = "aws", replica = "aws" }
  }

  expect_failures = [output.keys]
}

run "own_key_replaced_by_an_existing_one" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    keys = { primary = "arn:aws:kms:eu-central-1:111122223333:key/a", replica = "own" }
  }

  expect_failures = [output.keys]
}

run "existing_key_replaced_by_another" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names  = ["/readplane/shop/record"]
      values = ["{\"keys\":{\"primary\":\"arn:aws:kms:eu-central-1:111122223333:key/a\",\"replica\":null}}"]
    }
  }

  variables {
    replica = { region = null, enabled = false, protected = false }
    keys    = { primary = "arn:aws:kms:eu-central-1:111122223333:key/b", replica = null }
  }

  expect_failures = [output.keys]
}

run "key_of_the_replica_changed" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    keys = { primary = "own", replica = "arn:aws:kms:eu-west-1:111122223333:key/b" }
  }

  expect_failures = [output.keys]
}

run "key_switched_on_beside_a_replica" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record"]
      values = [
        "{\"replica\":{\"region\":\"eu-west-1\",\"protected\":true},\"keys\":{\"primary\":\"aws\",\"replica\":\"aws\"}}"
      ]
    }
  }

  expect_failures = [output.keys]
}

run "key_switched_on_in_one_region" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names  = ["/readplane/shop/record"]
      values = ["{\"keys\":{\"primary\":\"aws\",\"replica\":null}}"]
    }
  }

  variables {
    replica = { region = null, enabled = false, protected = false }
    keys    = { primary = "own", replica = null }
  }

  assert {
    condition     = output.keys.primary == "own"
    error_message = "A stack in one Region can get a key."
  }
}

# --- An apply that failed halfway

run "key_switched_off_after_an_apply_that_failed" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/begun", "/readplane/shop/record"]
      values = [
        "{\"keys\":{\"primary\":\"own\",\"replica\":null}}",
        "{\"keys\":{\"primary\":\"aws\",\"replica\":null}}",
      ]
    }
  }

  variables {
    replica = { region = null, enabled = false, protected = false }
    keys    = { primary = "aws", replica = null }
  }

  expect_failures = [output.keys]
}

run "replica_removed_after_an_apply_that_failed" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/begun", "/readplane/shop/record"]
      values = [<<-JSON
        { "replica": { "region": "eu-west-1", "protected": false }, "keys": { "primary": "own", "replica": "own" } }
      JSON
        , "{\"replica\":null,\"keys\":{\"primary\":\"own\",\"replica\":null}}"
      ]
    }
  }

  variables {
    replica = { region = null, enabled = false, protected = false }
    keys    = { primary = "own", replica = null }
  }

  expect_failures = [output.replica]
}

run "replica_added_again_after_an_apply_that_failed" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/begun", "/readplane/shop/record"]
      values = [<<-JSON
        { "replica": { "region": "eu-west-1", "protected": false }, "keys": { "primary": "own", "replica": "own" } }
      JSON
        , "{\"replica\":null,\"keys\":{\"primary\":\"own\",\"replica\":null}}"
      ]
    }
  }

  assert {
    condition     = output.replica.region == "eu-west-1"
    error_message = "The same settings can be applied again."
  }
}

run "visibility_set_back_after_an_apply_that_failed" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/begun", "/readplane/shop/record"]
      values = [
        "{\"collections\":{\"notices\":{\"read\":\"public\",\"read_changes\":1,\"retired\":false}}}",
        "{\"collections\":{\"notices\":{\"read\":\"authenticated\",\"read_changes\":0,\"retired\":false}}}",
      ]
    }
  }

  variables {
    collections = { notices = { read = "authenticated", read_changes = 0, retired = false } }
  }

  expect_failures = [output.collections]
}

run "collection_given_up_after_an_apply_that_failed" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/begun", "/readplane/shop/record"]
      values = [
        "{\"collections\":{\"misspelt\":{\"read\":\"public\",\"read_changes\":0,\"retired\":false}}}",
        "{\"collections\":{}}",
      ]
    }
  }

  assert {
    condition     = !contains(keys(output.collections), "misspelt")
    error_message = "A collection that was never applied completely may vanish."
  }
}

# --- The change stream

run "last_source_removed" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    change_stream = null
  }

  expect_failures = [output.change_stream]
}

run "last_source_removed_without_protection" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names  = ["/readplane/shop/record"]
      values = ["{\"change_stream\":{\"shards\":4,\"protected\":false}}"]
    }
  }

  variables {
    change_stream = null
  }

  assert {
    condition     = output.change_stream == null
    error_message = "A drained change stream may go."
  }
}

run "shards_more_than_doubled" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    change_stream = { shards = 9, protected = true }
  }

  expect_failures = [output.change_stream]
}

run "shards_less_than_halved" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    change_stream = { shards = 1, protected = true }
  }

  expect_failures = [output.change_stream]
}

run "shards_doubled" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    change_stream = { shards = 8, protected = true }
  }

  assert {
    condition     = output.change_stream.shards == 8
    error_message = "Kinesis can double the shards."
  }
}

run "shards_left_to_kinesis" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    change_stream = { shards = null, protected = true }
  }

  assert {
    condition     = output.change_stream.shards == null
    error_message = "From then on, Kinesis chooses the shards."
  }
}

# --- The stack's name and Region

run "first_apply" {
  module {
    source = "./modules/record"
  }

  assert {
    condition     = terraform_data.identity.output == { name = "shop", region = "eu-central-1", role_path = "/" }
    error_message = "The state says which stack it holds."
  }
}

run "settings_of_another_environment" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    name = "shop-dev"
  }

  expect_failures = [terraform_data.identity]
}

run "another_primary_region" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    region = "eu-north-1"
  }

  expect_failures = [terraform_data.identity]
}

run "path_of_the_roles_changed" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    role_path = "/platform/"
  }

  expect_failures = [terraform_data.identity]
}

run "user_pool_replaced" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    user_pool = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_existing"
  }

  expect_failures = [output.user_pool]
}
