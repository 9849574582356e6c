# Tests of the rules of identity_pool.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  collections   = { profiles = { read = "owner" } }
}

run "identity_pool_without_an_owner_collection" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    identity_pool = true
    collections   = { products = { read = "public" }, old = { read = "owner", retired = true } }
  }

  expect_failures = [var.identity_pool]
}

run "identity_pool_in_govcloud" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    region        = "us-gov-west-1"
    identity_pool = true
    collections   = { profiles = { read = "owner" } }
  }

  expect_failures = [var.identity_pool]
}

run "identity_pool_in_china" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    region        = "cn-north-1"
    identity_pool = true
    collections   = { profiles = { read = "owner" } }
  }

  expect_failures = [var.identity_pool]
}
