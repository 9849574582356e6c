# Plans the stack with private stores: who runs in the network, what each function learns of the stores, and what it may
# do there.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_ec2_managed_prefix_list" {
    defaults = { id = "pl-0a" }
  }

  mock_resource "aws_vpc" {
    defaults = { id = "vpc-0c" }
  }

  mock_resource "aws_subnet" {
    defaults = { id = "subnet-0c" }
  }

  mock_resource "aws_security_group" {
    defaults = { id = "sg-0c" }
  }

  mock_resource "aws_elasticache_serverless_cache" {
    defaults = { endpoint = [{ address = "cache.example.com", port = 6379 }] }
  }
}

mock_provider "aws" {
  alias           = "replica"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_resource "aws_elasticache_serverless_cache" {
    defaults = { endpoint = [{ address = "cache.replica.example.com", port = 6379 }] }
  }
}

mock_provider "aws" {
  alias           = "edge"
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  region             = "eu-central-1"
  hot_zip            = "tests/mocks/hot.txt"
  functions_zip      = "tests/mocks/artefact.txt"
  layer_zip          = "tests/mocks/artefact.txt"
  database_layer_zip = "tests/mocks/artefact.txt"

  collections = {
    products = {
      read       = "public"
      relational = { fields = { price = { type = "number", pointer = "/price" } }, sort = ["price"] }
    }
    orders = { read = "owner", retired = true }
    notes  = { read = "public", cache = false }
  }
}

run "serverless_cache_and_external_database_in_both_regions" {
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
    replica = { region = "eu-west-1" }
    network = {
      primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } }
      replica = { existing = { vpc_id = "vpc-0e", subnet_ids = ["subnet-0e", "subnet-0f"] } }
    }
    cache = { serverless = {}, generation = 3 }
    relational = { external = {
      primary = { writer = "writer.example.com", reader = "reader.example.com" }
      replica = { writer = "writer.replica.example.com", reader = "reader.replica.example.com" }
    } }
    store_passwords = { query = "q", feed = "f", owner = "o", replica_query = "q", replica_feed = "f" }

    expected_queues = ["feed_cache", "feed_cache_dead_letters", "feed_database", "feed_database_dead_letters"]

    expected_read_cache = {
      collections      = ["orders", "products"]
      engine           = "valkey"
      fresh_seconds    = 30
      generation       = 3
      host             = "cache.example.com"
      iam_name         = "readplane-cache"
      max_item_bytes   = 65536
      negative_seconds = 5
      port             = 6379
      serverless       = true
      stale_seconds    = 300
      tls              = true
      user             = "readplane-read"
    }

    expected_collections = {
      cache    = ["orders", "products"]
      database = ["products"]
    }

    expected_send = [{
      Sid      = "SendKeys"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = ["arn:aws:sqs:eu-central-1:111122223333:a-queue", "arn:aws:sqs:eu-central-1:111122223333:a-queue"]
    }]

    expected_use = [{
      Sid    = "UseKey"
      Effect = "Allow"
      Action = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = [
        "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
      ]
      Condition = { StringEquals = { "kms:ViaService" = [
        "s3.eu-central-1.amazonaws.com", "dynamodb.eu-central-1.amazonaws.com", "sqs.eu-central-1.amazonaws.com",
      ] } }
    }]

    expected_arns = [[
      "arn:aws:elasticache:eu-central-1:111122223333:serverlesscache:readplane-cache",
      "arn:aws:elasticache:eu-central-1:111122223333:user:readplane-read",
    ]]
  }

  assert {
    condition     = jsonencode(jsondecode(module.primary.settings["read"]).cache) == jsonencode(var.expected_read_cache)
    error_message = "`read` learns how to reach the cache as its own user, and which collections are cached."
  }

  assert {
    condition = jsondecode(module.feed[0].settings).cache == merge(
      jsondecode(module.primary.settings["read"]).cache, { user = "readplane-feed" }
    )
    error_message = "`feed` reaches the same cache as another user."
  }

  assert {
    condition     = jsondecode(module.replica_feed[0].settings).cache.host == "cache.replica.example.com"
    error_message = "Each Region has stores of its own."
  }

  assert {
    condition     = jsondecode(module.replica_feed[0].settings).database.host == "writer.replica.example.com"
    error_message = "Each Region has stores of its own."
  }

  assert {
    condition = {
      for store, feed in jsondecode(module.primary.settings["publish"]).feeds : store => feed.collections
    } == var.expected_collections
    error_message = "`publish` sends the keys of the collections that each store holds, retired ones included."
  }

  assert {
    condition = [
      for each in jsondecode(module.primary.policies.functions["publish"]).Statement : each if each.Sid == "SendKeys"
    ] == var.expected_send
    error_message = "`publish` may send to the feed queues only."
  }

  assert {
    condition = [
      for each in jsondecode(module.primary.policies.functions["publish"]).Statement : each if each.Sid == "UseKey"
    ] == var.expected_use
    error_message = "`publish` may use the key for the queues, too."
  }

  assert {
    condition = alltrue([
      for function, policy in module.primary.policies.functions :
      strcontains(policy, "ec2:") == contains(["read", "query"], function)
    ])
    error_message = "Of the functions of module region, only `read` and `query` run in the network."
  }

  assert {
    condition     = strcontains(module.feed[0].policies.function, "ec2:CreateNetworkInterface")
    error_message = "`feed` runs in the network."
  }

  assert {
    condition = [
      for each in jsondecode(module.primary.policies.functions["read"]).Statement : each.Resource
      if each.Sid == "ConnectToCache"
    ] == var.expected_arns
    error_message = "`read` may sign in to the cache as its own user only."
  }

  assert {
    condition = nonsensitive(keys(local.feed_secrets.primary)) == [
      "READPLANE_DATABASE_OWNER_PASSWORD", "READPLANE_DATABASE_PASSWORD",
    ]
    error_message = "`feed` gets the passwords of the external database."
  }

  assert {
    condition = alltrue([for function in values(module.primary.functions) :
      !anytrue([for name in keys(function.environment) : strcontains(name, "PASSWORD")])
    ])
    error_message = "No output shows a password."
  }

  assert {
    condition     = module.network[0].network.vpc.security_group_ids == ["sg-0c"]
    error_message = "A team learns which network to connect with its own."
  }

  assert {
    condition     = output.primary.network.vpc_id == "vpc-0c"
    error_message = "A team learns which network to connect with its own."
  }

  assert {
    condition     = output.replica.network.vpc_id == "vpc-0e"
    error_message = "A team learns which network to connect with its own."
  }

  assert {
    condition     = toset(keys(output.feed_queues.primary)) == toset(["cache", "database"])
    error_message = "Operators learn the queues."
  }

  assert {
    condition     = length(setsubtract(var.expected_queues, keys(output.primary.queues))) == 0
    error_message = "Operators learn the queues."
  }
}

run "cache_with_two_shards" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public" } }
    network     = { primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } } }
    cache       = { nodes = {} }
    declared    = { cache = { nodes = { shards = 2 } } }
  }

  expect_failures = [output.declared]
}

run "feed_without_executions_for_commands" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } } }

    collections               = { products = { read = "public" } }
    cache                     = { nodes = {}, feed_concurrency = 4 }
    account_concurrency_quota = 1000
    functions                 = { feed = { reserved_concurrency = 5 } }
  }

  expect_failures = [output.feed_concurrency]
}
