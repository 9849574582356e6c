# Tests of what a live stack has for its changes: the record, the guards, existing keys, retired collections and groups.
# record.tftest.hcl tests the rules of the record. tests/local/test_lifecycle.py plans changes of an applied stack.

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
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  groups        = ["editors", "nobody-yet"]
}

run "existing_keys_and_a_collection_that_goes" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  variables {
    replica = { region = "eu-west-1", deletion_protection = false }
    kms_keys = {
      primary = "arn:aws:kms:eu-central-1:111122223333:key/a"
      replica = "arn:aws:kms:eu-west-1:111122223333:key/b"
    }
    collections = {
      products = { read = "public", write_groups = ["editors"], read_changes = 1 }
      old      = { read = "public", write_groups = ["editors"], retired = true, schema = "{}" }
    }
    record = {
      collections = {
        products = { read = "public", read_changes = 1, retired = false }
        old      = { read = "public", read_changes = 0, retired = true }
      }
      replica = { region = "eu-west-1", protected = false }
      keys = {
        primary = "arn:aws:kms:eu-central-1:111122223333:key/a"
        replica = "arn:aws:kms:eu-west-1:111122223333:key/b"
      }
      change_stream = null
      user_pool     = "own"
      release       = null
      edge          = null
    }
    statements = ["AccountDecides", "WriteLogNotifiesQueue", "AlarmsPublish", "LogsEncrypt"]
    # Function -> the collections that it knows.
    collections_of = {
      read    = ["products"]
      apply   = ["old", "products"]
      publish = ["old", "products"]
    }
  }

  # --- The record and the guards

  assert {
    condition     = jsondecode(aws_ssm_parameter.record.insecure_value) == var.record
    error_message = "The record says what the settings declare."
  }

  assert {
    condition     = aws_ssm_parameter.record.name == "/readplane/readplane/record"
    error_message = "Module record reads the parameter that this module writes."
  }

  assert {
    condition     = module.guard.protected && !module.replica_guard[0].protected
    error_message = "The stack is protected by default. The replica needn't be."
  }

  assert {
    condition     = length(module.change_stream_guard) == 0
    error_message = "Without sources, there is no change stream to guard."
  }

  assert {
    condition = (
      values(module.primary.force_destroy) == [false, false] && values(module.replica[0].force_destroy) == [true, true]
    )
    error_message = "Each Region's buckets follow the protection of that Region."
  }

  # --- Existing keys

  assert {
    condition     = length(aws_kms_key.primary) == 0 && length(aws_kms_key.replica) == 0
    error_message = "With existing keys, the stack makes none."
  }

  assert {
    condition = (
      module.primary.resources.kms_key_arn == var.kms_keys.primary
      && module.replica[0].resources.kms_key_arn == var.kms_keys.replica
    )
    error_message = "Each Region uses the existing key of that Region."
  }

  assert {
    condition = { for region, text in output.kms_key_statements : region => jsondecode(text)[*].Sid } == {
      eu-central-1 = var.statements
      eu-west-1    = var.statements
    }
    error_message = "An output says what the policies of existing keys need."
  }

  # --- A retired collection

  assert {
    condition     = length([for route in output.routes : route if strcontains(route, "/old")]) == 0
    error_message = "A retired collection has no routes."
  }

  assert {
    condition     = !strcontains(output.openapi, "/old")
    error_message = "A retired collection isn't in the contract."
  }

  assert {
    condition = { for function in keys(var.collections_of) :
      function => keys(jsondecode(module.primary.settings[function]).collections)
    } == var.collections_of
    error_message = "Only the functions that change or publish items know a retired collection."
  }

  assert {
    condition = { for c, collection in jsondecode(module.primary.settings.publish).collections :
      c => collection.moved
    } == { old = false, products = true }
    error_message = "publish knows which collections have had another visibility."
  }
}

run "own_keys_and_a_protected_source" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  variables {
    poll_layer_zip      = "tests/mocks/artefact.txt"
    deletion_protection = false
    change_stream       = { deletion_protection = true, shards = 3 }
    collections         = { rates = { read = "public" } }
    sources = {
      rates = {
        mode             = "snapshot"
        collection       = "rates"
        schedule         = "rate(1 hour)"
        staleness_budget = 7200
        url              = "https://erp.example.com/rates"
        expect           = "type(rates) == 'array'"
      }
    }
  }

  assert {
    condition     = module.change_stream_guard[0].protected
    error_message = "The change stream can be protected by itself."
  }

  assert {
    condition     = module.guard.protected
    error_message = "The stack can't be destroyed as long as a part of it is protected."
  }

  assert {
    condition = jsondecode(aws_ssm_parameter.record.insecure_value).change_stream == {
      shards    = 3
      protected = true
    }
    error_message = "The record knows the shards of the change stream."
  }

  assert {
    condition     = jsondecode(aws_ssm_parameter.record.insecure_value).keys == { primary = "own", replica = null }
    error_message = "The record knows which keys the stack uses."
  }

  assert {
    condition = (
      length(module.replica_guard) == 0 && jsondecode(aws_ssm_parameter.record.insecure_value).replica == null
    )
    error_message = "A stack in one Region has no replica to guard."
  }
}
