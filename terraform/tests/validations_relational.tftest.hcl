# Tests of the rules of the relational database and of collections in it. Each run with expect_failures breaks one rule.
variables {
  region = "eu-central-1"
  dist   = "tests/mocks/dist"

  collections = {
    products = { read = "public", relational = { fields = { price = { type = "number", pointer = "/price" } } } }
  }
  network = {
    primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } }
    replica = { create = { cidr = "10.21.0.0/20", zones = ["eu-west-1a", "eu-west-1b"] } }
  }
  replica    = { region = "eu-west-1", enabled = false }
  relational = { aurora = {} }

  secret_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:query-AbCdEf"
}

run "a_database_that_is_right" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = {
      products = {
        read = "public"
        relational = {
          fields = { for n in range(8) : "f_${n}" => { type = "time", pointer = "/a~1b/${n}/~0" } }
          sort   = ["f_0"]
          search = { fields = ["/name"], language = "german" }
        }
      }
      gone = { read = "public", retired = true, relational = { search = { fields = ["/name"] } } }
    }
    relational = {
      aurora = {
        engine_version           = "17.6"
        min_acu                  = 0
        max_acu                  = 256
        seconds_until_auto_pause = 86400
        readers                  = 15
        backup_days              = 35
      }
      query_concurrency = 1000
      feed_concurrency  = 2
    }
  }

  assert {
    condition     = output.protected.database && !output.protected.replica_database
    error_message = "The database is protected as the stack. There is no replica."
  }

  assert {
    condition     = output.collections.gone.relational.search.language == "simple"
    error_message = "Without a language, PostgreSQL doesn't stem."
  }
}

run "protection_of_the_database_alone" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica    = { region = "eu-west-1", deletion_protection = false }
    relational = { aurora = { deletion_protection = false } }
  }

  assert {
    condition     = output.protected.stack && !output.protected.database && !output.protected.replica_database
    error_message = "The database can be removed from a protected stack, after an apply that says so."
  }
}

run "external_databases_need_no_network" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name    = "shop--test"
    network = null
    relational = { external = { primary = {
      writer      = "127.0.0.1"
      reader      = "127.0.0.1"
      port        = 1
      reader_port = 65535
      tls         = false
    } } }
  }

  assert {
    condition     = !output.protected.database && output.relational.external.primary.name == "readplane"
    error_message = "Nothing protects a database that the stack doesn't make."
  }
}

run "relational_without_engine" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = {}
  }

  expect_failures = [var.relational]
}

run "relational_with_two_engines" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = {
      aurora   = {}
      external = { primary = { writer = "db.example.com", reader = "reader.example.com" } }
    }
  }

  expect_failures = [var.relational]
}

run "relational_collection_without_database" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = null
  }

  expect_failures = [var.relational]
}

run "relational_without_collection" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public" } }
    relational  = { aurora = {} }
  }

  expect_failures = [var.relational]
}

run "relational_of_a_snapshot" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {} }
    sources = {
      prices = {
        mode             = "snapshot"
        collection       = "products"
        url              = "https://erp.example.com/prices"
        expect           = "prices != null"
        schedule         = "rate(1 hour)"
        staleness_budget = 7200
      }
    }
  }

  expect_failures = [var.sources]
}

run "relational_without_network" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network    = null
    relational = { aurora = {} }
  }

  expect_failures = [var.relational]
}

run "relational_name_with_two_hyphens" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name       = "shop--test"
    relational = { aurora = {} }
  }

  expect_failures = [var.relational]
}

run "relational_engine_version" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { engine_version = "15.7" } }
  }

  expect_failures = [var.relational]
}

run "relational_in_a_region_without_roots" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    region     = "il-central-1"
    network    = { primary = { create = { cidr = "10.20.0.0/20", zones = ["il-central-1a", "il-central-1b"] } } }
    relational = { aurora = {} }
  }

  expect_failures = [var.relational]
}

run "relational_in_a_region_with_roots_of_the_team" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    region     = "il-central-1"
    network    = { primary = { create = { cidr = "10.20.0.0/20", zones = ["il-central-1a", "il-central-1b"] } } }
    relational = { aurora = { ca_pem = { primary = "-----BEGIN CERTIFICATE-----" } } }
  }

  assert {
    condition     = output.relational.aurora.ca_pem.primary == "-----BEGIN CERTIFICATE-----"
    error_message = "With the roots of RDS, a database may be in any Region."
  }
}

run "relational_roots_in_a_file" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { ca_pem = { primary = "ca.pem" } } }
  }

  expect_failures = [var.relational]
}

run "relational_monitoring" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { monitoring_seconds = 20 } }
  }

  expect_failures = [var.relational]
}

run "relational_capacity_step" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { max_acu = 1.25 } }
  }

  expect_failures = [var.relational]
}

run "relational_capacity_limit" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { max_acu = 256.5 } }
  }

  expect_failures = [var.relational]
}

run "relational_least_above_greatest" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { min_acu = 8, max_acu = 4 } }
  }

  expect_failures = [var.relational]
}

run "relational_pause_without_seconds" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { min_acu = 0 } }
  }

  expect_failures = [var.relational]
}

run "relational_seconds_without_pause" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { seconds_until_auto_pause = 600 } }
  }

  expect_failures = [var.relational]
}

run "relational_pause_seconds" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { min_acu = 0, seconds_until_auto_pause = 299 } }
  }

  expect_failures = [var.relational]
}

run "relational_pause_with_proxy" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {
      min_acu                  = 0
      seconds_until_auto_pause = 600
      proxy                    = { primary = { secret_arn = var.secret_arn } }
    } }
  }

  expect_failures = [var.relational]
}

run "relational_readers" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { readers = 16 } }
  }

  expect_failures = [var.relational]
}

run "relational_without_reader" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { readers = 0 } }
  }

  expect_failures = [var.relational]
}

run "relational_proxy_without_reader" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = {
      aurora            = { readers = 0, proxy = { primary = { secret_arn = var.secret_arn } } }
      reads_from_writer = true
    }
  }

  expect_failures = [var.relational]
}

run "relational_backup_days" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { backup_days = 36 } }
  }

  expect_failures = [var.relational]
}

run "relational_proxy_secret" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = { proxy = { primary = { secret_arn = "query" } } } }
  }

  expect_failures = [var.relational]
}

run "relational_proxy_of_the_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica    = { region = "eu-west-1" }
    relational = { aurora = { proxy = { primary = { secret_arn = var.secret_arn } } } }
  }

  expect_failures = [var.relational]
}

run "relational_external_of_the_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica    = { region = "eu-west-1" }
    relational = { external = { primary = { writer = "db.example.com", reader = "reader.example.com" } } }
  }

  expect_failures = [var.relational]
}

run "relational_port" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { external = { primary = {
      writer = "db.example.com"
      reader = "reader.example.com"
      port   = 65536
    } } }
  }

  expect_failures = [var.relational]
}

run "relational_reader_port" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { external = { primary = {
      writer      = "db.example.com"
      reader      = "reader.example.com"
      reader_port = 0.5
    } } }
  }

  expect_failures = [var.relational]
}

run "relational_certificates_without_tls" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { external = { primary = {
      writer = "db.example.com"
      reader = "reader.example.com"
      tls    = false
      ca_pem = "-----BEGIN CERTIFICATE-----"
    } } }
  }

  expect_failures = [var.relational]
}

run "relational_certificates" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { external = { primary = {
      writer = "db.example.com"
      reader = "reader.example.com"
      ca_pem = "ca.pem"
    } } }
  }

  expect_failures = [var.relational]
}

run "relational_query_concurrency" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {}, query_concurrency = 0 }
  }

  expect_failures = [var.relational]
}

run "relational_feed_concurrency" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {}, feed_concurrency = 1 }
  }

  expect_failures = [var.relational]
}

run "relational_declaration_is_empty" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational  = { aurora = {} }
    collections = { products = { read = "public", relational = {} } }
  }

  expect_failures = [var.collections]
}

run "relational_nine_fields" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {} }
    collections = { products = { read = "public", relational = {
      fields = { for n in range(9) : "f${n}" => { type = "number", pointer = "/f${n}" } }
    } } }
  }

  expect_failures = [var.collections]
}

run "relational_field_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {} }
    collections = { products = {
      read       = "public"
      relational = { fields = { "unit:price" = { type = "number", pointer = "/price" } } }
    } }
  }

  expect_failures = [var.collections]
}

run "relational_field_type" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {} }
    collections = { products = {
      read       = "public"
      relational = { fields = { price = { type = "decimal", pointer = "/price" } } }
    } }
  }

  expect_failures = [var.collections]
}

run "relational_pointer" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {} }
    collections = { products = {
      read       = "public"
      relational = { fields = { price = { type = "number", pointer = "price" } } }
    } }
  }

  expect_failures = [var.collections]
}

run "relational_search_pointer" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {} }
    collections = { products = {
      read       = "public"
      relational = { search = { fields = ["/name~2"] } }
    } }
  }

  expect_failures = [var.collections]
}

run "relational_sort_of_an_undeclared_field" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {} }
    collections = { products = { read = "public", relational = {
      fields = { price = { type = "number", pointer = "/price" } }
      sort   = ["name"]
    } } }
  }

  expect_failures = [var.collections]
}

run "relational_search_without_fields" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {} }
    collections = { products = {
      read       = "public"
      relational = { search = { fields = [] } }
    } }
  }

  expect_failures = [var.collections]
}

run "relational_search_language" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational = { aurora = {} }
    collections = { products = {
      read       = "public"
      relational = { search = { fields = ["/name"], language = "klingon" } }
    } }
  }

  expect_failures = [var.collections]
}

run "query_timeout" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    functions = { query = { timeout_seconds = 11 } }
  }

  expect_failures = [var.functions]
}

run "query_reserves_too_much" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    account_concurrency_quota = 119
    relational                = { aurora = {}, query_concurrency = 20 }
  }

  expect_failures = [var.functions]
}

run "database_layer_is_missing" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    relational         = { aurora = {} }
    database_layer_zip = "tests/mocks/missing.zip"
  }

  expect_failures = [var.database_layer_zip]
}
