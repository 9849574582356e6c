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
    tickets = {
      emails        = ["team@example.com"]
      alarm_actions = ["arn:aws:sns:eu-central-1:111122223333:team"]
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

run "tickets_to_a_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    tickets = { emails = ["Team <team@example.com>"] }
  }

  expect_failures = [var.tickets]
}

run "tickets_to_an_address_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    tickets = { emails = ["team@example.com", "Team@example.com"] }
  }

  expect_failures = [var.tickets]
}

run "tickets_to_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    tickets = { alarm_actions = ["arn:aws:sns:us-east-1:111122223333:team"] }
  }

  expect_failures = [var.tickets]
}

run "tickets_of_the_replica_to_the_primary_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    tickets = { replica_alarm_actions = ["arn:aws:sns:eu-central-1:111122223333:team"] }
  }

  expect_failures = [var.tickets]
}

run "tickets_without_alarms" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    alarms  = false
    tickets = { emails = ["team@example.com"] }
  }

  expect_failures = [var.tickets]
}

run "probe_with_a_host" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    probe = { path = "https://api.example.com/v1/documents/products/1" }
  }

  expect_failures = [var.probe]
}

run "probe_with_a_query" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    probe = { path = "/items/products?limit=1" }
  }

  expect_failures = [var.probe]
}

run "five_topics_besides_the_stacks_own" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    alarm_actions = [for name in range(5) : "arn:aws:sns:eu-central-1:111122223333:t${name}"]
  }

  expect_failures = [var.alarm_actions]
}

run "five_topics_of_the_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica               = { region = "eu-west-1" }
    replica_alarm_actions = [for name in range(5) : "arn:aws:sns:eu-west-1:111122223333:t${name}"]
  }

  expect_failures = [var.replica_alarm_actions]
}

run "five_topics_for_tickets" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    tickets = { alarm_actions = [for name in range(5) : "arn:aws:sns:eu-central-1:111122223333:t${name}"] }
  }

  expect_failures = [var.tickets]
}

run "five_topics_for_tickets_of_the_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    tickets = { replica_alarm_actions = [for name in range(5) : "arn:aws:sns:eu-west-1:111122223333:t${name}"] }
  }

  expect_failures = [var.tickets]
}
