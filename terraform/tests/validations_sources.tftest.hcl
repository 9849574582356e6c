# Tests that every rule for the variables sources, change_stream and poll refuses what it should. Each run breaks
# exactly one rule. The output source_rules fails for the rules in rules_sources.tf.

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
  groups = ["editors"]

  feed = {
    mode             = "changes"
    collection       = "products"
    schedule         = "rate(1 minute)"
    staleness_budget = 130
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
    expect           = "prices != null"
  }

  # A source of which each pass lists everything.
  listing = {
    mode             = "changes"
    collection       = "products"
    schedule         = "rate(1 minute)"
    staleness_budget = 130
    url              = "https://erp.example.com/products"
    records          = "rows"
    id               = "code"
    version          = { expression = "changed", format = "rfc3339" }
    translation      = "@"
  }

  # What some runs below add to the source `feed`.
  windowed = "https://erp.example.com/products?from={cursor}&to={now}"
  deletes = {
    url     = "https://erp.example.com/deleted?since={cursor}"
    records = "rows"
    id      = "code"
    version = { expression = "deleted", format = "unix_s" }
  }
  oauth2 = {
    token_url = "https://login.example.com/token"
    client_id = "readplane"
    secret    = { arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-client-AbCdEf" }
  }
  certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

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

run "source_of_a_retired_collection" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", retired = true }, prices = { read = "public" } }
    sources     = { products = var.feed }
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

  expect_failures = [output.source_rules]
}

run "version_without_an_expression" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { version = { expression = null, format = "unix_s" } }) }
  }

  expect_failures = [output.source_rules]
}

run "empty_paging_expression" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "link", next = " " } }) }
  }

  expect_failures = [output.source_rules]
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

  expect_failures = [output.source_rules]
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

run "url_with_a_user" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://user@erp.example.com/{cursor}" }) }
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

  expect_failures = [output.source_rules]
}

run "cursor_without_versions" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { version = null }) }
  }

  expect_failures = [output.source_rules]
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

  expect_failures = [output.source_rules]
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

  expect_failures = [output.source_rules]
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

run "rate_of_a_fraction" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "rate(1.5 minutes)", staleness_budget = 900 }) }
  }

  expect_failures = [var.sources]
}

run "cron_without_a_question_mark" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 * * * *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_with_two_days" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 1 * MON *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_with_two_question_marks" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 ? * ? *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_in_minute_60" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(60 3 * * ? *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_in_hour_24" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 24 * * ? *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_on_day_32" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 32 * ? *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_in_month_13" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 1 13 ? *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_in_a_month_without_a_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 1 JUNE ? *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_on_weekday_0" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 ? * 0 *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_on_a_sixth_weekday_of_the_month" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 ? * 3#6 *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_on_two_numbered_weekdays" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 ? * 3#1,6#3 *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_in_1969" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 * * ? 1969)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_with_a_step_of_nothing" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0/0 3 * * ? *)" }) }
  }

  expect_failures = [var.sources]
}

run "cron_with_a_question_mark_for_the_hour" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 ? * * ? *)" }) }
  }

  expect_failures = [var.sources]
}

run "sweep_on_day_32" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { sweep = { schedule = "cron(0 3 32 * ? *)" } }) }
  }

  expect_failures = [var.sources]
}

run "sweep_without_a_question_mark" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { sweep = { schedule = "cron(0 3 * * * *)" } }) }
  }

  expect_failures = [var.sources]
}

run "fields_of_cron_expressions" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    patterns = ["schedule", "cron_values", "cron_days"]

    # The first seven are AWS's own examples.
    good = [
      "15 10 ? * 6L 2022-2023", "0 10 * * ? *", "15 12 * * ? *", "0 18 ? * MON-FRI *", "0 8 1 * ? *",
      "0/10 * ? * MON-FRI *", "0/5 8-17 ? * MON-FRI *", "*/5 * * * ? *", "0,30 0-23/2 * JAN,MAR-MAY ? 2026/2",
      "59 23 L * ? *", "00 03 31 12 ? 2199", "0 9 3W * ? *", "0 9 ? * L *", "0 9 ? * 3#2 *", "0 9 ? * SUN,7 1970",
    ]
    bad = [
      "0 3 * * * *", "0 3 ? * ? *", "0 3 1 * 1 *", "60 * * * ? *", "* 24 * * ? *", "* * 0 * ? *", "* * 32 * ? *",
      "* * * 0 ? *", "* * * 13 ? *", "* * * jan ? *", "* * ? * 8 *", "* * ? * MONDAY *", "* * * * ? 1969",
      "* * * * ? 2200", "*/60 * * * ? *", "*/0 * * * ? *", "5-60 * * * ? *", "1,,2 * * * ? *", "*,5 * * * ? *",
      "-5 * * * ? *", "? * * * ? *", "L * * * ? *", "* * 0W * ? *", "* * W * ? *", "* * ? * 3#0 *", "* * ? * 3#1,6#3 *",
      "* * ? * 8L *", "0.5 * * * ? *", "0  3 * * ? *", "0 3 * * ?", "0 3 * * ? * *", "0 3 * * ? *;",
    ]
  }

  assert {
    condition = alltrue([
      for fields in var.good :
      length([for name in var.patterns : name if can(regex(local.patterns[name], "cron(${fields})"))]) == 3
    ])
    error_message = "EventBridge Scheduler accepts all of these."
  }

  assert {
    condition = alltrue([
      for fields in var.bad :
      length([for name in var.patterns : name if can(regex(local.patterns[name], "cron(${fields})"))]) < 3
    ])
    error_message = "EventBridge Scheduler refuses each of these."
  }
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

run "budget_a_second_too_short_for_a_slow_request" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { timeout_seconds = 20, staleness_budget = 139 }) }
  }

  expect_failures = [var.sources]
}

run "budget_a_second_too_short_for_two_hours" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "rate(2 hours)", staleness_budget = 7269 }) }
  }

  expect_failures = [var.sources]
}

run "budget_a_second_too_short_for_a_day" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "rate(1 day)", staleness_budget = 86469 }) }
  }

  expect_failures = [var.sources]
}

run "budget_shorter_than_any_cron_allows" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { schedule = "cron(0 3 * * ? *)", staleness_budget = 129 }) }
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
    sources = { erp = merge(var.feed, { staleness_budget = 190.5 }) }
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

  expect_failures = [output.source_rules]
}

run "page_paging_without_a_parameter" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page" } }) }
  }

  expect_failures = [output.source_rules]
}

run "link_paging_with_a_parameter" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "link", parameter = "page" } }) }
  }

  expect_failures = [output.source_rules]
}

run "parameter_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page", parameter = "the page" } }) }
  }

  expect_failures = [output.source_rules]
}

run "token_paging_without_next" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "token", parameter = "token" } }) }
  }

  expect_failures = [output.source_rules]
}

run "offset_paging_with_next" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "offset", parameter = "offset", next = "next" } }) }
  }

  expect_failures = [output.source_rules]
}

run "page_before_the_first" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page", parameter = "page", first = -1 } }) }
  }

  expect_failures = [output.source_rules]
}

run "pages_of_nothing" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page", parameter = "page", size = 0 } }) }
  }

  expect_failures = [output.source_rules]
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
    collections = merge(var.collections, { products = { read = "public", cache_ttl = 131 } })
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
      headers = { X-Tenant = join("", ["-", var.characters_2048]) }
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

run "token_in_a_plain_header" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { "X-Auth-Token" = "7" } }) }
  }

  expect_failures = [var.sources]
}

run "key_of_a_subscription_in_a_plain_header" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { "Ocp-Apim-Subscription-Key" = "7" } }) }
  }

  expect_failures = [var.sources]
}

run "bearer_token_in_a_header_of_another_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { X-Forwarded-For = "Bearer abcdefgh" } }) }
  }

  expect_failures = [var.sources]
}

run "json_web_token_in_a_header" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      headers = { X-User = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2ln" }
    }) }
  }

  expect_failures = [var.sources]
}

run "password_in_a_header_with_a_url" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { Referer = "https://me:hush@erp.example.com/" } }) }
  }

  expect_failures = [var.sources]
}

run "random_value_in_a_header" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { X-Client = "9f86d081884c7d659a2feaa0c55ad015" } }) }
  }

  expect_failures = [var.sources]
}

run "api_key_in_the_query" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/a?since={cursor}&api_key=7" }) }
  }

  expect_failures = [output.source_rules]
}

run "token_in_the_query" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/a?Access-Token=7&since={cursor}" }) }
  }

  expect_failures = [output.source_rules]
}

run "key_in_the_query" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/a?key=7&since={cursor}" }) }
  }

  expect_failures = [output.source_rules]
}

run "signature_in_the_query" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/a?since={cursor}&sig=7" }) }
  }

  expect_failures = [output.source_rules]
}

run "password_in_the_query" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/a?since={cursor}&user=me&password=7" }) }
  }

  expect_failures = [output.source_rules]
}

run "long_code_in_the_query" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/a?since={cursor}&code=abcdefghijklmnopqrst" }) }
  }

  expect_failures = [output.source_rules]
}

run "key_of_aws_in_the_query" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "https://erp.example.com/a?since={cursor}&id=AKIAIOSFODNN7EXAMPLE" }) }
  }

  expect_failures = [output.source_rules]
}

run "api_key_in_the_query_of_a_sweep" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      sweep = { schedule = "rate(1 day)", url = "https://erp.example.com/?api_key=7" }
    }) }
  }

  expect_failures = [output.source_rules]
}

run "secret_without_a_place" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = { arn = var.secret.arn } }) }
  }

  expect_failures = [var.sources]
}

run "secret_in_two_places" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = merge(var.secret, { query = "api_key" }) }) }
  }

  expect_failures = [var.sources]
}

run "secret_in_a_parameter_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = { arn = var.secret.arn, query = "api key" } }) }
  }

  expect_failures = [var.sources]
}

run "secret_in_the_parameter_of_the_page" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      paging = { style = "page", parameter = "page" }
      secret = { arn = var.secret.arn, query = "page" }
    }) }
  }

  expect_failures = [var.sources]
}

run "names_of_credentials" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    credentials = [
      "Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "apikey", "api_key", "api.key", "hapikey",
      "X-Auth",
      "X-Auth-Token", "access_token", "token", "key", "sig", "signature", "X-Amz-Signature", "password", "PASSWD",
      "pwd",
      "secret", "client_secret", "clientSecret", "Private-Token", "X-Functions-Key", "Ocp-Apim-Subscription-Key",
      "subscription-key", "session_id", "PHPSESSIONID", "JWT", "credential", "x-access-key",
    ]
    others = [
      "X-Tenant", "X-Tenant-Id", "Accept", "Accept-Language", "X-Request-Id", "client_id", "page", "page_size", "sort",
      "sort_key", "keys", "keyword", "author", "authors", "code", "country_code", "significance", "monkey",
      "tokens_per_page",
      "Content-Type", "X-Api-Version", "api_version", "secretary", "fields", "since", "passengers", "design",
    ]
    values = [
      "7", "application/json", "application/vnd.example.v1+json; charset=utf-8", "de-DE,de;q=0.9", "tenant-7",
      "readplane-production-eu-central-1-poller", "123e4567-e89b-42d3-a456-426614174000", "Mozilla/5.0 (X11)",
      "/api/v1/customers/products/catalogue/all", "https://erp.example.com/catalogue", "Basic plan", "Token",
    ]
  }

  assert {
    condition     = alltrue([for name in var.credentials : can(regex(local.patterns.credential_header, name))])
    error_message = "A header with one of these names carries a credential."
  }

  assert {
    condition = alltrue([
      for name in var.credentials : can(regex(local.patterns.credential_url, "https://erp.example.com/a?x=1&${name}=7"))
    ])
    error_message = "A query parameter with one of these names carries a credential."
  }

  assert {
    condition     = !anytrue([for name in var.others : can(regex(local.patterns.credential_header, name))])
    error_message = "A header with one of these names carries no credential."
  }

  assert {
    condition = !anytrue([
      for name in var.others : can(regex(local.patterns.credential_url, "https://erp.example.com/a?${name}=token"))
    ])
    error_message = "A query parameter with one of these names carries no credential."
  }

  assert {
    condition = alltrue([
      for value in var.values :
      !can(regex(local.credential_value, value))
      && !can(regex(local.patterns.random, value))
    ])
    error_message = "None of these values looks like a credential."
  }
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
      headers = { X-Tenant = "1" }, secret = merge(var.secret, { header = "x-tenant" })
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

  expect_failures = [output.source_rules]
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

  expect_failures = [output.source_rules]
}

run "secret_in_a_bucket" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = merge(var.secret, { arn = "arn:aws:s3:::secrets" }) }) }
  }

  expect_failures = [output.source_rules]
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

  expect_failures = [output.source_rules]
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

run "stream_with_fewer_executions_than_its_shards_need" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources       = { erp = var.feed }
    change_stream = { shards = 2, parallelization_factor = 3 }
    functions     = { apply_stream = { reserved_concurrency = 5 } }
  }

  expect_failures = [var.change_stream]
}

# Kinesis chooses the shards of an on-demand stream, and adds some as it grows. So no number of executions is too low.
run "stream_on_demand_with_few_executions" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources       = { erp = var.feed }
    change_stream = { on_demand = true, parallelization_factor = 10 }
    functions     = { apply_stream = { reserved_concurrency = 1 } }
  }

  assert {
    condition     = output.functions.apply_stream.reserved_concurrency == 1
    error_message = "The shards of an on-demand stream count as no particular number."
  }
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

run "polling_in_a_replica_without_a_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    poll = { in_replica = true }
  }

  expect_failures = [var.poll]
}

run "replica_vpc_without_polling_there" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    poll = {
      vpc         = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
      replica_vpc = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
    }
  }

  expect_failures = [var.poll]
}

run "private_back_offices_without_a_replica_vpc" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    poll = {
      in_replica = true
      vpc        = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
    }
  }

  expect_failures = [var.poll]
}

run "replica_vpc_without_a_subnet" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    poll = {
      in_replica  = true
      vpc         = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
      replica_vpc = { subnet_ids = [], security_group_ids = ["sg-0123456789abcdef0"] }
    }
  }

  expect_failures = [var.poll]
}

run "replica_vpc_without_a_security_group" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    poll = {
      in_replica  = true
      vpc         = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
      replica_vpc = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = [] }
    }
  }

  expect_failures = [var.poll]
}

run "replica_vpc_with_a_subnet_by_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    poll = {
      in_replica  = true
      vpc         = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
      replica_vpc = { subnet_ids = ["private"], security_group_ids = ["sg-0123456789abcdef0"] }
    }
  }

  expect_failures = [var.poll]
}

run "replica_vpc_with_a_security_group_by_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    poll = {
      in_replica  = true
      vpc         = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
      replica_vpc = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["default"] }
    }
  }

  expect_failures = [var.poll]
}

run "replica_key_of_a_secret_without_polling_there" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    sources = { erp = merge(var.feed, { secret = merge(var.secret, {
      replica_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/theirs"
    }) }) }
  }

  expect_failures = [output.source_rules]
}

run "replica_key_of_a_secret_in_the_primary_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    poll    = { in_replica = true }
    sources = { erp = merge(var.feed, { secret = merge(var.secret, {
      replica_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/theirs"
    }) }) }
  }

  expect_failures = [output.source_rules]
}

run "polling_in_a_replica_that_is_not_enabled" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1", enabled = false }
    poll    = { in_replica = true }
    sources = { erp = merge(var.feed, { secret = merge(var.secret, {
      replica_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/theirs"
    }) }) }
  }

  assert {
    condition     = output.regions.replica == null
    error_message = "The settings for the replica may stay while it is removed."
  }
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

    # The apply queue may use all of `apply`. Without a source there is no change stream, so no rule about it applies.
    write_log = { apply_concurrency = 20 }
    functions = {
      apply        = { reserved_concurrency = 20 }
      apply_stream = { reserved_concurrency = 1 }
      poll         = { reserved_concurrency = 1 }
    }
  }

  assert {
    condition = (
      length(var.sources) == 0 && var.change_stream.shards == 1 && !var.change_stream.on_demand && var.poll.vpc == null
    )
    error_message = "null gives no sources and the defaults of the other variables."
  }
}

run "snapshot_that_any_response_replaces" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, { expect = null }) }
  }

  expect_failures = [var.sources]
}

run "snapshot_with_deletes" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.payload, {
      deletes = merge(var.deletes, { url = "https://erp.example.com/deleted" })
    }) }
  }

  expect_failures = [var.sources]
}

run "function_and_a_header_with_the_next_page" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.called, { paging = { style = "link", header = "X-Next" } }) }
  }

  expect_failures = [var.sources]
}

run "zone_without_a_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { version = { expression = "changed", format = "rfc3339", zone = "" } }) }
  }

  expect_failures = [output.source_rules]
}

run "zone_of_unix_times" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      version = { expression = "changed", format = "unix_s", zone = "Europe/Berlin" }
    }) }
  }

  expect_failures = [output.source_rules]
}

run "zone_of_a_pattern_with_an_offset" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      version = { expression = "changed", format = "%Y-%m-%d %H:%M %z", zone = "UTC" }
    }) }
  }

  expect_failures = [output.source_rules]
}

run "unknown_id_encoding" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { id_encoding = "base64" }) }
  }

  expect_failures = [var.sources]
}

run "unknown_order" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { order = "id" }) }
  }

  expect_failures = [var.sources]
}

run "refused_records_beyond_all" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { max_refused_percent = 101 }) }
  }

  expect_failures = [var.sources]
}

run "unknown_payload" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { payload = { format = "yaml" } }) }
  }

  expect_failures = [var.sources]
}

run "character_set_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { payload = { charset = "windows 1252" } }) }
  }

  expect_failures = [var.sources]
}

run "delimiter_of_json" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { payload = { delimiter = ";" } }) }
  }

  expect_failures = [var.sources]
}

run "delimiter_of_two_characters" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { payload = { format = "csv", delimiter = "||" } }) }
  }

  expect_failures = [var.sources]
}

run "unknown_method" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { request = { method = "PUT" } }) }
  }

  expect_failures = [output.source_rules]
}

run "body_of_a_get" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { request = { body = "{}" } }) }
  }

  expect_failures = [output.source_rules]
}

run "body_that_is_not_json" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { request = { method = "POST", body = "since={cursor}" } }) }
  }

  expect_failures = [output.source_rules]
}

run "body_of_more_than_65536_characters" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      request = { method = "POST", body = jsonencode([for n in range(33) : var.characters_2048]) }
    }) }
  }

  expect_failures = [output.source_rules]
}

run "password_in_a_body" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { request = { method = "POST", body = "{\"db_password\": \"7\"}" } }) }
  }

  expect_failures = [output.source_rules]
}

run "bearer_token_in_a_body" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      request = { method = "POST", body = "{\"use\": \"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0\"}" }
    }) }
  }

  expect_failures = [output.source_rules]
}

run "cursor_in_a_body_without_versions" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.listing, { version = null, request = { method = "POST", body = "[\"{cursor}\"]" } }) }
  }

  expect_failures = [output.source_rules]
}

run "end_without_a_cursor" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.listing, { url = "https://erp.example.com/products?until={now}" }) }
  }

  expect_failures = [output.source_rules]
}

run "cursor_in_an_unknown_zone" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { cursor = { format = "date", zone = "Europe Berlin" } }) }
  }

  expect_failures = [var.sources]
}

run "cursor_of_unix_time_in_a_zone" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { cursor = { format = "unix_s", zone = "Europe/Berlin" } }) }
  }

  expect_failures = [output.source_rules]
}

run "window_without_an_end" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { cursor = { initial = "2020-01-01T00:00:00Z", window_seconds = 86400 } }) }
  }

  expect_failures = [var.sources]
}

run "window_without_a_beginning" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = var.windowed, cursor = { window_seconds = 86400 } }) }
  }

  expect_failures = [var.sources]
}

run "window_that_begins_at_no_time" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      url    = var.windowed
      cursor = { initial = "2020-01-01", window_seconds = 86400 }
    }) }
  }

  expect_failures = [var.sources]
}

run "window_as_long_as_the_lag" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      url    = var.windowed
      cursor = { initial = "2020-01-01T00:00:00Z", window_seconds = 60 }
    }) }
  }

  expect_failures = [var.sources]
}

run "window_of_two_years" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      url    = var.windowed
      cursor = { initial = "2020-01-01T00:00:00Z", window_seconds = 63072000 }
    }) }
  }

  expect_failures = [var.sources]
}

run "order_without_a_cursor" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.listing, { order = "modified" }) }
  }

  expect_failures = [output.source_rules]
}

run "parameter_and_placeholder_of_the_page" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      url    = "https://erp.example.com/{cursor}?page={page}"
      paging = { style = "page", parameter = "page" }
    }) }
  }

  expect_failures = [output.source_rules]
}

run "sweep_without_the_page" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      url    = "https://erp.example.com/{cursor}?page={page}"
      paging = { style = "page" }
      sweep  = { schedule = "rate(1 day)", url = "https://erp.example.com/all" }
    }) }
  }

  expect_failures = [output.source_rules]
}

run "next_page_in_two_places" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "link", next = "next", header = "X-Next" } }) }
  }

  expect_failures = [output.source_rules]
}

run "next_page_in_the_header_link" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "link", header = "Link" } }) }
  }

  expect_failures = [output.source_rules]
}

run "relation_of_a_link_in_the_body" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "link", next = "next", rel = "next" } }) }
  }

  expect_failures = [output.source_rules]
}

run "two_relations" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "link", rel = "next page" } }) }
  }

  expect_failures = [output.source_rules]
}

run "first_link" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "link", first = 1 } }) }
  }

  expect_failures = [output.source_rules]
}

run "end_of_one_page" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "none", end_status = [404] } }) }
  }

  expect_failures = [output.source_rules]
}

run "total_of_pages" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page", parameter = "page", total = "total" } }) }
  }

  expect_failures = [output.source_rules]
}

run "list_that_ends_with_an_outage" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page", parameter = "page", end_status = [404, 503] } }) }
  }

  expect_failures = [output.source_rules]
}

run "list_that_ends_with_a_busy_back_office" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page", parameter = "page", end_status = [429] } }) }
  }

  expect_failures = [output.source_rules]
}

run "end_without_an_empty_page" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "page", parameter = "page", max_empty_pages = 0 } }) }
  }

  expect_failures = [output.source_rules]
}

run "delta_of_tokens" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.listing, {
      paging = { style = "token", parameter = "token", next = "next", delta = "delta" }
    }) }
  }

  expect_failures = [var.sources]
}

run "delta_and_cursor" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { paging = { style = "link", next = "next", delta = "delta" } }) }
  }

  expect_failures = [var.sources]
}

run "delta_of_deletes" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      deletes = merge(var.deletes, { paging = { style = "link", delta = "delta" } })
    }) }
  }

  expect_failures = [var.sources]
}

run "schedule_of_a_sweep_that_every_pass_is" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.listing, { sweep = { schedule = "rate(1 day)" } }) }
  }

  expect_failures = [output.source_rules]
}

run "sweep_without_a_schedule" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { sweep = { max_deletes_percent = 20 } }) }
  }

  expect_failures = [output.source_rules]
}

run "url_of_a_sweep_that_every_pass_is" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.listing, { sweep = { url = "https://erp.example.com/all" } }) }
  }

  expect_failures = [var.sources]
}

run "request_of_a_sweep_without_a_url" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { sweep = { schedule = "rate(1 day)", request = { method = "POST" } } }) }
  }

  expect_failures = [var.sources]
}

run "deletes_without_versions" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.listing, {
      version = null
      deletes = merge(var.deletes, { url = "https://erp.example.com/deleted" })
    }) }
  }

  expect_failures = [var.sources]
}

run "deletes_of_owners" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { collection = "contracts", owner = "customer", deletes = var.deletes }) }
  }

  expect_failures = [var.sources]
}

run "deletes_without_records" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { deletes = merge(var.deletes, { records = " " }) }) }
  }

  expect_failures = [var.sources]
}

run "deletes_url_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { deletes = merge(var.deletes, { url = "https://erp.example.com/a b" }) }) }
  }

  expect_failures = [var.sources]
}

run "deletes_at_another_host" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { deletes = merge(var.deletes, { url = "https://other.example.com/deleted" }) }) }
  }

  expect_failures = [var.sources]
}

run "function_and_deletes_without_a_format" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.called, { deletes = var.deletes }) }
  }

  expect_failures = [output.source_rules]
}

run "cursor_in_a_header" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { headers = { X-Since = "{cursor}" } }) }
  }

  expect_failures = [var.sources]
}

run "user_name_with_a_colon" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { secret = { arn = var.secret.arn, basic_username = "user:name" } }) }
  }

  expect_failures = [var.sources]
}

run "user_name_and_a_format" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      secret = { arn = var.secret.arn, basic_username = "user", format = "Basic {secret}" }
    }) }
  }

  expect_failures = [var.sources]
}

run "secret_in_the_parameter_of_the_page_of_deletes" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      secret  = { arn = var.secret.arn, query = "page" }
      deletes = merge(var.deletes, { paging = { style = "page", parameter = "page" } })
    }) }
  }

  expect_failures = [var.sources]
}

run "client_secret_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      oauth2 = merge(var.oauth2, {
        secret = { arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:erp-AbCdEf" }
      })
    }) }
  }

  expect_failures = [output.source_rules]
}

run "access_token_over_plain_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "http://erp.example.com/{cursor}", oauth2 = var.oauth2 }) }
  }

  expect_failures = [var.sources]
}

run "token_url_with_a_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      oauth2 = merge(var.oauth2, { token_url = "https://login.example.com/a token" })
    }) }
  }

  expect_failures = [var.sources]
}

run "token_url_over_plain_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      oauth2 = merge(var.oauth2, { token_url = "http://login.example.com/token" })
    }) }
  }

  expect_failures = [var.sources]
}

run "token_url_with_a_placeholder" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      oauth2 = merge(var.oauth2, { token_url = "https://login.example.com/{tenant}/token" })
    }) }
  }

  expect_failures = [var.sources]
}

run "unknown_grant" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { oauth2 = merge(var.oauth2, { grant = "password" }) }) }
  }

  expect_failures = [var.sources]
}

run "unknown_client_authentication" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { oauth2 = merge(var.oauth2, { client_authentication = "jwt" }) }) }
  }

  expect_failures = [var.sources]
}

run "client_without_an_id" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { oauth2 = merge(var.oauth2, { client_id = " " }) }) }
  }

  expect_failures = [var.sources]
}

run "scope_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { oauth2 = merge(var.oauth2, { parameters = { scope = "read" } }) }) }
  }

  expect_failures = [var.sources]
}

run "credential_in_a_token_request" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { oauth2 = merge(var.oauth2, { parameters = { api_key = "7" } }) }) }
  }

  expect_failures = [output.source_rules]
}

run "client_secret_in_a_field_without_a_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      oauth2 = merge(var.oauth2, { secret = { arn = var.oauth2.secret.arn, field = "" } })
    }) }
  }

  expect_failures = [var.sources]
}

run "field_of_a_refresh_token" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      oauth2 = merge(var.oauth2, { grant = "refresh_token", secret = { arn = var.oauth2.secret.arn, field = "token" } })
    }) }
  }

  expect_failures = [var.sources]
}

run "secret_and_access_token_in_one_header" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { oauth2 = var.oauth2, secret = var.secret }) }
  }

  expect_failures = [var.sources]
}

run "access_token_and_basic_authentication" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, {
      oauth2 = var.oauth2, secret = { arn = var.secret.arn, basic_username = "me" }
    }) }
  }

  expect_failures = [var.sources]
}

run "tls_without_certificates" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { tls = {} }) }
  }

  expect_failures = [var.sources]
}

run "certificates_of_plain_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { url = "http://erp.example.com/{cursor}", tls = { ca_pem = var.certificate } }) }
  }

  expect_failures = [var.sources]
}

run "authority_that_is_no_certificate" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { tls = { ca_pem = "erp.example.com" } }) }
  }

  expect_failures = [var.sources]
}

run "private_key_in_the_plan" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sources = { erp = merge(var.feed, { tls = { ca_pem = "${var.certificate}-----BEGIN PRIVATE KEY-----\n" } }) }
  }

  expect_failures = [var.sources]
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
        staleness_budget = 86461
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
        paging              = { style = "token", next = "next", parameter = "token", max_empty_pages = 1000 }
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
        staleness_budget = 43270
      })
      stock = merge(var.feed, {
        collection = "stock"
        version    = null
        url        = "http://localhost:8080/stock"
        secret     = var.secret
        paging     = { style = "offset", parameter = "offset" }
        headers    = { X-Tenant = "123e4567-e89b-42d3-a456-426614174000" }
      })
      plants = merge(var.feed, {
        collection = "plants"
        secret     = { arn = var.secret.arn, query = "api_key", format = "v1-{secret}" }
        url        = "http://10.0.0.1:65535/plants?since={cursor}"
        paging     = { style = "link" }
      })
      bins = merge(var.feed, { collection = "bins", url = "http://[fd00::1]:8080/{cursor}" })
    }
    change_stream = { on_demand = true, retention_hours = 8760, parallelization_factor = 10, batch_size = 10000 }
    write_log     = { apply_concurrency = 20 }
    functions = {
      apply = { reserved_concurrency = 20 }
      # An on-demand stream grows by itself, so no number of executions is wrong.
      apply_stream = { reserved_concurrency = 1 }
      poll         = { memory_mb = 4708, timeout_seconds = 120, reserved_concurrency = 8 }
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

run "what_the_rules_allow_of_requests_and_lists" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = merge({ for n in range(8) : "c${n}" => { read = "public" } }, {
      c8 = { read = "public", schema = "{\"type\": \"object\"}" }
    })
    sources = {
      graphql = merge(var.listing, {
        collection = "c0"
        url        = "https://shop.example.com/graphql"
        request = {
          method = "POST"
          body   = <<-JSON
            {
              "query": "query($since: String, $after: String) { orders(after: $after) { nodes { id } } }",
              "variables": { "since": "{cursor}", "until": "{now}", "page_token": "{page}", "sort": { "key": "time" } }
            }
          JSON
        }
        expect = "errors == null"
        cursor = { format = "%Y-%m-%d %H:%M", zone = "Europe/Berlin", initial = "2020-01-01T00:00:00+01:00"
        window_seconds = 31536000 }
        paging              = { style = "token", next = "end", more = "more", max_empty_pages = 1 }
        order               = "modified"
        max_refused_percent = 0
        sweep               = { schedule = "rate(1 day)" }
      })
      odata = merge(var.listing, {
        collection = "c1"
        version    = { expression = "changed", format = "dotnet" }
        paging     = { style = "link", next = "\"@odata.nextLink\"", delta = "\"@odata.deltaLink\"" }
        deletes = {
          url     = "https://erp.example.com/deleted?page={page}"
          request = { method = "POST", body = "{}" }
          records = "rows"
          id      = "code"
          version = { expression = "deleted", format = "date", zone = "UTC" }
          paging  = { style = "page", first = 0, size = 1000000, end_status = [204, 404] }
        }
        sweep = {
          schedule = "rate(1 day)", url = "https://erp.example.com/all", request = { method = "POST", body = "[]" }
        }
        oauth2 = merge(var.oauth2, {
          grant                 = "refresh_token"
          client_authentication = "body"
          scope                 = "read"
          parameters            = { audience = "https://erp.example.com" }
        })
        secret = { arn = var.secret.arn, header = "X-Api-Key" }
        tls    = { ca_pem = var.certificate }
      })
      rows = merge(var.listing, {
        collection  = "c2"
        records     = null
        payload     = { format = "csv", charset = "windows-1252", delimiter = ";" }
        id_encoding = "tilde"
        conditional = false
        sweep       = { max_deletes_percent = 100 }
        secret      = { arn = var.secret.arn, basic_username = "readplane" }
      })
      xml = merge(var.listing, {
        collection = "c3"
        payload    = { format = "xml" }
        paging     = { style = "token", header = "X-Next", parameter = "token" }
        tls        = { client_certificate = { arn = var.secret.arn, field = "pem" } }
      })
      scanned = merge(var.feed, {
        collection = "c4"
        paging     = { style = "offset", parameter = "offset", first = 1, size = 100, total = "total", more = "more" }
        order      = "modified"
        sweep      = { schedule = "rate(1 day)", url = "https://erp.example.com/all?since={cursor}" }
      })
      relation = merge(var.feed, { collection = "c5", paging = { style = "link", rel = "http://example.com/next" } })
      document = merge(var.payload, { collection = "c8", expect = null, request = { method = "POST" } })
    }
  }

  assert {
    condition     = var.sources.rows.request == null && var.sources.graphql.paging.end_status == null
    error_message = "A source needs no request and no statuses."
  }

  assert {
    condition     = var.sources.odata.oauth2.client_authentication == "body" && var.sources.xml.conditional
    error_message = "The values at the edge of each rule are allowed."
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
