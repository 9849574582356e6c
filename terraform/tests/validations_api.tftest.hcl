# Tests that the rules about cors_headers in variables_api.tf refuse what they should. Each run breaks one rule, and its
# name says how.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  cors_origins  = ["https://app.example.com"]
  collections   = { products = { read = "public" } }
}

run "headers_that_scripts_may_send" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_headers = ["traceparent", "sentry-trace", "X_Request.Id", "authorization"]
  }

  assert {
    condition     = length(var.cors_headers) == 4
    error_message = "Names of headers are allowed, also those that scripts may send anyway."
  }
}

run "every_header_of_scripts" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_headers = ["*"]
  }

  expect_failures = [var.cors_headers]
}

run "header_of_scripts_with_a_quote" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_headers = ["x'y"]
  }

  expect_failures = [var.cors_headers]
}

run "header_of_scripts_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_headers = ["traceparent", "Traceparent"]
  }

  expect_failures = [var.cors_headers]
}

run "open_throttle_of_nothing" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    open_throttle = { rate = 0, burst = 10 }
  }

  expect_failures = [var.open_throttle]
}

run "open_throttle_without_a_burst" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    open_throttle = { rate = 10, burst = 0 }
  }

  expect_failures = [var.open_throttle]
}

run "open_throttle_with_a_burst_of_a_fraction" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    open_throttle = { rate = 100, burst = 1.5 }
  }

  expect_failures = [var.open_throttle]
}

run "open_methods_have_a_lower_limit" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    throttle = { rate = 500, burst = 1000 }
  }

  assert {
    condition     = output.open_limit == { rate = 100, burst = 200 } && !output.method_metrics
    error_message = "What anybody may call has a fifth of the limit, and no method has metrics that cost money."
  }
}

run "open_methods_never_have_a_higher_limit" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    throttle = { rate = 20, burst = 40 }
  }

  assert {
    condition     = output.open_limit == { rate = 20, burst = 40 }
    error_message = "A lower limit of all methods holds for the open ones too."
  }
}

run "open_methods_with_a_limit_of_their_own" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    open_throttle = { rate = 700, burst = 800 }
  }

  assert {
    condition     = output.open_limit == { rate = 700, burst = 800 }
    error_message = "A limit that somebody chose holds, higher ones too."
  }
}
