# Tests that every rule in variables_monitoring.tf refuses what it should. Each run breaks one rule, and its name says
# how.

variables {
  region        = "eu-central-1"
  cache_size    = "0.5"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  collections   = { products = { read = "public" } }
}

run "what_the_rules_allow" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = {
      emails        = ["operations@example.com", "o.n+alarms@sub.example.co.uk"]
      phone_numbers = ["+4915112345678", "+12025550123"]
    }
  }

  assert {
    condition     = length(var.notify.emails) == 2 && length(var.notify.phone_numbers) == 2
    error_message = "Addresses with a tag and of a subdomain, and numbers of any country, are allowed."
  }
}

run "address_without_domain" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = { emails = ["operations"] }
  }

  expect_failures = [var.notify]
}

run "address_with_a_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = { emails = ["Operations <operations@example.com>"] }
  }

  expect_failures = [var.notify]
}

run "address_without_top_level_domain" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = { emails = ["operations@localhost"] }
  }

  expect_failures = [var.notify]
}

run "number_without_plus" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = { phone_numbers = ["004915112345678"] }
  }

  expect_failures = [var.notify]
}

run "number_with_spaces" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = { phone_numbers = ["+49 151 12345678"] }
  }

  expect_failures = [var.notify]
}

run "number_without_a_country_code" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = { phone_numbers = ["+0151123456"] }
  }

  expect_failures = [var.notify]
}

run "number_that_is_too_long" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = { phone_numbers = ["+4915112345678901"] }
  }

  expect_failures = [var.notify]
}

run "address_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = { emails = ["operations@example.com", "Operations@example.com"] }
  }

  expect_failures = [var.notify]
}

run "number_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = { phone_numbers = ["+4915112345678", "+4915112345678"] }
  }

  expect_failures = [var.notify]
}

run "recipients_without_alarms" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    alarms = false
    notify = { emails = ["operations@example.com"] }
  }

  expect_failures = [var.notify]
}
