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
