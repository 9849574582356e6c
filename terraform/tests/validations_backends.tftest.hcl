# Tests that every rule in variables_backends.tf refuses what it should. Each run breaks one rule, and its name says
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
    replica = { region = "eu-west-1" }
    backends = {
      crm = {
        url        = "https://crm.example.com:8443/api/v2.1"
        methods    = ["GET"]
        timeout_ms = 29000
        throttle   = { rate = 0.5, burst = 1 }
        quota      = { limit = 1 }
        cache      = { ttl = 3600, cache_query_parameters = [] }
      }
      staff = {
        url             = "https://10.0.0.1"
        timeout_ms      = 50
        api_key         = false
        scopes          = ["read", "write"]
        forward_headers = ["authorization", "Cookie", "X-API-Key"]
      }
      own = {
        url              = "http://own.internal/base"
        vpc_link         = { nlb_arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/own/1" }
        replica_vpc_link = { id = "abc123" }
      }
    }
    backend_api_keys = { crm = "0123456789-abcdefghi_" }

    timeouts = { crm = 29000, own = 10000, staff = 50 } # what the assertion below expects
  }

  assert {
    condition     = { for name, backend in var.backends : name => backend.timeout_ms } == var.timeouts
    error_message = "The values at the edge of each rule are allowed."
  }
}

run "more_backends_than_fit" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { for n in range(21) : "b${n}" => { url = "https://crm.example.com" } }
  }

  expect_failures = [var.backends]
}

run "backend_name_with_slash" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { "crm/x" = { url = "https://crm.example.com" } }
  }

  expect_failures = [var.backends]
}

run "backend_url_with_host_in_capitals" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://CRM.example.com" } }
  }

  expect_failures = [var.backends]
}

run "backend_url_with_slash_at_the_end" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com/" } }
  }

  expect_failures = [var.backends]
}

run "backend_url_with_credentials" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://user:word@crm.example.com" } }
  }

  expect_failures = [var.backends]
}

run "backend_url_with_query" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com/a?b=c" } }
  }

  expect_failures = [var.backends]
}

run "backend_url_with_dots_in_the_base_path" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com/../a" } }
  }

  expect_failures = [var.backends]
}

run "backend_url_with_stage_variable" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://$${stageVariables.host}/a" } }
  }

  expect_failures = [var.backends]
}

run "backend_url_with_other_scheme" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "ftp://crm.example.com" } }
    emulator = { plain_http = true } # allows every scheme in the rule that requires https
  }

  expect_failures = [var.backends]
}

run "backend_over_plain_http" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "http://crm.example.com" } }
  }

  expect_failures = [var.backends]
}

run "no_methods" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", methods = [] } }
  }

  expect_failures = [var.backends]
}

run "method_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", methods = ["GET", "GET"] } }
  }

  expect_failures = [var.backends]
}

run "method_that_the_api_answers" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", methods = ["GET", "OPTIONS"] } }
  }

  expect_failures = [var.backends]
}

run "timeout_below_api_gateways_minimum" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", timeout_ms = 49 } }
  }

  expect_failures = [var.backends]
}

run "timeout_above_api_gateways_maximum" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", timeout_ms = 29001 } }
  }

  expect_failures = [var.backends]
}

run "timeout_in_parts_of_a_millisecond" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", timeout_ms = 99.5 } }
  }

  expect_failures = [var.backends]
}

run "backend_with_a_throttle_of_zero" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", throttle = { rate = 0, burst = 1 } } }
  }

  expect_failures = [var.backends]
}

run "backend_without_burst" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", throttle = { rate = 1, burst = 0 } } }
  }

  expect_failures = [var.backends]
}

run "quota_of_zero" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", quota = { limit = 0 } } }
  }

  expect_failures = [var.backends]
}

run "quota_per_year" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", quota = { limit = 1, period = "YEAR" } } }
  }

  expect_failures = [var.backends]
}

run "quota_without_key" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", quota = { limit = 1 }, api_key = false, scopes = ["read"] } }
  }

  expect_failures = [var.backends]
}

run "cache_for_no_time" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", cache = { ttl = 0, cache_query_parameters = [] } } }
  }

  expect_failures = [var.backends]
}

run "cache_for_too_long" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", cache = { ttl = 3601, cache_query_parameters = [] } } }
  }

  expect_failures = [var.backends]
}

run "cache_without_cache_query_parameters" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", cache = { ttl = 60 } } }
  }

  expect_failures = [var.backends]
}

run "cache_query_parameter_with_bracket" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", cache = { ttl = 60, cache_query_parameters = ["a[]"] } } }
  }

  expect_failures = [var.backends]
}

run "cache_without_get" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = {
      crm = {
        url     = "https://crm.example.com"
        cache   = { ttl = 60, cache_query_parameters = [] }
        methods = ["POST"]
      }
    }
  }

  expect_failures = [var.backends]
}

run "cache_without_cluster" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache_size = null
    backends   = { crm = { url = "https://crm.example.com", cache = { ttl = 60, cache_query_parameters = [] } } }
  }

  expect_failures = [var.backends]
}

run "cache_with_forwarded_credentials" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = {
      crm = {
        url             = "https://crm.example.com"
        cache           = { ttl = 60, cache_query_parameters = [] }
        forward_headers = ["Cookie"]
      }
    }
  }

  expect_failures = [var.backends]
}

run "forwarded_header_that_is_no_credential" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", forward_headers = ["X-Tenant"] } }
  }

  expect_failures = [var.backends]
}

run "proxy_credential_forwarded" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", forward_headers = ["Proxy-Authorization"] } }
  }

  expect_failures = [var.backends]
}

run "scope_of_another_stack" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", scopes = ["admin"] } }
  }

  expect_failures = [var.backends]
}

run "backend_without_key_and_scopes" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", api_key = false } }
  }

  expect_failures = [var.backends]
}

run "vpc_link_that_is_empty" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com", vpc_link = {} } }
  }

  expect_failures = [var.backends]
}

run "vpc_link_given_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = {
      crm = {
        url = "https://crm.example.com"
        vpc_link = {
          id      = "abc123"
          nlb_arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/crm/1"
        }
      }
    }
  }

  expect_failures = [var.backends]
}

run "replica_vpc_link_that_is_empty" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    backends = {
      crm = { url = "https://crm.example.com", vpc_link = { id = "abc123" }, replica_vpc_link = {} }
    }
  }

  expect_failures = [var.backends]
}

run "vpc_link_to_an_application_load_balancer" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = {
      crm = {
        url      = "https://crm.example.com"
        vpc_link = { nlb_arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/crm/1" }
      }
    }
  }

  expect_failures = [var.backends]
}

run "vpc_link_to_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = {
      crm = {
        url      = "https://crm.example.com"
        vpc_link = { nlb_arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/crm/1" }
      }
    }
  }

  expect_failures = [var.backends]
}

run "private_backend_without_replica_vpc_link" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica  = { region = "eu-west-1" }
    backends = { crm = { url = "https://crm.example.com", vpc_link = { id = "abc123" } } }
  }

  expect_failures = [var.backends]
}

run "replica_vpc_link_without_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = {
      crm = {
        url              = "https://crm.example.com"
        vpc_link         = { id = "abc123" }
        replica_vpc_link = { id = "def456" }
      }
    }
  }

  expect_failures = [var.backends]
}

run "replica_vpc_link_to_the_primary_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    backends = {
      crm = {
        url              = "https://crm.example.com"
        vpc_link         = { id = "abc123" }
        replica_vpc_link = { nlb_arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/crm/1" }
      }
    }
  }

  expect_failures = [var.backends]
}

run "key_that_is_too_short" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends         = { crm = { url = "https://crm.example.com" } }
    backend_api_keys = { crm = "0123456789012345678" }
  }

  expect_failures = [var.backend_api_keys]
}

run "key_with_space" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends         = { crm = { url = "https://crm.example.com" } }
    backend_api_keys = { crm = "01234567890 12345678901" }
  }

  expect_failures = [var.backend_api_keys]
}

run "key_of_two_backends" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends         = { crm = { url = "https://crm.example.com" }, erp = { url = "https://erp.example.com" } }
    backend_api_keys = { crm = "01234567890123456789", erp = "01234567890123456789" }
  }

  expect_failures = [var.backend_api_keys]
}

run "key_of_no_backend" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends         = { crm = { url = "https://crm.example.com" } }
    backend_api_keys = { erp = "01234567890123456789" }
  }

  expect_failures = [var.backend_api_keys]
}

run "key_of_a_backend_that_takes_none" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends         = { crm = { url = "https://crm.example.com", api_key = false, scopes = ["read"] } }
    backend_api_keys = { crm = "01234567890123456789" }
  }

  expect_failures = [var.backend_api_keys]
}

run "port_that_api_gateway_does_not_call" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com:81" } }
  }

  expect_failures = [var.backends]
}

run "port_above_all_ports" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm.example.com:65536" } }
  }

  expect_failures = [var.backends]
}

run "host_with_two_dots" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://crm..example.com" } }
  }

  expect_failures = [var.backends]
}

run "host_that_begins_with_a_hyphen" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { crm = { url = "https://-crm.example.com" } }
  }

  expect_failures = [var.backends]
}

run "ports_that_api_gateway_calls" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    backends = { for port in [80, 443, 1024, 65535] : "crm-${port}" => { url = "https://crm.example.com:${port}" } }
  }

  assert {
    condition     = length(var.backends) == 4
    error_message = "API Gateway calls these ports."
  }
}
