# Tests that an attribute which no variable has is refused at plan.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
}

run "attributes_that_do_not_exist" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public" }, prices = { read = "owner" } }
    sign_in     = {}
    functions   = { write = {} }
    declared = {
      collections = {
        products = { read = "public", shema = "{}", throttle = { rate = 1, burst = 2, burts = 3 } }
        prices   = { read = "owner", zzz = 1 }
      }
      sign_in   = { MFA = "ON" }
      functions = { write = { memory = 512 }, wriet = {} }
      notify    = null
    }
  }

  expect_failures = [output.declared]
}

# The deepest attribute of all variables.
run "attribute_of_a_field_that_does_not_exist" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    database_layer_zip = "tests/mocks/artefact.txt"
    relational         = { external = { primary = { writer = "db.example.com", reader = "reader.example.com" } } }
    collections = { products = {
      read       = "public"
      relational = { fields = { price = { type = "number", pointer = "/price" } } }
    } }
    declared = { collections = { products = {
      read       = "public"
      relational = { fields = { price = { type = "number", pointer = "/price", index = true } } }
    } } }
  }

  expect_failures = [output.declared]
}

run "attributes_that_exist" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", throttle = { rate = 1, burst = 2 } }, prices = { read = "owner" } }
    backends    = { crm = { url = "https://crm.example.com", cache = null, methods = ["GET"] } }
    cache_size  = "0.5"
    declared = {
      collections = { products = { read = "public", throttle = { rate = 1, burst = 2 } }, prices = { read = "owner" } }
      backends    = { crm = { url = "https://crm.example.com", cache = null, methods = ["GET"] } }
      functions   = { write = { memory_mb = 512 } }
      sources     = {}
      notify      = null
      sign_in     = { web_logout_urls = [] }
    }
  }

  assert {
    condition     = output.declared
    error_message = "Lists, maps, null and nested objects are no unknown attributes."
  }
}

run "an_unknown_attribute_is_named_with_the_nearest_one" {
  command = plan

  module {
    source = "./modules/settings/attribute_level"
  }

  variables {
    entries = [
      { path = "sign_in", declared = { MFA = "ON" }, typed = { mfa = "OPTIONAL", refresh_days = 30 } },
      { path = "collections.a", declared = { shema = "{}", zz = 1 }, typed = { schema = null, read = "public" } },
      { path = "sources.a.headers", declared = { X-Tenant = "7" }, typed = { X-Tenant = "7" } },
      { path = "cors_origins", declared = ["a"], typed = ["a"] },
      { path = "alarms", declared = true, typed = true },
      { path = "notify", declared = null, typed = { emails = [] } },
    ]
    unknown = [
      "sign_in.MFA doesn't exist. Do you mean mfa?",
      "collections.a.shema doesn't exist. Do you mean schema?",
      "collections.a.zz doesn't exist. Choose from read, schema.",
    ]
  }

  assert {
    condition     = output.unknown == var.unknown
    error_message = "The message names each unknown attribute, and the one that is most like it."
  }
}
