# Plans a stack with everything that has alarms, so that tests/unit/alarms can check the alarms that Terraform really
# makes: two Regions that can poll, sources with and without a sweep, backends with and without an API key, an edge with
# a firewall, one name of the API for both Regions, a cache and a database. caches.tftest.hcl has the other kinds of
# caches.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias           = "replica"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "eu-west-1"
    }
  }
}

mock_provider "aws" {
  alias           = "edge"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "us-east-1"
    }
  }
}

# The ids of the event source mappings, which AWS would choose. They differ, so that an alarm on the wrong mapping
# shows.
override_resource {
  target          = module.primary.aws_lambda_event_source_mapping.apply
  override_during = plan
  values          = { uuid = "10000000-0000-4000-8000-000000000000" }
}

override_resource {
  target          = module.primary.aws_lambda_event_source_mapping.publish["1"]
  override_during = plan
  values          = { uuid = "20000000-0000-4000-8000-000000000000" }
}

override_resource {
  target          = module.replica[0].aws_lambda_event_source_mapping.apply
  override_during = plan
  values          = { uuid = "30000000-0000-4000-8000-000000000000" }
}

override_resource {
  target          = module.replica[0].aws_lambda_event_source_mapping.publish["1"]
  override_during = plan
  values          = { uuid = "40000000-0000-4000-8000-000000000000" }
}

override_resource {
  target          = module.change_stream[0].aws_lambda_event_source_mapping.apply
  override_during = plan
  values          = { uuid = "50000000-0000-4000-8000-000000000000" }
}

override_resource {
  target          = module.replica_change_stream[0].aws_lambda_event_source_mapping.apply
  override_during = plan
  values          = { uuid = "60000000-0000-4000-8000-000000000000" }
}

# The topics of tickets. The mocked provider would give them the ARN of the topic of pages.
override_resource {
  target          = module.monitoring[0].module.ticket_topic.aws_sns_topic.alarms
  override_during = plan
  values          = { arn = "arn:aws:sns:eu-central-1:111122223333:readplane-tickets" }
}

override_resource {
  target          = module.replica_monitoring[0].module.ticket_topic.aws_sns_topic.alarms
  override_during = plan
  values          = { arn = "arn:aws:sns:eu-west-1:111122223333:readplane-tickets" }
}

override_resource {
  target          = module.edge_ticket_topic[0].aws_sns_topic.alarms
  override_during = plan
  values          = { arn = "arn:aws:sns:us-east-1:111122223333:readplane-eu-central-1-tickets" }
}

variables {
  region         = "eu-central-1"
  replica        = { region = "eu-west-1" }
  hot_zip        = "tests/mocks/hot.txt"
  functions_zip  = "tests/mocks/artefact.txt"
  layer_zip      = "tests/mocks/artefact.txt"
  poll_layer_zip = "tests/mocks/artefact.txt"

  collections = {
    products = {
      read         = "public"
      write_groups = ["editors"]
      relational   = { fields = { price = { type = "number", pointer = "/price" } } }
    }
    prices = { read = "authenticated" }
    stock  = { read = "public" }
  }
  groups = ["editors"]

  sources = {
    prices = {
      mode             = "changes"
      collection       = "prices"
      url              = "https://prices.example.com/prices?since={cursor}"
      schedule         = "rate(5 minutes)"
      staleness_budget = 900
      records          = "rows"
      id               = "code"
      version          = { expression = "changed", format = "rfc3339" }
      translation      = "@"
      sweep            = { schedule = "cron(0 3 * * ? *)" }
    }
    stock = {
      mode             = "snapshot"
      collection       = "stock"
      url              = "https://stock.example.com/stock"
      expect           = "stock != null"
      schedule         = "rate(1 hour)"
      staleness_budget = 7200
    }
  }

  # The sources have alarms in both Regions.
  poll = { in_replica = true }

  database_layer_zip = "tests/mocks/artefact.txt"
  relational         = { aurora = {} }
  cache              = { serverless = {} }
  network = {
    primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } }
    replica = { create = { cidr = "10.21.0.0/20", zones = ["eu-west-1a", "eu-west-1b"] } }
  }

  edge_auth_zip = "tests/mocks/artefact.txt"
  edge          = { site = false }
  firewall      = {}

  deploy = { canary = {} }

  customer_managed_key      = true
  account_concurrency_quota = 1000
  cache_size                = "0.5"

  tickets      = {} # so that tickets have topics of their own, which say in the plan what is a ticket
  api_failover = true
  domains = {
    primary = {
      name             = "api.example.com"
      certificate_arn  = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      hosted_zone_id   = "Z0123456789ABCDEFGHIJ"
      default_endpoint = false
      regional_name    = "eu-central-1.api.example.com"
    }
    replica = {
      name             = "api.example.com"
      certificate_arn  = "arn:aws:acm:eu-west-1:111122223333:certificate/1"
      hosted_zone_id   = "Z0123456789ABCDEFGHIJ"
      default_endpoint = false
      regional_name    = "eu-west-1.api.example.com"
    }
  }

  backends = {
    catalog = { url = "https://catalog.example.com", throttle = { rate = 5, burst = 10 }, timeout_ms = 8000 }
  }
}

run "stack" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  assert {
    condition     = output.alarm_topic_arn != null
    error_message = "The stack has alarms."
  }

  assert {
    condition     = module.relational_guard[0].protected && module.replica_relational_guard[0].protected
    error_message = "A guard refuses before anything of a protected database is gone."
  }
}
