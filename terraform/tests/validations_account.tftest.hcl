# Tests of the rules of what a stack takes from its account and organisation. Each run with expect_failures breaks one
# rule.
variables {
  region      = "eu-central-1"
  replica     = { region = "eu-west-1" }
  collections = { notes = { read = "public" } }
  dist        = "tests/mocks/dist"
}

run "what_is_right" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    roles              = { path = "/a/b/", permissions_boundary = "arn:aws-us-gov:iam::aws:policy/Boundary" }
    access_log_buckets = { primary = "logs.example.com" }

    cors_origins = [
      "capacitor://localhost", "ionic://localhost", "https://*.example.com", "http://localhost:8100", "*",
    ]

    user_pool = {
      arn         = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_AbC123"
      sign_in_url = "https://sign-in.example.com"
    }

    domains = {
      replica = {
        name            = "api.eu.example.com"
        certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/c"
      }
    }

    backends = {
      erp = { url = "https://erp.example.com", callers = { shop = { keys = ["a", "b"] }, default = {} } }
      crm = { url = "https://crm.example.com", api_key = false, scopes = ["read"] }
    }
    backend_api_keys = { "erp" = "12345678901234567890", "erp/shop/b" = "12345678901234567891" }
  }

  assert {
    condition     = output.backends["erp"].callers["default"].keys == tolist(["first"])
    error_message = "A caller without keys has the first one."
  }
}

run "mail_that_cognito_sends" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { email = {
      ses_arn  = "arn:aws:ses:us-east-1:111122223333:identity/example.com"
      from     = "The Shop <no-reply@example.com>"
      reply_to = "help@example.com"
    } }
  }

  assert {
    condition     = output.sign_in.email.from == "The Shop <no-reply@example.com>"
    error_message = "Cognito sends with identities of these Regions, and a name may stand before the address."
  }
}

run "mail_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { email = {
      ses_arn = "arn:aws:ses:eu-north-1:111122223333:identity/example.com"
      from    = "no-reply@example.com"
    } }
  }

  expect_failures = [var.sign_in]
}

run "mail_without_an_address" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    sign_in = { email = { ses_arn = "arn:aws:ses:eu-central-1:111122223333:identity/example.com", from = "The Shop" } }
  }

  expect_failures = [var.sign_in]
}

run "path_of_roles_without_slashes" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    roles = { path = "platform" }
  }

  expect_failures = [var.roles]
}

run "boundary_of_roles_by_its_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    roles = { permissions_boundary = "boundary" }
  }

  expect_failures = [var.roles]
}

run "access_log_bucket_by_its_arn" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    access_log_buckets = { primary = "arn:aws:s3:::logs" }
  }

  expect_failures = [var.access_log_buckets]
}

run "user_pool_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    user_pool = { arn = "arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_AbC123" }
  }

  expect_failures = [var.user_pool]
}

run "sign_in_page_over_plain_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    user_pool = {
      arn         = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_AbC123"
      sign_in_url = "http://sign-in.example.com"
    }
  }

  expect_failures = [var.user_pool]
}

run "account_logging_of_a_stack" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    manage_account_logging = false
  }

  expect_failures = [var.manage_account_logging]
}

run "domain_with_a_scheme" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = { primary = {
      name            = "https://api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/c"
    } }
  }

  expect_failures = [var.domains]
}

run "settings_of_a_pool_that_is_not_ours" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    user_pool = { arn = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_AbC123" }
    sign_in   = { mfa = "ON" }
  }

  expect_failures = [var.user_pool]
}

run "certificate_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = { primary = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/c"
    } }
  }

  expect_failures = [var.domains]
}

run "replica_certificate_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = { replica = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/c"
    } }
  }

  expect_failures = [var.domains]
}

run "zone_by_its_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = { primary = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/c"
      hosted_zone_id  = "example.com"
    } }
  }

  expect_failures = [var.domains]
}

run "domain_of_an_edge_api" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica       = null
    endpoint_type = "EDGE"
    domains = { primary = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/c"
    } }
  }

  expect_failures = [var.domains]
}

run "wildcards_that_stand_for_nothing" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_origins = ["https://app.*.example.com"]
  }

  expect_failures = [var.cors_origins]
}

run "schemes_that_no_web_view_has" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cors_origins = ["file://localhost"]
  }

  expect_failures = [var.cors_origins]
}

run "callers_without_a_key" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { erp = { url = "https://erp.example.com", callers = { shop = { keys = [] } } } }
  }

  expect_failures = [var.backends]
}

run "no_caller" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { erp = { url = "https://erp.example.com", callers = {} } }
  }

  expect_failures = [var.backends]
}

run "callers_of_a_backend_without_keys" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { erp = {
      url     = "https://erp.example.com"
      api_key = false
      scopes  = ["read"]
      callers = { shop = {} }
    } }
  }

  expect_failures = [var.backends]
}

run "names_of_callers" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { erp = { url = "https://erp.example.com", callers = { "The Shop" = {} } } }
  }

  expect_failures = [var.backends]
}

run "more_keys_than_fit" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { erp = {
      url     = "https://erp.example.com"
      callers = { for i in range(61) : "shop-${i}" => {} }
    } }
  }

  expect_failures = [var.backends]
}

run "key_of_nobody" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends         = { erp = { url = "https://erp.example.com", callers = { shop = {} } } }
    backend_api_keys = { "erp" = "12345678901234567890" }
  }

  expect_failures = [var.backend_api_keys]
}

run "names_of_keys" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { erp = { url = "https://erp.example.com", callers = { shop = { keys = ["The key"] } } } }
  }

  expect_failures = [var.backends]
}
