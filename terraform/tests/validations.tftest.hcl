# Tests that every rule of the variables refuses what it should. Each run breaks one rule, and its name says how. The
# rules about sources, backends and notify have files of their own. Module settings uses no provider that would have to
# start, so a run takes milliseconds.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  collections   = { products = { read = "public" } }
}

run "name_that_is_too_long" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name = "a-name-of-21-letters-x"
  }

  expect_failures = [var.name]
}

run "name_with_capitals" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name = "Readplane"
  }

  expect_failures = [var.name]
}

run "name_that_cognito_reserves" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name = "my-aws-stack"
  }

  expect_failures = [var.name]
}

run "replica_region_equal_to_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica_region = "eu-central-1"
  }

  expect_failures = [var.replica_region]
}

run "unknown_endpoint_type" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    endpoint_type = "PRIVATE"
  }

  expect_failures = [var.endpoint_type]
}

run "edge_endpoint_with_a_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    endpoint_type  = "EDGE"
    replica_region = "eu-west-1"
  }

  expect_failures = [var.endpoint_type]
}

run "without_a_collection" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = {}
  }

  expect_failures = [var.collections]
}

run "more_collections_than_api_gateway_has_resources" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { for n in range(41) : "c${n}" => { read = "public" } }
  }

  expect_failures = [var.collections]
}

run "collection_name_with_a_slash" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { "a/b" = { read = "public" } }
  }

  expect_failures = [var.collections]
}

run "collection_with_the_name_of_the_freshness_documents" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { sources = { read = "public" } }
  }

  expect_failures = [var.collections]
}

run "unknown_visibility" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "private" } }
  }

  expect_failures = [var.collections]
}

run "group_name_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "public", write_groups = ["chief editors"] } }
  }

  expect_failures = [var.collections]
}

run "owner_collection_with_groups" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "owner", write_groups = ["editors"] } }
  }

  expect_failures = [var.collections]
}

run "owner_collection_that_is_cached" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache_size  = "0.5"
    collections = { c = { read = "owner", cache_ttl = 60 } }
  }

  expect_failures = [var.collections]
}

run "cache_ttl_beyond_an_hour" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache_size  = "0.5"
    collections = { c = { read = "public", cache_ttl = 3601 } }
  }

  expect_failures = [var.collections]
}

run "cache_ttl_below_zero" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache_size  = "0.5"
    collections = { c = { read = "public", cache_ttl = -1 } }
  }

  expect_failures = [var.collections]
}

run "cache_ttl_without_a_cache" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "public", cache_ttl = 60 } }
  }

  expect_failures = [var.collections]
}

run "schema_that_is_not_json" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "public", schema = "{" } }
  }

  expect_failures = [var.collections]
}

run "schema_that_is_not_an_object" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "public", schema = "[]" } }
  }

  expect_failures = [var.collections]
}

run "collection_throttled_to_nothing" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "public", throttle = { rate = 0, burst = 1 } } }
  }

  expect_failures = [var.collections]
}

run "unknown_mfa" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { mfa = "SOMETIMES" }
  }

  expect_failures = [var.sign_in]
}

run "web_callback_over_plain_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { web_callback_urls = ["http://app.example.com/callback"] }
  }

  expect_failures = [var.sign_in]
}

run "mobile_callback_without_a_scheme" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { mobile_callback_urls = ["app.example.com/callback"] }
  }

  expect_failures = [var.sign_in]
}

run "mobile_callback_over_plain_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { mobile_callback_urls = ["http://app.example.com/callback"] }
  }

  expect_failures = [var.sign_in]
}

run "access_token_for_two_days" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { access_minutes = 2880 }
  }

  expect_failures = [var.sign_in]
}

run "refresh_token_for_no_time" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { refresh_days = 0 }
  }

  expect_failures = [var.sign_in]
}

run "origin_with_a_trailing_slash" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_origins = ["https://app.example.com/"]
  }

  expect_failures = [var.cors_origins]
}

run "origin_over_plain_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_origins = ["http://app.example.com"]
  }

  expect_failures = [var.cors_origins]
}

run "origin_with_capitals" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_origins = ["https://App.example.com"]
  }

  expect_failures = [var.cors_origins]
}

run "origin_that_is_a_wildcard" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_origins = ["*"]
  }

  expect_failures = [var.cors_origins]
}

run "origin_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_origins = ["https://a.example.com", "https://a.example.com"]
  }

  expect_failures = [var.cors_origins]
}

run "cache_size_that_is_not_offered" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache_size = "1"
  }

  expect_failures = [var.cache_size]
}

run "throttle_that_refuses_everything" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    throttle = { rate = 0, burst = 1 }
  }

  expect_failures = [var.throttle]
}

run "throttle_without_a_burst" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    throttle = { rate = 100, burst = 0 }
  }

  expect_failures = [var.throttle]
}

run "buffering_longer_than_firehose_allows" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    write_log = { buffering_seconds = 901 }
  }

  expect_failures = [var.write_log]
}

run "buffering_of_more_than_apply_can_finish" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    write_log = { buffering_megabytes = 17 }
  }

  expect_failures = [var.write_log]
}

run "storage_class_too_early" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    write_log = { infrequent_access_days = 7 }
  }

  expect_failures = [var.write_log]
}

run "one_apply_at_a_time" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    write_log = { apply_concurrency = 1 }
  }

  expect_failures = [var.write_log]
}

run "horizon_shorter_than_dead_letters" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    horizon_days = 14
  }

  expect_failures = [var.horizon_days]
}

run "write_timeout_longer_than_api_gateway_waits" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { write = { timeout_seconds = 30 } }
  }

  expect_failures = [var.functions]
}

run "write_timeout_shorter_than_its_read_and_its_retries" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { write = { timeout_seconds = 14 } }
  }

  expect_failures = [var.functions]
}

run "read_timeout_longer_than_api_gateway_waits" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { read = { timeout_seconds = 30 } }
  }

  expect_failures = [var.functions]
}

run "read_timeout_shorter_than_a_list" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { read = { timeout_seconds = 11 } }
  }

  expect_failures = [var.functions]
}

run "apply_timeout_shorter_than_an_object_takes" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { apply = { timeout_seconds = 59 } }
  }

  expect_failures = [var.functions]
}

run "function_with_too_little_memory" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { publish = { memory_mb = 64 } }
  }

  expect_failures = [var.functions]
}

run "function_timeout_longer_than_lambda_allows" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { publish = { timeout_seconds = 901 } }
  }

  expect_failures = [var.functions]
}

run "function_with_zero_concurrency" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { read = { reserved_concurrency = 0 } }
  }

  expect_failures = [var.functions]
}

run "queue_with_more_concurrency_than_apply" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { apply = { reserved_concurrency = 9 } }
  }

  expect_failures = [var.functions]
}

run "more_concurrency_than_the_account_has" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions                 = { write = { reserved_concurrency = 401 } }
    account_concurrency_quota = 500
  }

  expect_failures = [var.functions]
}

run "unknown_documents_integration" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    documents_integration = "http"
  }

  expect_failures = [var.documents_integration]
}

run "retention_that_cloudwatch_does_not_know" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    log_retention_days = 10
  }

  expect_failures = [var.log_retention_days]
}

run "alarm_topic_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    alarm_actions = ["arn:aws:sns:us-east-1:111122223333:operators"]
  }

  expect_failures = [var.alarm_actions]
}

run "replica_alarm_topic_without_a_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica_alarm_actions = ["arn:aws:sns:eu-central-1:111122223333:operators"]
  }

  expect_failures = [var.replica_alarm_actions]
}

run "hot_zip_that_was_not_built" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    hot_zip = "nowhere/hot.zip"
  }

  expect_failures = [var.hot_zip]
}

run "functions_zip_that_was_not_built" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions_zip = "nowhere/functions.zip"
  }

  expect_failures = [var.functions_zip]
}

run "layer_that_was_not_built" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    layer_zip = "nowhere/layer.zip"
  }

  expect_failures = [var.layer_zip]
}

run "unknown_client" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    aws_client = "botocore"
  }

  expect_failures = [var.aws_client]
}

run "unknown_architecture" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    architecture = "arm"
  }

  expect_failures = [var.architecture]
}

run "base_url_without_the_api" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    api_base_url = "http://localhost:4566"
  }

  expect_failures = [var.api_base_url]
}

run "what_the_rules_allow" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name                  = "a-name-of-20-letters"
    replica_region        = "eu-west-1"
    cache_size            = "237"
    horizon_days          = 15
    aws_client            = "boto3"
    cors_origins          = ["https://app.example.com", "https://app.example.com:8443", "http://localhost:8080"]
    alarm_actions         = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    replica_alarm_actions = ["arn:aws:sns:eu-west-1:111122223333:operators"]
    api_base_url          = "http://localhost:4566/_aws/execute-api/{api_id}"
    write_log = {
      buffering_seconds      = 900
      buffering_megabytes    = 16
      infrequent_access_days = 30
      glacier_instant_days   = 60
      apply_concurrency      = 1000
    }
    functions = {
      write   = { timeout_seconds = 29, reserved_concurrency = 900 }
      read    = { timeout_seconds = 12 }
      apply   = { timeout_seconds = 240 }
      publish = { timeout_seconds = 900 }
    }
    collections = {
      a-2 = {
        read         = "public"
        write_groups = ["editors_of-2026"]
        schema       = "{}"
        cache_ttl    = 3600
        throttle     = { rate = 1, burst = 1 }
      }
      mine   = { read = "owner" }
      others = { read = "authenticated" }
    }
  }

  assert {
    condition = (
      var.write_log.buffering_seconds == 900
      && var.functions.write.reserved_concurrency == 900
      && var.collections["a-2"].cache_ttl == 3600
    )
    error_message = "The values at the edge of each rule are allowed."
  }

  assert {
    condition     = length(var.collections["mine"].write_groups) == 0 && var.collections["mine"].schema == null
    error_message = "A collection needs only read."
  }
}
