# Tests that every rule for the variables sources, change_stream and poll refuses what it should. Each run breaks
# exactly one rule.

variables {
  region         = "eu-central-1"
  hot_zip        = "tests/mocks/hot.txt"
  functions_zip  = "tests/mocks/artefact.txt"
  layer_zip      = "tests/mocks/artefact.txt"
  poll_layer_zip = "tests/mocks/artefact.txt"
  collections = {
    products  = { read = "public" }
    prices    = { read = "authenticated" }
    contracts = { read = "owner" }
    notes     = { read = "authenticated", write_groups = ["editors"] }
  }

  feed = {
    mode             = "changes"
    collection       = "products"
    schedule         = "rate(1 minute)"
    staleness_budget = 90
    url              = "https://erp.example.com/products?since={cursor}"
    records          = "rows"
    id               = "code"
    version          = { expression = "changed", format = "rfc3339" }
    translation      = "@"
  }

  # The source `called` has no expressions, because it names a Python function that reads the whole response.
  called = {
    mode             = "changes"
    collection       = "prices"
    schedule         = "cron(0/5 * * * ? *)"
    staleness_budget = 900
    url              = "https://erp.example.com/prices"
    function         = "readplane.poll.source.functions.erp:Prices"
  }

  payload = {
    mode             = "snapshot"
    collection       = "prices"
    schedule         = "rate(1 hour)"
    staleness_budget = 7200
    url              = "https://erp.example.com/prices"
  }

  characters_2048 = join("", [for n in range(256) : "12345678"])

  secret = { arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp/key-AbCdEf", header = "Authorization" }
}

run "more_sources_than_a_function_has_room_for" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { for n in range(21) : "c${n}" => { read = "public" } }
    sources     = { for n in range(21) : "s${n}" => merge(var.feed, { collection = "c${n}" }) }
  }

  expect_failures = [var.sources]
}

run "more_routes_than_api_gateway_has_resources" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { for n in range(40) : "c${n}" => { read = "public" } }
    sources     = { for n in range(20) : "s${n}" => merge(var.feed, { collection = "c${n}" }) }
    backends    = { for n in range(7) : "b${n}" => { url = "https://erp.example.com" } }
  }

  expect_failures = [var.sources]
}

run "source_name_with_a_dot" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { "poll.erp" = var.feed }
  }

  expect_failures = [var.sources]
}

run "source_name_longer_than_schedule_names_allow" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { a234567890123456789012345678901234567890x = var.feed }
  }

  expect_failures = [var.sources]
}

run "unknown_mode" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { mode = "stream" }) }
  }

  expect_failures = [var.sources]
}

run "collection_that_is_not_declared" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { collection = "nowhere" }) }
  }

  expect_failures = [var.sources]
}

run "two_sources_of_one_collection" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { one = var.feed, two = var.feed }
  }

  expect_failures = [var.sources]
}

run "collection_that_clients_write" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { collection = "notes" }) }
  }

  expect_failures = [var.sources]
}

run "owner_collection_without_owners" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { collection = "contracts" }) }
  }

  expect_failures = [var.sources]
}

run "owners_in_a_public_collection" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { owner = "customer" }) }
  }

  expect_failures = [var.sources]
}

run "sweep_of_an_owner_collection" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      collection = "contracts", owner = "customer", sweep = { schedule = "rate(1 day)" }
    }) }
  }

  expect_failures = [var.sources]
}

run "snapshot_for_owners" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, { collection = "contracts" }) }
  }

  expect_failures = [var.sources]
}

run "changes_without_records" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { records = null }) }
  }

  expect_failures = [var.sources]
}

run "changes_without_id" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { id = null }) }
  }

  expect_failures = [var.sources]
}

run "changes_without_translation" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { translation = null }) }
  }

  expect_failures = [var.sources]
}

run "function_and_records" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.called, { records = "rows" }) }
  }

  expect_failures = [var.sources]
}

run "function_and_version" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.called, { version = { expression = "changed", format = "rfc3339" } }) }
  }

  expect_failures = [var.sources]
}

run "function_and_paging" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.called, { paging = { style = "link", next = "next" } }) }
  }

  expect_failures = [var.sources]
}

run "snapshot_with_records" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, { records = "rows" }) }
  }

  expect_failures = [var.sources]
}

run "snapshot_with_translation" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, { translation = "@" }) }
  }

  expect_failures = [var.sources]
}

run "snapshot_with_function" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, { function = "readplane.poll.source.functions.erp:Prices" }) }
  }

  expect_failures = [var.sources]
}

run "snapshot_with_sweep" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, { sweep = { schedule = "rate(1 day)" } }) }
  }

  expect_failures = [var.sources]
}

run "snapshot_with_paging" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, { paging = { style = "link" } }) }
  }

  expect_failures = [var.sources]
}

run "empty_expression" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { deleted = " " }) }
  }

  expect_failures = [var.sources]
}

run "empty_version_expression" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { version = { expression = "", format = "unix_s" } }) }
  }

  expect_failures = [var.sources]
}

run "version_without_an_expression" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { version = { expression = null, format = "unix_s" } }) }
  }

  expect_failures = [var.sources]
}

run "empty_paging_expression" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "link", next = " " } }) }
  }

  expect_failures = [var.sources]
}

run "function_of_another_module" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.called, { function = "os:system" }) }
  }

  expect_failures = [var.sources]
}

run "unknown_version_format" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { version = { expression = "changed", format = "iso" } }) }
  }

  expect_failures = [var.sources]
}

run "document_that_is_not_an_item_id" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, { document = "a/b" }) }
  }

  expect_failures = [var.sources]
}

run "url_that_is_not_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "ftp://erp.example.com/{cursor}" }) }
  }

  expect_failures = [var.sources]
}

run "url_with_a_letter_outside_ascii" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/käse?since={cursor}" }) }
  }

  expect_failures = [var.sources]
}

run "url_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/a b?since={cursor}" }) }
  }

  expect_failures = [var.sources]
}

run "url_with_a_port_that_does_not_exist" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com:65536/?since={cursor}" }) }
  }

  expect_failures = [var.sources]
}

run "url_without_a_host" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https:///products?since={cursor}" }) }
  }

  expect_failures = [var.sources]
}

run "url_of_more_than_2048_characters" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      url = join("", ["https://erp.example.com/?since={cursor}&", var.characters_2048])
    }) }
  }

  expect_failures = [var.sources]
}

run "url_with_a_password" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://user:pass@erp.example.com/{cursor}" }) }
  }

  expect_failures = [var.sources]
}

run "url_with_a_fragment" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/{cursor}#top" }) }
  }

  expect_failures = [var.sources]
}

run "cursor_in_the_host" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://{cursor}.example.com/" }) }
  }

  expect_failures = [var.sources]
}

run "unknown_placeholder" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/{since}/{cursor}" }) }
  }

  expect_failures = [var.sources]
}

run "cursor_without_versions" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { version = null }) }
  }

  expect_failures = [var.sources]
}

run "cursor_in_a_snapshot" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, { url = "https://erp.example.com/{cursor}" }) }
  }

  expect_failures = [var.sources]
}

run "cursor_settings_without_a_cursor" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/", cursor = { initial = "0" } }) }
  }

  expect_failures = [var.sources]
}

run "unknown_cursor_format" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { cursor = { format = "iso" } }) }
  }

  expect_failures = [var.sources]
}

run "empty_initial_cursor" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { cursor = { initial = "" } }) }
  }

  expect_failures = [var.sources]
}

run "function_and_a_cursor_without_format" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.called, { url = "https://erp.example.com/{cursor}" }) }
  }

  expect_failures = [var.sources]
}

run "schedule_with_a_plural_of_one" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "rate(1 minutes)" }) }
  }

  expect_failures = [var.sources]
}

run "schedule_with_a_singular_of_five" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "rate(5 minute)", staleness_budget = 900 }) }
  }

  expect_failures = [var.sources]
}

run "schedule_that_runs_once" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "at(2026-01-01T00:00:00)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_with_five_fields" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 * * *)" }) }
  }

  expect_failures = [var.sources]
}

run "sweep_without_a_rate" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { sweep = { schedule = "daily" } }) }
  }

  expect_failures = [var.sources]
}

run "budget_shorter_than_the_interval" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "rate(5 minutes)", staleness_budget = 300 }) }
  }

  expect_failures = [var.sources]
}

run "budget_of_more_than_a_year" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { staleness_budget = 31536001 }) }
  }

  expect_failures = [var.sources]
}

run "budget_of_a_fraction_of_a_second" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { staleness_budget = 90.5 }) }
  }

  expect_failures = [var.sources]
}

run "unknown_paging" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "cursor" } }) }
  }

  expect_failures = [var.sources]
}

run "page_paging_without_a_parameter" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page" } }) }
  }

  expect_failures = [var.sources]
}

run "link_paging_with_a_parameter" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "link", parameter = "page" } }) }
  }

  expect_failures = [var.sources]
}

run "parameter_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page", parameter = "the page" } }) }
  }

  expect_failures = [var.sources]
}

run "token_paging_without_next" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "token", parameter = "token" } }) }
  }

  expect_failures = [var.sources]
}

run "offset_paging_with_next" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "offset", parameter = "offset", next = "next" } }) }
  }

  expect_failures = [var.sources]
}

run "page_before_the_first" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page", parameter = "page", first = -1 } }) }
  }

  expect_failures = [var.sources]
}

run "pages_of_nothing" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page", parameter = "page", size = 0 } }) }
  }

  expect_failures = [var.sources]
}

run "lag_of_more_than_a_week" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { lag_seconds = 604801 }) }
  }

  expect_failures = [var.sources]
}

run "request_without_time" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { timeout_seconds = 0 }) }
  }

  expect_failures = [var.sources]
}

run "request_without_an_attempt" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { attempts = 0 }) }
  }

  expect_failures = [var.sources]
}

run "half_an_attempt" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { attempts = 1.5 }) }
  }

  expect_failures = [var.sources]
}

run "run_without_pages" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { max_pages = 0 }) }
  }

  expect_failures = [var.sources]
}

run "run_longer_than_lambda" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources   = { erp = merge(var.feed, { max_seconds = 841 }) }
    functions = { poll = { timeout_seconds = 900 } }
  }

  expect_failures = [var.sources]
}

run "run_longer_than_poll" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { max_seconds = 106 }) }
  }

  expect_failures = [var.sources]
}

run "request_longer_than_its_run" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { max_seconds = 5 }) }
  }

  expect_failures = [var.sources]
}

run "no_request_at_all" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { requests_per_second = 0 }) }
  }

  expect_failures = [var.sources]
}

run "response_larger_than_the_limit" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources   = { erp = merge(var.feed, { max_bytes = 67108865 }) }
    functions = { poll = { memory_mb = 8192 } }
  }

  expect_failures = [var.sources]
}

run "response_larger_than_memory" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources   = { erp = merge(var.feed, { max_bytes = 8388609 }) }
    functions = { poll = { memory_mb = 676 } }
  }

  expect_failures = [var.sources]
}

run "snapshot_larger_than_api_gateway_returns" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, { max_bytes = 9437185 }) }
  }

  expect_failures = [var.sources]
}

run "cache_ttl_longer_than_the_staleness_budget" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = merge(var.collections, { products = { read = "public", cache_ttl = 91 } })
    cache_size  = "0.5"
    sources     = { erp = var.feed }
  }

  expect_failures = [var.sources]
}

run "breaker_that_is_always_open" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { breaker = { failures = 0 } }) }
  }

  expect_failures = [var.sources]
}

run "breaker_that_cools_for_two_days" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { breaker = { cooldown_seconds = 172800 } }) }
  }

  expect_failures = [var.sources]
}

run "sweep_that_deletes_more_than_there_is" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { sweep = { schedule = "rate(1 day)", max_deletes_percent = 101 } }) }
  }

  expect_failures = [var.sources]
}

run "sweep_at_another_host" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      sweep = { schedule = "rate(1 day)", url = "https://other.example.com/products" }
    }) }
  }

  expect_failures = [var.sources]
}

run "sweep_at_a_host_whose_name_begins_alike" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      sweep = { schedule = "rate(1 day)", url = "https://erp.example.com.evil.com/" }
    }) }
  }

  expect_failures = [var.sources]
}

run "sweep_url_that_is_not_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { sweep = { schedule = "rate(1 day)", url = "ftp://erp.example.com/" } }) }
  }

  expect_failures = [var.sources]
}

run "sweep_url_of_more_than_2048_characters" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      sweep = {
        schedule = "rate(1 day)", url = join("", ["https://erp.example.com/", var.characters_2048])
      }
    }) }
  }

  expect_failures = [var.sources]
}

run "sweep_from_a_cursor" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      sweep = { schedule = "rate(1 day)", url = "https://erp.example.com/products?since={cursor}" }
    }) }
  }

  expect_failures = [var.sources]
}

run "header_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { "X Tenant" = "1" } }) }
  }

  expect_failures = [var.sources]
}

run "header_with_a_line_break" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { X-Tenant = "1\nX-Admin: 1" } }) }
  }

  expect_failures = [var.sources]
}

run "header_value_of_more_than_2048_characters" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      headers = { X-Tenant = join("", ["1", var.characters_2048]) }
    }) }
  }

  expect_failures = [var.sources]
}

run "header_value_with_a_space_first" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { X-Tenant = " 1" } }) }
  }

  expect_failures = [var.sources]
}

run "secret_format_with_a_line_break" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = merge(var.secret, { format = "{secret}\n" }) }) }
  }

  expect_failures = [var.sources]
}

run "secret_format_of_more_than_2048_characters" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      secret = merge(var.secret, { format = join("", ["{secret}", var.characters_2048]) })
    }) }
  }

  expect_failures = [var.sources]
}

run "secret_header_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = merge(var.secret, { header = "X Key" }) }) }
  }

  expect_failures = [var.sources]
}

run "credential_in_a_plain_header" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { authorization = "Bearer abc" } }) }
  }

  expect_failures = [var.sources]
}

run "api_key_in_a_plain_header" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { X-API-Key = "abc" } }) }
  }

  expect_failures = [var.sources]
}

run "header_that_poll_sets" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { If-None-Match = "abc" } }) }
  }

  expect_failures = [var.sources]
}

run "secret_in_a_header_that_poll_sets" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = merge(var.secret, { header = "Host" }) }) }
  }

  expect_failures = [var.sources]
}

run "header_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { X-Tenant = "1", x-tenant = "2" } }) }
  }

  expect_failures = [var.sources]
}

run "secret_in_a_header_that_headers_sets" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      headers = { X-Token = "1" }, secret = merge(var.secret, { header = "x-token" })
    }) }
  }

  expect_failures = [var.sources]
}

run "secret_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      secret = merge(var.secret, { arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:erp-AbCdEf" })
    }) }
  }

  expect_failures = [var.sources]
}

run "secret_by_wildcard" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      secret = merge(var.secret, { arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:*" })
    }) }
  }

  expect_failures = [var.sources]
}

run "secret_in_a_bucket" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = merge(var.secret, { arn = "arn:aws:s3:::secrets" }) }) }
  }

  expect_failures = [var.sources]
}

run "secret_key_by_alias" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      secret = merge(var.secret, { kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/erp" })
    }) }
  }

  expect_failures = [var.sources]
}

run "secret_format_without_the_secret" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = merge(var.secret, { format = "Bearer" }) }) }
  }

  expect_failures = [var.sources]
}

run "secret_format_with_the_secret_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = merge(var.secret, { format = "{secret}{secret}" }) }) }
  }

  expect_failures = [var.sources]
}

run "secret_in_a_field_without_a_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = merge(var.secret, { field = "" }) }) }
  }

  expect_failures = [var.sources]
}

run "secret_over_plain_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "http://erp.example.com/{cursor}", secret = var.secret }) }
  }

  expect_failures = [var.sources]
}

run "secret_over_plain_http_to_a_host_whose_name_begins_like_localhost" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "http://localhost.evil.com/{cursor}", secret = var.secret }) }
  }

  expect_failures = [var.sources]
}

run "poll_with_less_concurrency_than_sources" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources   = { erp = var.feed }
    functions = { poll = { reserved_concurrency = 1 } }
  }

  expect_failures = [var.sources]
}

run "stream_without_a_shard" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    change_stream = { shards = 0 }
  }

  expect_failures = [var.change_stream]
}

run "stream_that_keeps_nothing" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    change_stream = { retention_hours = 23 }
  }

  expect_failures = [var.change_stream]
}

run "more_batches_of_a_shard_than_lambda_has" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    change_stream = { parallelization_factor = 11 }
  }

  expect_failures = [var.change_stream]
}

run "batch_of_nothing" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    change_stream = { batch_size = 0 }
  }

  expect_failures = [var.change_stream]
}

run "stream_that_starves_the_queue" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources       = { erp = var.feed }
    change_stream = { shards = 2, parallelization_factor = 3 }
    write_log     = { apply_concurrency = 20 }
    functions     = { apply = { reserved_concurrency = 25 } }
  }

  expect_failures = [var.change_stream]
}

run "on_demand_stream_that_starves_the_queue" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources       = { erp = var.feed }
    change_stream = { on_demand = true, shards = 1, parallelization_factor = 2 }
    functions     = { apply = { reserved_concurrency = 17 } }
  }

  expect_failures = [var.change_stream]
}

run "vpc_without_a_subnet" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    poll = { vpc = { subnet_ids = [], security_group_ids = ["sg-0123456789abcdef0"] } }
  }

  expect_failures = [var.poll]
}

run "vpc_without_a_security_group" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    poll = { vpc = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = [] } }
  }

  expect_failures = [var.poll]
}

run "vpc_with_a_subnet_by_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    poll = { vpc = { subnet_ids = ["private"], security_group_ids = ["sg-0123456789abcdef0"] } }
  }

  expect_failures = [var.poll]
}

run "vpc_with_a_security_group_by_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    poll = { vpc = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["default"] } }
  }

  expect_failures = [var.poll]
}

run "poll_layer_that_was_not_built" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources        = { erp = var.feed }
    poll_layer_zip = "nowhere/layer.zip"
  }

  expect_failures = [var.poll_layer_zip]
}

run "without_sources" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources        = null
    change_stream  = null
    poll           = null
    poll_layer_zip = "nowhere/layer.zip"

    # Without a source there is no change stream. So apply_concurrency of the apply queue may be as high as the reserved
    # concurrency of `apply`.
    write_log = { apply_concurrency = 20 }
    functions = { apply = { reserved_concurrency = 20 }, poll = { reserved_concurrency = 1 } }
  }

  assert {
    condition = (
      length(var.sources) == 0 && var.change_stream.shards == 1 && !var.change_stream.on_demand && var.poll.vpc == null
    )
    error_message = "null gives no sources and the defaults of the other variables."
  }
}

run "what_the_rules_allow" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = {
      products  = { read = "public" }
      prices    = { read = "authenticated" }
      contracts = { read = "owner" }
      stock     = { read = "public" }
      rates     = { read = "authenticated" }
      plants    = { read = "public" }
      bins      = { read = "public" }
    }
    sources = {
      a234567890123456789012345678901234567890 = merge(var.feed, {
        schedule         = "rate(1 day)"
        staleness_budget = 86401
        headers          = { X-Tenant = "1", Accept = "application/json; charset=utf-8" }
        secret = {
          arn         = "arn:aws-us-gov:secretsmanager:eu-central-1:111122223333:secret:erp/key_a+=.@-AbCdEf"
          header      = "Authorization"
          format      = "Bearer {secret}"
          field       = "token"
          kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
        }
        deleted             = "removed"
        cursor              = { format = "unix_ms", initial = "0" }
        paging              = { style = "token", next = "next", parameter = "token", size = 1 }
        lag_seconds         = 604800
        timeout_seconds     = 0.1
        attempts            = 10
        max_pages           = 100000
        max_seconds         = 114.9
        requests_per_second = 0.01
        max_bytes           = 67108864
        breaker             = { failures = 1000, cooldown_seconds = 86400 }
        sweep = {
          schedule            = "cron(0 3 ? * MON-FRI *)"
          url                 = "https://ERP.example.com/all"
          max_deletes_percent = 0
        }
      })
      contracts = merge(var.feed, {
        collection = "contracts"
        owner      = "customer"
        url        = "https://erp.example.com:8443/contracts/{cursor}?until={cursor}"
        paging     = { style = "page", parameter = "page", first = 0 }
      })
      prices = merge(var.called, {
        url    = "https://erp.example.com?since={cursor}"
        cursor = { format = "unix_s" }
        paging = { style = "token", parameter = "token" }
        secret = { arn = "arn:aws:ssm:eu-central-1:111122223333:parameter/erp/key", header = "X-Api-Key" }
      })
      rates = merge(var.payload, {
        collection       = "rates"
        document         = "today.v1"
        schedule         = "rate(12 hours)"
        staleness_budget = 43201
      })
      stock = merge(var.feed, {
        collection = "stock"
        version    = null
        url        = "http://localhost:8080/stock"
        secret     = var.secret
        paging     = { style = "offset", parameter = "offset" }
      })
      plants = merge(var.feed, {
        collection = "plants"
        url        = "http://10.0.0.1:65535/plants?since={cursor}"
        paging     = { style = "link" }
      })
      bins = merge(var.feed, { collection = "bins", url = "http://[fd00::1]:8080/{cursor}" })
    }
    change_stream = { on_demand = true, retention_hours = 8760, parallelization_factor = 10, batch_size = 10000 }
    write_log     = { apply_concurrency = 20 }
    functions = {
      apply = { reserved_concurrency = 60 }
      poll  = { memory_mb = 4708, timeout_seconds = 120, reserved_concurrency = 8 }
    }
    poll = { vpc = {
      subnet_ids         = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
      security_group_ids = ["sg-0123456789abcdef0"]
    } }
  }

  assert {
    condition     = length(var.sources) == 7 && var.sources.rates.document == "today.v1"
    error_message = "The values at the edge of each rule are allowed."
  }

  assert {
    condition     = [for field in ["lag", "timeout"] : var.sources.plants["${field}_seconds"]] == [60, 10]
    error_message = "A source needs no lag and no timeout."
  }

  assert {
    condition     = [for field in ["pages", "seconds"] : var.sources.plants["max_${field}"]] == [100, 45]
    error_message = "A source needs no limits."
  }

  assert {
    condition     = values(var.sources.plants.breaker) == [30, 5]
    error_message = "A source needs no breaker: the default is 5 failures and 30 seconds."
  }
}

run "secret_over_plain_http_in_a_vpc" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "http://10.0.0.1/{cursor}", secret = var.secret }) }
    poll    = { vpc = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] } }
  }

  assert {
    condition     = startswith(var.sources.erp.url, "http://")
    error_message = "Within a VPC a back office may speak plain HTTP."
  }
}
