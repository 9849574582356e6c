# Tests of what module region has for a second items table: settings, policies, event source mappings and alarms.
# tests/unit/alarms checks the alarms of the run `former_table`.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name = "readplane"
  code = {
    hot_zip       = "tests/mocks/hot.txt"
    functions_zip = "tests/mocks/artefact.txt"
    layer_zip     = "tests/mocks/artefact.txt"
    architecture  = "arm64"
    aws_client    = "slim"
  }
  kms_key_arn = null
  has_key     = false
  identity = {
    user_pool_arn = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/p"
    client_ids    = ["web", "mobile"]
    scopes        = { read = ["readplane/read"], write = ["readplane/write"] }
  }
  collections       = { products = { read = "public", write_groups = ["editors"], cache_ttl = 0 } }
  change_stream_arn = "arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes"
  api = {
    endpoint_type = "REGIONAL"
    cors_origins  = []
    throttle      = { rate = 500, burst = 1000 }
  }
  documents_integration = "s3"
  functions = {
    write        = { memory_mb = 512, timeout_seconds = 15 }
    apply        = { memory_mb = 1024, timeout_seconds = 300 }
    apply_stream = { memory_mb = 1024, timeout_seconds = 300 }
    publish      = { memory_mb = 1024, timeout_seconds = 120 }
    read         = { memory_mb = 512, timeout_seconds = 15 }
  }
  write_log = {
    buffering_seconds      = 60
    buffering_megabytes    = 4
    infrequent_access_days = 30
    glacier_instant_days   = 90
    apply_concurrency      = 20
  }
  horizon_days       = 30
  log_retention_days = 365
  force_destroy      = false
  tls_only           = true
  alarms             = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:readplane-alarms"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:readplane-tickets"]
  }

  first_table = {
    name       = "readplane-items"
    arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"
    stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/stream/s"
  }
  second_table = {
    name       = "readplane-items-2"
    arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items-2"
    stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items-2/stream/s"
  }

  # What the assertions below expect: the tables in an order that a switch leaves as it is.
  table_arns = [
    "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items",
    "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items-2",
  ]
  streams = [
    "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/stream/s",
    "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items-2/stream/s",
  ]
}

run "building_table" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    items = merge(var.first_table, {
      index_name = "by_collection"
      generation = "1"
      second     = merge(var.second_table, { generation = "2", role = "building" })
    })

    # What the assertions below expect.
    writers = ["apply", "apply-stream", "publish"]
    clients = ["read", "write"]
    indexes = [
      "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/index/by_collection",
      "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items-2/index/by_collection",
    ]
    apply_policy = {
      FoldBothTables = [
        [
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:BatchGetItem",
          "dynamodb:PartiQLInsert",
          "dynamodb:PartiQLUpdate",
        ],
        var.table_arns,
      ]
    }
    publish_policy = {
      ReadBothStreams = [
        ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], var.streams,
      ]
      MendBothTables = [["dynamodb:PutItem"], var.table_arns]
      ReadLiveItems  = [["dynamodb:GetItem"], var.table_arns]
      ReadDocuments  = [["s3:GetObject"], ["arn:aws:s3:::a-bucket/*"]]
      FindDocuments  = [["s3:ListBucket"], ["arn:aws:s3:::a-bucket"]]
    }
  }

  # --- Settings

  assert {
    condition = alltrue([
      for key in var.writers : jsondecode(output.settings[key]).second_table == "readplane-items-2"
    ])
    error_message = "apply and publish know the building table."
  }

  assert {
    condition = alltrue([
      for settings in values(output.settings) : jsondecode(settings).items_table == "readplane-items"
    ])
    error_message = "The live table stays what it is."
  }

  assert {
    condition     = !jsondecode(output.settings.publish).follows_second
    error_message = "The second table isn't the former one."
  }

  assert {
    condition     = !anytrue([for key in var.clients : strcontains(output.settings[key], "second_table")])
    error_message = "Clients read and check the live table only."
  }

  # --- Policies

  assert {
    condition = var.apply_policy == {
      for s in jsondecode(module.function["apply"].temporary_policy).Statement : s.Sid => [s.Action, s.Resource]
    }
    error_message = "apply writes both tables."
  }

  assert {
    condition     = module.function["apply-stream"].temporary_policy == module.function["apply"].temporary_policy
    error_message = "apply-stream writes both tables too."
  }

  assert {
    condition = var.publish_policy == {
      for s in jsondecode(module.function["publish"].temporary_policy).Statement : s.Sid => [s.Action, s.Resource]
    }
    error_message = "publish reads both streams, mends both tables, and compares items and documents."
  }

  assert {
    condition = contains(
      [for s in jsondecode(output.policies.functions.read).Statement : s.Resource if s.Sid == "ReadItems"],
      var.table_arns,
    )
    error_message = "The versions of read before and after a switch share a role, so it allows both tables."
  }

  assert {
    condition = contains(
      [for s in jsondecode(output.policies.functions.read).Statement : s.Resource if s.Sid == "ListItems"], var.indexes
    )
    error_message = "The role of read allows the indexes of both tables too."
  }

  assert {
    condition = contains(
      [for s in jsondecode(output.policies.functions.write).Statement : s.Resource if s.Sid == "ReadItems"],
      var.table_arns,
    )
    error_message = "The role of write allows both tables, as that of read does."
  }

  assert {
    condition     = alltrue([for key in var.clients : module.function[key].temporary_policy == null])
    error_message = "Functions that never use the second table need no policy that goes later."
  }

  # --- Event source mappings

  assert {
    condition     = values(aws_lambda_event_source_mapping.publish)[*].event_source_arn == var.streams
    error_message = "publish reads the streams of both tables."
  }

  assert {
    condition     = length(distinct(values(aws_lambda_event_source_mapping.publish)[*].filter_criteria)) == 1
    error_message = "A change may reach publish by either stream only, so both streams have the same filter."
  }
}

run "former_table" {
  command = plan

  module {
    source = "./modules/region"
  }

  # The ids of the event source mappings, which AWS would choose.
  override_resource {
    target          = aws_lambda_event_source_mapping.apply
    override_during = plan
    values          = { uuid = "10000000-0000-4000-8000-000000000000" }
  }

  override_resource {
    target          = aws_lambda_event_source_mapping.publish["1"]
    override_during = plan
    values          = { uuid = "20000000-0000-4000-8000-000000000000" }
  }

  override_resource {
    target          = aws_lambda_event_source_mapping.publish["2"]
    override_during = plan
    values          = { uuid = "60000000-0000-4000-8000-000000000000" }
  }

  variables {
    items = merge(var.second_table, {
      index_name = "by_collection"
      generation = "2"
      second     = merge(var.first_table, { generation = "1", role = "former" })
    })
    live_mapping   = { EventSourceMappingUUID = "60000000-0000-4000-8000-000000000000" }
    former_mapping = { EventSourceMappingUUID = "20000000-0000-4000-8000-000000000000" }
  }

  assert {
    condition     = jsondecode(output.settings.publish).second_table == "readplane-items"
    error_message = "publish knows the table that was live before."
  }

  assert {
    condition     = jsondecode(output.settings.publish).follows_second
    error_message = "publish follows the table that was live before."
  }

  assert {
    condition     = jsondecode(module.function["apply"].temporary_policy).Statement[*].Resource == [var.table_arns]
    error_message = "A switch changes nothing in the policy for both tables."
  }

  # --- Alarms

  assert {
    condition     = module.alarms[0].alarms["publish_stopped"].dimensions == tomap(var.live_mapping)
    error_message = "publish_stopped watches the mapping of the live table only."
  }

  assert {
    condition = (
      one(module.alarms[0].queries["publish_second_stopped"].second.metric).dimensions == tomap(var.former_mapping)
    )
    error_message = "publish_second_stopped watches the mapping of the former table."
  }

  assert {
    condition = (
      one(module.alarms[0].queries["publish_set_aside"].set_aside_of_second.metric).dimensions
      == tomap(var.former_mapping)
    )
    error_message = "A batch of the former table that Lambda gives up fires the alarm."
  }

  assert {
    condition = (
      one(module.alarms[0].queries["publish_set_aside"].dropped_of_second.metric).dimensions
      == tomap(var.former_mapping)
    )
    error_message = "A dropped batch of the former table fires it too."
  }
}
