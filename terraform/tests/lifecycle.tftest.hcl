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
      items         = { live = 1, building = null, former = null }
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

run "items_table_beside_the_live_one" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  # What the last apply left, and what `ops/readplane rebuild items verify` found.
  override_data {
    target = module.record.data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/readplane/record", "/readplane/readplane/rebuild"]
      values = [
        "{\"items\":{\"live\":1,\"building\":2,\"former\":null}}",
        "{\"verified\":2}",
      ]
    }
  }

  override_resource {
    target          = module.items["2"].aws_dynamodb_table.this
    override_during = plan
    values = {
      arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items-2"
      stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items-2/stream/s"
    }
  }

  override_resource {
    target          = module.items_replica["2"].aws_dynamodb_table_replica.this
    override_during = plan
    values          = { arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/readplane-items-2" }
  }

  variables {
    replica     = { region = "eu-west-1" }
    collections = { products = { read = "public", write_groups = ["editors"] } }
    items       = { live = 2, former = 1 }
    recorded    = "{\"live\":2,\"building\":null,\"former\":1}"

    # What the assertions below expect: the tables of each Region, in an order that a switch leaves as it is.
    tables = {
      primary = [
        "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items",
        "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items-2",
      ]
      replica = [
        "arn:aws:dynamodb:eu-west-1:111122223333:table/readplane-items",
        "arn:aws:dynamodb:eu-west-1:111122223333:table/readplane-items-2",
      ]
    }
  }

  assert {
    condition     = [output.items_table, output.second_items_table] == ["readplane-items-2", "readplane-items"]
    error_message = "Operators and commands find both tables."
  }

  assert {
    condition     = jsonencode(output.items_generations) == jsonencode(jsondecode(var.recorded))
    error_message = "Commands find the generations."
  }

  assert {
    condition     = !module.items["1"].deletion_protection && module.items["2"].deletion_protection
    error_message = "Only the live table is protected, so that one apply can remove the other one."
  }

  assert {
    condition = alltrue([
      for region in [module.primary, module.replica[0]] :
      jsondecode(region.settings.publish).items_table == "readplane-items-2"
    ])
    error_message = "Both Regions publish the live table."
  }

  assert {
    condition = alltrue([
      for region in [module.primary, module.replica[0]] :
      jsondecode(region.settings.publish).second_table == "readplane-items"
    ])
    error_message = "Both Regions know the table that was live before."
  }

  assert {
    condition = contains(
      jsondecode(module.primary.policies.functions.read).Statement[*].Resource, var.tables.primary
    )
    error_message = "The functions of the primary Region may read both tables there."
  }

  assert {
    condition = contains(
      jsondecode(module.replica[0].policies.functions.read).Statement[*].Resource, var.tables.replica
    )
    error_message = "The functions of the replica Region may read both tables there."
  }

  assert {
    condition = contains(
      jsondecode(module.heartbeat[0].policies.write).Statement[*].Resource, var.tables.primary
    )
    error_message = "The heartbeat may be written in both tables."
  }

  assert {
    condition     = jsondecode(aws_ssm_parameter.record.insecure_value).items == jsondecode(var.recorded)
    error_message = "The record says which tables there are."
  }
}
