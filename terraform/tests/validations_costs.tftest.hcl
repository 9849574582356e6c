# Tests that the rules about budget in variables_costs.tf refuse what they should. Each run breaks one rule, and its
# name says how.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  collections   = { products = { read = "public" } }
  notify        = { emails = ["operations@example.com"] }
}

run "budget_of_nothing" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    budget = { monthly_usd = 0 }
  }

  expect_failures = [var.budget]
}

run "budget_that_notifies_a_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    budget = { monthly_usd = 1, emails = ["Jo <jo@example.com>"] }
  }

  expect_failures = [var.budget]
}

run "budget_that_notifies_nobody" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = {}
    budget = { monthly_usd = 1 }
  }

  expect_failures = [var.budget]
}

run "budget_that_notifies_eleven" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    budget = { monthly_usd = 1, emails = [for i in range(11) : "jo${i}@example.com"] }
  }

  expect_failures = [var.budget]
}

run "budget_that_would_notify_eleven_of_the_alarms" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    notify = { emails = [for i in range(11) : "jo${i}@example.com"] }
    budget = { monthly_usd = 1 }
  }

  expect_failures = [var.budget]
}

run "budget_that_notifies_somebody_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    budget = { monthly_usd = 1, emails = ["jo@example.com", "Jo@example.com"] }
  }

  expect_failures = [var.budget]
}

run "budget_that_notifies_those_of_the_alarms" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    budget = { monthly_usd = 99.5 }
  }

  assert {
    condition     = output.budget_emails == tolist(["operations@example.com"]) && !output.budget.whole_account
    error_message = "Without addresses of its own, the budget notifies those of the alarms."
  }
}

run "no_budget" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    budget = null
  }

  assert {
    condition     = output.budget == null && length(output.budget_emails) == 0
    error_message = "A stack has no budget by itself."
  }
}
