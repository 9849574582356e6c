# Tests of the rules of the variables cache and store_passwords, and of what belongs to the cache elsewhere.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  dax_layer_zip = "tests/mocks/artefact.txt"
  collections   = { products = { read = "public" } }

  network = { primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } } }
}

run "cache_serverless" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { serverless = {} }
  }

  assert {
    condition     = output.cache.serverless != null && output.cache.nodes == null
    error_message = "A cache may be serverless."
  }
}

run "cache_nodes" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { nodes = {} }
  }

  assert {
    condition     = output.cache.nodes.replicas == 1
    error_message = "A cache of nodes has a replica, which takes over if the primary node fails."
  }
}

run "cache_dax" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { dax = {} }
  }

  assert {
    condition     = output.cache.dax != null
    error_message = "A cache may be DAX."
  }
}

run "cache_external" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network         = null
    cache           = { external = { primary = { host = "127.0.0.1", port = 6380, tls = false } } }
    store_passwords = { cache = "secret" }
  }

  assert {
    condition     = output.cache.external.primary.port == 6380
    error_message = "A cache that the team has may have any port, and no TLS."
  }
}

run "cache_of_two_kinds" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { serverless = {}, nodes = {} }
  }

  expect_failures = [var.cache]
}

run "cache_of_no_kind" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { generation = 2 }
  }

  expect_failures = [var.cache]
}

run "cache_without_a_network" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = null
    cache   = { nodes = {} }
  }

  expect_failures = [var.cache]
}

run "cache_without_a_collection" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache       = { serverless = {} }
    collections = { products = { read = "public", cache = false } }
  }

  expect_failures = [var.cache]
}

run "cache_without_room" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { serverless = { max_gb = 0 } }
  }

  expect_failures = [var.cache]
}

run "cache_with_few_ecpus" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { serverless = { max_ecpu_per_second = 999 } }
  }

  expect_failures = [var.cache]
}

run "serverless_cache_in_four_zones" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { serverless = {} }
    network = { primary = { create = {
      cidr  = "10.20.0.0/20"
      zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c", "eu-central-1d"]
    } } }
  }

  expect_failures = [var.cache]
}

run "cache_of_old_nodes" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { nodes = { type = "cache.t2.micro" } }
  }

  expect_failures = [var.cache]
}

run "cache_of_a_single_node" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { nodes = { replicas = 0 } }
  }

  expect_failures = [var.cache]
}

run "cache_with_six_replicas" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { nodes = { replicas = 6 } }
  }

  expect_failures = [var.cache]
}

run "dax_with_nodes_of_elasticache" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { dax = { node_type = "cache.t4g.micro" } }
  }

  expect_failures = [var.cache]
}

run "dax_without_nodes" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { dax = { nodes = 0 } }
  }

  expect_failures = [var.cache]
}

run "dax_with_a_long_ttl" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { dax = { ttl_seconds = 301 } }
  }

  expect_failures = [var.cache]
}

run "external_cache_without_the_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    network = null
    cache   = { external = { primary = { host = "cache.example.com" } } }
  }

  expect_failures = [var.cache]
}

run "external_cache_with_a_scheme" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { external = { primary = { host = "rediss://cache.example.com" } } }
  }

  expect_failures = [var.cache]
}

run "external_cache_with_a_wrong_port" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { external = { primary = { host = "cache.example.com", port = 65536 } } }
  }

  expect_failures = [var.cache]
}

run "external_cache_with_certificates_but_without_tls" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { external = { primary = {
      host   = "cache.example.com"
      tls    = false
      ca_pem = "-----BEGIN CERTIFICATE-----"
    } } }
  }

  expect_failures = [var.cache]
}

run "external_cache_with_the_name_of_a_file" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { external = { primary = { host = "cache.example.com", ca_pem = "ca.pem" } } }
  }

  expect_failures = [var.cache]
}

run "cache_with_a_short_freshness" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { nodes = {}, fresh_seconds = 1 }
  }

  expect_failures = [var.cache]
}

run "cache_with_a_long_staleness" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { nodes = {}, stale_seconds = 86401 }
  }

  expect_failures = [var.cache]
}

run "cache_that_forgets_absence_at_once" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { nodes = {}, negative_seconds = 1 }
  }

  expect_failures = [var.cache]
}

run "cache_of_tiny_items" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { nodes = {}, max_item_bytes = 1023 }
  }

  expect_failures = [var.cache]
}

run "cache_of_generation_zero" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { nodes = {}, generation = 0 }
  }

  expect_failures = [var.cache]
}

run "cache_with_one_batch_at_a_time" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache = { nodes = {}, feed_concurrency = 1 }
  }

  expect_failures = [var.cache]
}

run "password_of_an_unknown_store" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    store_passwords = { valkey = "secret" }
  }

  expect_failures = [var.store_passwords]
}

run "password_of_a_cache_with_iam" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache           = { nodes = {} }
    store_passwords = { cache = "secret" }
  }

  expect_failures = [var.store_passwords]
}

run "password_of_a_database_with_iam" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    store_passwords = { query = "secret" }
  }

  expect_failures = [var.store_passwords]
}

run "password_of_a_replica_that_is_not_there" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache           = { external = { primary = { host = "cache.example.com" } } }
    store_passwords = { cache = "secret", replica_cache = "secret" }
  }

  expect_failures = [var.store_passwords]
}

run "password_that_is_empty" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache           = { external = { primary = { host = "cache.example.com" } } }
    store_passwords = { cache = "" }
  }

  expect_failures = [var.store_passwords]
}

run "feed_with_a_short_timeout" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache     = { nodes = {} }
    functions = { feed = { timeout_seconds = 9 } }
  }

  expect_failures = [var.functions]
}

run "dax_without_its_layer" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    cache         = { dax = {} }
    dax_layer_zip = "tests/mocks/nothing.zip"
  }

  expect_failures = [var.dax_layer_zip]
}
