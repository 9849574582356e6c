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

run "replica_in_the_primary_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-central-1" }
  }

  expect_failures = [var.replica]
}

run "deprecated_replica_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica_region = "eu-west-1"
  }

  expect_failures = [var.replica_region]
}

# CI often passes an empty text where nothing is set.
run "replica_that_is_empty" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica        = { region = "" }
    replica_region = ""
  }

  assert {
    condition     = output.regions == { primary = "eu-central-1", replica = null }
    error_message = "A Region that is an empty text means that there is no replica."
  }
}

run "replica_that_is_null" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = null
  }

  assert {
    condition     = output.regions.replica == null && output.named_replica_region == null && !output.protected.replica
    error_message = "A replica that is null means that there is none."
  }
}

run "replica_that_is_going" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica               = { region = "eu-west-1", enabled = false }
    replica_alarm_actions = ["arn:aws:sns:eu-west-1:111122223333:operators"]
  }

  assert {
    condition     = output.regions.replica == null && output.named_replica_region == "eu-west-1"
    error_message = "The Region of a replica that is going stays known."
  }
}

run "protection_of_the_parts" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica             = { region = "eu-west-1", deletion_protection = false }
    deletion_protection = true
  }

  assert {
    condition     = [for part, is_protected in output.protected : part if is_protected] == ["stack"]
    error_message = "A part of the stack can be unprotected by itself. What isn't there isn't protected."
  }
}

run "existing_keys" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    kms_keys = {
      primary = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1"
      replica = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1"
    }
  }

  assert {
    condition     = output.keys == var.kms_keys
    error_message = "The stack uses the existing key of each Region."
  }
}

run "existing_key_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    kms_keys = { primary = "arn:aws:kms:eu-west-1:111122223333:key/a" }
  }

  expect_failures = [var.kms_keys]
}

run "alias_of_an_existing_key" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    kms_keys = { primary = "arn:aws:kms:eu-central-1:111122223333:alias/shop" }
  }

  expect_failures = [var.kms_keys]
}

run "existing_key_of_the_replica_in_the_primary_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    kms_keys = {
      primary = "arn:aws:kms:eu-central-1:111122223333:key/a"
      replica = "arn:aws:kms:eu-central-1:111122223333:key/a"
    }
  }

  expect_failures = [var.kms_keys]
}

run "existing_key_in_one_of_two_regions" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica  = { region = "eu-west-1" }
    kms_keys = { primary = "arn:aws:kms:eu-central-1:111122223333:key/a" }
  }

  expect_failures = [var.kms_keys]
}

run "existing_key_of_the_replica_alone" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica  = { region = "eu-west-1", enabled = false }
    kms_keys = { replica = "arn:aws:kms:eu-west-1:111122223333:key/a" }
  }

  expect_failures = [var.kms_keys]
}

run "existing_key_without_customer_managed_key" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    customer_managed_key = false
    kms_keys             = { primary = "arn:aws:kms:eu-central-1:111122223333:key/a" }
  }

  expect_failures = [var.kms_keys]
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
    endpoint_type = "EDGE"
    replica       = { region = "eu-west-1" }
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
    groups = ["chief editors"]
  }

  expect_failures = [var.groups]
}

run "group_listed_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    groups = ["editors", "editors"]
  }

  expect_failures = [var.groups]
}

run "collection_with_an_unlisted_group" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "public", write_groups = ["editors"] } }
  }

  expect_failures = [var.collections]
}

run "read_changes_below_zero" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "public", read_changes = -1 } }
  }

  expect_failures = [var.collections]
}

run "retired_collections_only" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "public", retired = true } }
  }

  expect_failures = [var.collections]
}

run "retired_collections_beside_forty" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { for n in range(42) : "c${n}" => { read = "public", retired = n >= 40 } }
  }

  assert {
    condition     = length(output.live_collections) == 40
    error_message = "A retired collection doesn't count, because it has no routes."
  }
}

run "owner_collection_with_groups" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "owner", write_groups = ["editors"] } }
    groups      = ["editors"]
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

run "schema_of_a_newer_draft" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = {
      read   = "public"
      schema = "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\"}"
    } }
  }

  expect_failures = [var.collections]
}

run "schema_whose_draft_is_no_text" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "public", schema = "{\"$schema\": null}" } }
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

run "collection_with_a_burst_of_a_fraction" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { c = { read = "public", throttle = { rate = 1, burst = 1.5 } } }
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

run "access_token_for_a_fraction_of_a_minute" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { access_minutes = 30.5 }
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

run "throttle_with_a_burst_of_a_fraction" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    throttle = { rate = 100, burst = 1.5 }
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

run "buffering_for_a_fraction_of_a_second" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    write_log = { buffering_seconds = 60.5 }
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

run "function_with_a_fraction_of_a_megabyte" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { write = { memory_mb = 512.5 } }
  }

  expect_failures = [var.functions]
}

run "function_with_a_fraction_of_an_execution" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { publish = { reserved_concurrency = 1.5 } }
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

run "a_new_accounts_quota_with_nothing_reserved" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    account_concurrency_quota = 10
  }

  assert {
    condition     = var.account_concurrency_quota == 10
    error_message = "Without a reservation, every quota is enough."
  }
}

run "as_much_concurrency_as_the_account_has" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions                 = { write = { reserved_concurrency = 400 } }
    account_concurrency_quota = 500
  }

  assert {
    condition     = var.functions.write.reserved_concurrency == 400
    error_message = "All but 100 executions of the quota can be reserved."
  }
}

run "more_concurrency_than_a_quota_that_aws_knows" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions                 = { write = { reserved_concurrency = 4000 } }
    account_concurrency_quota = null
  }

  assert {
    condition     = var.account_concurrency_quota == null
    error_message = "Module region compares with the quota that AWS reports."
  }
}

run "account_quota_of_a_fraction" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    account_concurrency_quota = 1000.5
  }

  expect_failures = [var.account_concurrency_quota]
}

run "republish_that_is_no_whole_number" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    republish = 0.5
  }

  expect_failures = [var.republish]
}

run "zips_in_s3_without_a_release" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    code_buckets = { primary = { bucket = "releases", prefix = "" } }
  }

  expect_failures = [var.code_buckets]
}

run "zips_in_s3_with_a_slash_at_the_end" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    code_buckets = { primary = { bucket = "releases", prefix = "readplane/1.4.0/" } }
  }

  expect_failures = [var.code_buckets]
}

run "zips_in_s3_of_one_region_only" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica      = { region = "eu-west-1" }
    code_buckets = { primary = { bucket = "releases", prefix = "readplane/1.4.0" } }
  }

  expect_failures = [var.code_buckets]
}

run "zips_in_s3" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    # There are no such files.
    dist           = "no/such/folder"
    hot_zip        = null
    functions_zip  = null
    layer_zip      = null
    poll_layer_zip = null
    replica        = { region = "eu-west-1" }
    code_buckets = {
      primary = { bucket = "releases-eu-central-1", prefix = "readplane/1.4.0" }
      replica = { bucket = "releases-eu-west-1", prefix = "1.4.0" }
    }
  }

  assert {
    condition     = output.zip_objects.primary.bucket == "releases-eu-central-1"
    error_message = "Each Region has a bucket of its own."
  }

  assert {
    condition     = output.zip_objects.replica.keys[output.zips.hot] == "1.4.0/hot-arm64.zip"
    error_message = "An object has the name of the zip, in the folder of its release."
  }
}

run "local_zips" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    code_buckets = null
  }

  assert {
    condition     = output.zip_objects.primary == null && output.zip_objects.replica == null
    error_message = "Without code_buckets, Terraform uploads the local zips."
  }
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
    replica               = { region = "eu-west-1" }
    groups                = ["editors_of-2026", "nobody-yet"]
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

run "name_of_an_internationalised_bucket" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name = "xn--shop"
  }

  expect_failures = [var.name]
}

run "name_that_s3_reserves" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name = "sthree"
  }

  expect_failures = [var.name]
}

run "name_that_s3_reserves_for_examples" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name = "amzn-s3-demo"
  }

  expect_failures = [var.name]
}

run "name_of_the_default_schedule_group" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name = "default"
  }

  expect_failures = [var.name]
}

run "sign_in_without_web_callback_urls" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { web_callback_urls = [] }
  }

  expect_failures = [var.sign_in]
}

run "sign_in_without_mobile_callback_urls" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { mobile_callback_urls = [] }
  }

  expect_failures = [var.sign_in]
}

run "sign_in_url_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { web_callback_urls = ["https://app.example.com/a b"] }
  }

  expect_failures = [var.sign_in]
}

run "sign_in_url_that_is_too_long" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { web_logout_urls = ["https://app.example.com/${join("", [for i in range(1001) : "x"])}"] }
  }

  expect_failures = [var.sign_in]
}

run "more_sign_in_urls_than_cognito_takes" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { web_callback_urls = [for i in range(101) : "https://app.example.com/${i}"] }
  }

  expect_failures = [var.sign_in]
}

run "sign_in_without_logout_urls" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { web_logout_urls = [], mobile_logout_urls = [] }
  }

  assert {
    condition     = length(var.sign_in.web_logout_urls) == 0
    error_message = "Cognito needs no logout URL."
  }
}

run "name_of_a_schedule_group_of_another_stack" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name = "shop-daily"
  }

  expect_failures = [var.name]
}
