# Tests of the rules of api_failover, and of regional_name in domains.

variables {
  region        = "eu-central-1"
  replica       = { region = "eu-west-1" }
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  collections   = { products = { read = "public" } }
  api_failover  = true

  domains = {
    primary = {
      name             = "api.example.com"
      certificate_arn  = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      hosted_zone_id   = "Z0123456789ABCDEFGHIJ"
      default_endpoint = false
      regional_name    = "eu-central-1.api.example.com"
    }
    replica = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/1"
      hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
    }
  }
}

run "accepted" {
  command = plan

  module {
    source = "./modules/settings"
  }

  assert {
    condition     = output.api_failover && output.domains.primary.regional_name == "eu-central-1.api.example.com"
    error_message = "A shared name, two certificates and one zone are enough. A Region may lack a name of its own."
  }
}

run "failover_without_a_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1", enabled = false }
  }

  expect_failures = [var.api_failover]
}

run "failover_without_domains" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = {}
  }

  expect_failures = [var.api_failover]
}

run "failover_with_a_domain_in_one_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = { primary = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
    } }
  }

  expect_failures = [var.api_failover]
}

run "failover_with_two_names" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = {
      primary = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
      }
      replica = {
        name            = "replica.example.com"
        certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/1"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
      }
    }
  }

  expect_failures = [var.api_failover]
}

run "failover_with_a_certificate_of_the_other_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = {
      primary = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
      }
      replica = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
      }
    }
  }

  expect_failures = [var.domains]
}

run "failover_without_a_zone" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = {
      primary = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      }
      replica = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/1"
      }
    }
  }

  expect_failures = [var.api_failover]
}

run "failover_with_two_zones" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = {
      primary = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
      }
      replica = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/1"
        hosted_zone_id  = "Z9876543210ABCDEFGHIJ"
      }
    }
  }

  expect_failures = [var.api_failover]
}

run "failover_without_a_name_to_ask" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = {
      primary = {
        name             = "api.example.com"
        certificate_arn  = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
        hosted_zone_id   = "Z0123456789ABCDEFGHIJ"
        default_endpoint = false
      }
      replica = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/1"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
      }
    }
  }

  expect_failures = [var.api_failover]
}

run "one_regional_name_for_both" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    domains = {
      primary = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
        regional_name   = "region.api.example.com"
      }
      replica = {
        name            = "api.example.com"
        certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/1"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
        regional_name   = "region.api.example.com"
      }
    }
  }

  expect_failures = [var.domains]
}

run "regional_name_that_is_the_shared_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    api_failover = false
    domains = { primary = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
      regional_name   = "api.example.com"
    } }
  }

  expect_failures = [var.domains]
}

run "regional_name_that_is_the_name_of_the_other_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    api_failover = false
    domains = {
      primary = {
        name            = "one.example.com"
        certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
        regional_name   = "two.example.com"
      }
      replica = {
        name            = "two.example.com"
        certificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/1"
        hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
      }
    }
  }

  expect_failures = [var.domains]
}

run "regional_name_without_a_zone" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    api_failover = false
    domains = { primary = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      regional_name   = "eu-central-1.api.example.com"
    } }
  }

  expect_failures = [var.domains]
}

run "regional_name_that_is_no_host_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    api_failover = false
    domains = { primary = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
      regional_name   = "https://eu-central-1.api.example.com"
    } }
  }

  expect_failures = [var.domains]
}
