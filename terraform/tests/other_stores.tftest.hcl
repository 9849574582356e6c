# Plans stacks with other private stores than private_stores.tftest.hcl: DynamoDB Accelerator, and stores whose
# certificates the team gives.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_ec2_managed_prefix_list" {
    defaults = { id = "pl-0a" }
  }

  mock_resource "aws_dax_cluster" {
    defaults = { cluster_address = "dax.example.com" }
  }
}

mock_provider "aws" {
  alias           = "replica"
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias           = "edge"
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  dax_layer_zip = "tests/mocks/artefact.txt"

  database_layer_zip = "tests/mocks/artefact.txt"

  # The module has no such variables.
  cache_pem = "-----BEGIN CERTIFICATE-----cache"
  rds_pem   = "-----BEGIN CERTIFICATE-----rds"
}

run "dax_in_one_region" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  variables {
    collections = { products = { read = "public" } }
    network     = { primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } } }
    cache       = { dax = {} }

    expected_dax = {
      engine      = "dax"
      endpoint    = "daxs://dax.example.com"
      ttl_seconds = 30
      collections = ["products"]
    }
  }

  assert {
    condition     = jsondecode(module.primary.settings["read"]).cache == var.expected_dax
    error_message = "`read` learns how to reach DAX."
  }

  assert {
    condition     = length(module.primary.functions["read"].layers) == 1
    error_message = "`read` has the layer with the client of DAX."
  }

  assert {
    condition = (
      length(module.feed) == 0 && length(output.feed_queues.primary) == 0
      && !can(jsondecode(module.primary.settings["publish"]).feeds)
    )
    error_message = "DAX reads DynamoDB itself, so nothing feeds it."
  }
}

run "stores_with_certificates_of_the_team" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  variables {
    collections = { products = { read = "public", relational = { search = { fields = ["/name"] } } } }
    network     = { primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } } }
    cache = { external = { primary = {
      host   = "cache.example.com"
      ca_pem = var.cache_pem
    } } }
    relational = { aurora = { ca_pem = { primary = var.rds_pem } } }
  }

  assert {
    condition = alltrue([
      for settings in [module.primary.settings["read"], module.feed[0].settings] :
      jsondecode(settings).cache.ca_pem == var.cache_pem
    ])
    error_message = "`read` and `feed` trust the authority of the cache."
  }

  assert {
    condition = alltrue([
      for settings in [module.primary.settings["query"], module.feed[0].settings] :
      jsondecode(settings).database.ca_pem == var.rds_pem
    ])
    error_message = "`query` and `feed` trust the roots of RDS in this Region."
  }
}

run "database_while_the_replica_goes" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  variables {
    collections = { products = { read = "public", relational = { search = { fields = ["/name"] } } } }
    replica     = { region = "eu-west-1", enabled = false }
    network     = { primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } } }
    relational  = { aurora = {} }
  }

  assert {
    condition     = length(module.feed) == 1 && length(module.replica_feed) == 0
    error_message = "Only the Region that stays has a database to feed."
  }
}
