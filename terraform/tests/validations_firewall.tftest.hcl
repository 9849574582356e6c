# Tests of the rules of the firewall and of the edge's lock. Each run with expect_failures breaks one rule.
variables {
  region        = "eu-central-1"
  collections   = { notes = { read = "public" } }
  dist          = "tests/mocks/dist"
  edge_auth_zip = "tests/mocks/artefact.txt"
  edge          = { site = false }
}

run "a_firewall_that_is_right" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = {
      allow     = ["203.0.113.7/32", "2001:db8::/32"]
      deny      = ["198.51.100.0/24"]
      countries = { except = ["XX"] }
      sizes     = { path = 256, query = 8192 }
      rate      = { window = 60, ip = 10, token = 2000000000 }
      body_kb   = 64
    }
  }

  assert {
    condition = [output.firewall.body_rules, join(" ", values(output.firewall.groups))] == [
      "count", "off off block block block block", # in the order of the names
    ]
    error_message = "The rules on bodies count first, and what AWS bills apart is off."
  }

  assert {
    condition     = output.edge.origin_lock == "policy" && output.edge.origin_secret.accept_previous
    error_message = "The API is locked by default, and a new generation doesn't shut the old one out at once."
  }
}

run "firewall_without_edge" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge     = null
    firewall = {}
  }

  expect_failures = [var.firewall]
}

run "firewall_group_mode" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { groups = { common = "allow" } }
  }

  expect_failures = [var.firewall]
}

run "firewall_body_rules_off" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { body_rules = "off" }
  }

  expect_failures = [var.firewall]
}

run "firewall_rule_mode" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { rules = { size = "deny" } }
  }

  expect_failures = [var.firewall]
}

run "firewall_looks_at_tokens" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { headers = ["Authorization"] }
  }

  expect_failures = [var.firewall]
}

run "firewall_without_headers" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { headers = [] }
  }

  expect_failures = [var.firewall]
}

run "firewall_address_without_length" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { deny = ["198.51.100.7"] }
  }

  expect_failures = [var.firewall]
}

run "firewall_both_lists_of_countries" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { countries = { only = ["DE"], except = ["XX"] } }
  }

  expect_failures = [var.firewall]
}

run "firewall_country_in_small_letters" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { countries = { only = ["de"] } }
  }

  expect_failures = [var.firewall]
}

run "firewall_long_path" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { sizes = { path = 8193 } }
  }

  expect_failures = [var.firewall]
}

run "firewall_window" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { rate = { window = 90 } }
  }

  expect_failures = [var.firewall]
}

run "firewall_small_limit" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { rate = { token = 9 } }
  }

  expect_failures = [var.firewall]
}

run "firewall_body" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    firewall = { body_kb = 24 }
  }

  expect_failures = [var.firewall]
}

run "edge_lock_of_another_kind" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { site = false, origin_lock = "mtls" }
  }

  expect_failures = [var.edge]
}

run "edge_lock_of_an_edge_optimised_api" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    endpoint_type = "EDGE"
  }

  expect_failures = [var.edge]
}

run "edge_secret_of_generation_0" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { site = false, origin_secret = { generation = 0 } }
  }

  expect_failures = [var.edge]
}
