# Tests that the rules about deploy in variables_deploy.tf refuse what they should. Each run breaks one rule, and its
# name says how.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  collections   = { products = { read = "public" } }
}

run "defaults" {
  command = plan

  module {
    source = "./modules/settings"
  }

  assert {
    condition     = var.deploy.canary == null
    error_message = "By default, a new version reaches clients with terraform apply."
  }
}

run "largest_and_smallest_canary" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    deploy = { canary = { percent = 99, minutes = 5 } }
  }

  assert {
    condition     = var.deploy.canary == { percent = 99, minutes = 5 }
    error_message = "These bounds are allowed."
  }
}

run "canary_of_too_few_calls" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    deploy = { canary = { percent = 5 } }
  }

  expect_failures = [var.deploy]
}

run "canary_of_all_calls" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    deploy = { canary = { percent = 100 } }
  }

  expect_failures = [var.deploy]
}

run "canary_of_a_fraction" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    deploy = { canary = { percent = 10.5 } }
  }

  expect_failures = [var.deploy]
}

run "canary_that_is_too_short" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    deploy = { canary = { minutes = 4 } }
  }

  expect_failures = [var.deploy]
}

run "canary_that_is_too_long" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    deploy = { canary = { minutes = 2881 } }
  }

  expect_failures = [var.deploy]
}

run "canary_of_half_a_minute" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    deploy = { canary = { minutes = 10.5 } }
  }

  expect_failures = [var.deploy]
}

run "canary_without_alarms" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    alarms = false
    deploy = { canary = {} }
  }

  expect_failures = [var.deploy]
}
