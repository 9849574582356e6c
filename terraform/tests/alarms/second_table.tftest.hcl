# Plans a Region with two items tables, which the planned stack doesn't have, so that tests/unit/alarms can check the
# alarms on both streams too.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
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
  collections = { products = { read = "public", write_groups = ["editors"], cache_ttl = 0 } }
  api = {
    endpoint_type = "REGIONAL"
    cors_origins  = []
    throttle      = { rate = 500, burst = 1000 }
  }
  documents_integration = "s3"
  functions = {
    write   = { memory_mb = 512, timeout_seconds = 15 }
    apply   = { memory_mb = 1024, timeout_seconds = 300 }
    publish = { memory_mb = 1024, timeout_seconds = 120 }
    read    = { memory_mb = 512, timeout_seconds = 15 }
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
}

run "region_with_two_items_tables" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    items = {
      name       = "readplane-items-2"
      arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items-2"
      stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items-2/stream/s"
      index_name = "by_collection"
      generation = "2"
      second = {
        name       = "readplane-items"
        arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"
        stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/stream/s"
        generation = "1"
        role       = "former"
      }
    }
  }

  assert {
    condition     = keys(aws_lambda_event_source_mapping.publish) == ["1", "2"]
    error_message = "publish reads the streams of both tables."
  }
}
