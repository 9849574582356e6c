# Tests of the rules of the variables edge and edge_base_url, and of edge_ttl.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  edge_auth_zip = "tests/mocks/artefact.txt"
  collections   = { products = { read = "public" } }
}

run "domain_without_certificate_and_zone" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { domain = { name = "www.example.com" } }
  }

  expect_failures = [var.edge]
}

run "domain_with_certificate_and_zone" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { domain = {
      name            = "www.example.com"
      certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/1"
      zone_id         = "Z0123456789ABCDEFGHIJ"
    } }
  }

  expect_failures = [var.edge]
}

run "edge_with_the_name_of_an_api" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { domain = { name = "api.example.com", zone_id = "Z0123456789ABCDEFGHIJ" } }
    domains = { primary = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
    } }
  }

  expect_failures = [var.edge]
}

run "edge_certificate_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { domain = {
      name            = "www.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
    } }
  }

  expect_failures = [var.edge]
}

run "domain_that_is_no_host_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { domain = { name = "https://www.example.com", zone_id = "Z0123456789ABCDEFGHIJ" } }
  }

  expect_failures = [var.edge]
}

run "zone_that_is_no_id" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { domain = { name = "www.example.com", zone_id = "example.com" } }
  }

  expect_failures = [var.edge]
}

run "edge_in_china" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    region = "cn-north-1"
    edge   = {}
  }

  expect_failures = [var.edge]
}

run "edge_in_govcloud" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    region = "us-gov-west-1"
    edge   = {}
  }

  expect_failures = [var.edge]
}

run "price_class_that_does_not_exist" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { price_class = "PriceClass_300" }
  }

  expect_failures = [var.edge]
}

run "preload_without_subdomains" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = {
      domain = { name = "www.example.com", zone_id = "Z0123456789ABCDEFGHIJ" }
      hsts   = { preload = true }
    }
  }

  expect_failures = [var.edge]
}

run "preload_without_a_domain" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { hsts = { preload = true, subdomains = true } }
  }

  expect_failures = [var.edge]
}

run "preload" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = {
      domain = { name = "www.example.com", zone_id = "Z0123456789ABCDEFGHIJ" }
      hsts   = { preload = true, subdomains = true }
    }
  }

  assert {
    condition     = output.edge.hsts.preload && output.edge.hsts.max_age == 31536000
    error_message = "A promise that browser vendors accept may be built in."
  }
}

run "hsts_of_half_a_second" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { hsts = { max_age = 0.5 } }
  }

  expect_failures = [var.edge]
}

run "no_connection_attempt" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { failover = { attempts = 0 } }
  }

  expect_failures = [var.edge]
}

run "connection_timeout_that_cloudfront_does_not_take" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { failover = { timeout = 11 } }
  }

  expect_failures = [var.edge]
}

run "drill_without_a_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge = { drill = "primary_unreachable" }
  }

  expect_failures = [var.edge]
}

run "drill_with_a_replica_that_is_switched_off" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1", enabled = false }
    edge    = { drill = "primary_unreachable" }
  }

  expect_failures = [var.edge]
}

run "drill_that_does_not_exist" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    edge    = { drill = "replica_unreachable" }
  }

  expect_failures = [var.edge]
}

run "drill_without_a_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    edge    = { drill = "" }
  }

  expect_failures = [var.edge]
}

run "drill" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    edge    = { drill = "primary_unreachable" }
  }

  assert {
    condition     = output.edge.drill == "primary_unreachable"
    error_message = "A stack with a replica can have a drill."
  }
}

run "edge_url_with_a_slash" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge_base_url = "http://localhost:8080/"
  }

  expect_failures = [var.edge_base_url]
}

run "zip_that_is_not_built" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge          = {}
    edge_auth_zip = "tests/mocks/no-such.zip"
  }

  expect_failures = [var.edge_auth_zip]
}

run "code_bucket_without_one_for_the_edge" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    edge         = {}
    code_buckets = { primary = { bucket = "code", prefix = "readplane/1.0.0" } }
  }

  expect_failures = [var.code_buckets]
}

run "edge_ttl_of_owners" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { profiles = { read = "owner", edge_ttl = 60 } }
  }

  expect_failures = [var.collections]
}

run "edge_ttl_of_more_than_a_year" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", edge_ttl = 31536001 } }
  }

  expect_failures = [var.collections]
}

run "edge_ttl_without_a_cache_cluster" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", edge_ttl = 31536000 } }
  }

  assert {
    condition     = output.collections.products.edge_ttl == 31536000 && output.collections.products.cache_ttl == 0
    error_message = "The edge keeps documents without the API's cache cluster."
  }
}
