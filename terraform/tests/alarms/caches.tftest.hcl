# Plans the kinds of caches that the planned stack doesn't have, so that tests/unit/alarms can check their alarms too.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name        = "readplane"
  network     = { vpc_id = "vpc-0c", subnet_ids = ["subnet-0a", "subnet-0b"], functions_group_id = "sg-0f" }
  items_arns  = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
  kms_key_arn = null
  alarms      = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:readplane-alarms"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:readplane-tickets"]
  }
}

run "cache_of_nodes" {
  command = plan

  module {
    source = "./modules/cache"
  }

  variables {
    cache = { nodes = { type = "cache.t4g.micro", replicas = 1 } }
  }

  assert {
    condition     = length(module.alarms) == 1
    error_message = "The cache has alarms."
  }
}

run "cache_of_dax" {
  command = plan

  module {
    source = "./modules/cache"
  }

  variables {
    cache = { dax = { node_type = "dax.t3.small", nodes = 3, ttl_seconds = 30 } }
  }

  assert {
    condition     = length(module.alarms) == 1
    error_message = "The cache has alarms."
  }
}
