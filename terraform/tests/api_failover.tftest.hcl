# Tests of the failover of the API between the Regions: the health check of one Region, the switch in the other, and the
# full shape of production.

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

override_resource {
  target          = aws_route53_health_check.endpoint
  override_during = plan
  values          = { id = "endpoint-check" }
}

override_resource {
  target          = aws_route53_health_check.switch
  override_during = plan
  values          = { id = "switch-check" }
}

variables {
  region         = "eu-central-1"
  hot_zip        = "tests/mocks/hot.txt"
  functions_zip  = "tests/mocks/artefact.txt"
  layer_zip      = "tests/mocks/artefact.txt"
  poll_layer_zip = "tests/mocks/artefact.txt"
  edge_auth_zip  = "tests/mocks/artefact.txt"

  name               = "readplane"
  throttle           = { rate = 100, burst = 200 }
  log_retention_days = 30
  routes             = { "GET /health" = { fixed = { status = 200, body = "{}" } } }

  domain = {
    name             = "api.example.com"
    certificate_arn  = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
    hosted_zone_id   = "Z0123456789ABCDEFGHIJ"
    default_endpoint = false
    regional_name    = "eu-central-1.api.example.com"
  }
  health_check = { alarm_name = "readplane-leave-eu-central-1", alarm_region = "eu-west-1", settings = "{}" }

  # What the runs expect. The module has no such variables.
  open_health       = "\"NotResource\":\\[\"arn:aws:execute-api:[^\"]*/v1/GET/health\"\\]"
  expected_children = ["endpoint-check", "switch-check"]
  expected_leave = join(" ", [
    "aws cloudwatch put-metric-data --region eu-west-1 --namespace Readplane/Operator --metric-name LeaveRegion",
    "--dimensions Stack=readplane,Region=eu-central-1 --unit Count --value 1",
  ])
}

run "health_check_of_a_region" {
  command = plan

  module {
    source = "./modules/api"
  }

  assert {
    condition     = aws_route53_record.this[0].health_check_id == aws_route53_health_check.this[0].id
    error_message = "Route 53 leaves the Region out while its health check fails."
  }

  assert {
    condition     = toset(aws_route53_health_check.this[0].child_healthchecks) == toset(var.expected_children)
    error_message = "The Region's health depends on the API and on the switch."
  }

  assert {
    condition     = aws_route53_health_check.this[0].child_health_threshold == 2
    error_message = "Both the API and the switch must be healthy."
  }

  assert {
    condition     = aws_route53_health_check.endpoint[0].resource_path == "/v1/health"
    error_message = "Route 53 asks what the lock lets through."
  }

  assert {
    condition     = aws_route53_health_check.endpoint[0].type == "HTTPS"
    error_message = "API Gateway answers by HTTPS only."
  }

  assert {
    condition     = aws_route53_health_check.endpoint[0].fqdn == "eu-central-1.api.example.com"
    error_message = "Route 53 asks this Region's API, by a name that leads nowhere else."
  }

  assert {
    condition     = local.seconds_to_fail == 30
    error_message = "Route 53 takes half a minute to leave the Region out. docs/failover.md adds that up."
  }

  assert {
    condition     = aws_route53_health_check.switch[0].insufficient_data_health_status == "LastKnownStatus"
    error_message = "The switch stays as the operator left it when CloudWatch has no data any more."
  }

  assert {
    condition     = aws_route53_health_check.switch[0].cloudwatch_alarm_name == "readplane-leave-eu-central-1"
    error_message = "The switch is the alarm that the other Region has for this one."
  }

  assert {
    condition     = aws_route53_health_check.switch[0].cloudwatch_alarm_region == "eu-west-1"
    error_message = "The switch is in the other Region, so that it works while this one doesn't."
  }

  assert {
    condition = (
      aws_api_gateway_base_path_mapping.regional[0].base_path == "v1"
      && aws_api_gateway_domain_name.regional[0].security_policy == "TLS_1_2"
    )
    error_message = "The Region's own name has the same paths and refuses old TLS."
  }

  assert {
    condition = (
      aws_route53_record.regional[0].name == "eu-central-1.api.example.com"
      && length(aws_route53_record.regional[0].latency_routing_policy) == 0
    )
    error_message = "The Region's own name leads to this Region, wherever the client is."
  }

  assert {
    condition     = output.domain.regional_name == "eu-central-1.api.example.com"
    error_message = "The output says how to reach this Region's API."
  }
}

run "health_check_by_the_apis_own_address" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    domain = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
      hosted_zone_id  = "Z0123456789ABCDEFGHIJ"
    }
  }

  assert {
    condition = (
      aws_route53_health_check.endpoint[0].fqdn == "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
    )
    error_message = "Without a regional name, Route 53 asks the API's own address."
  }

  assert {
    condition     = length(aws_route53_record.regional) == 0 && length(aws_api_gateway_domain_name.regional) == 0
    error_message = "Without a regional name, the API has one domain name."
  }
}

run "no_failover" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    health_check = null
  }

  assert {
    condition     = aws_route53_record.this[0].health_check_id == null && length(aws_route53_health_check.this) == 0
    error_message = "Without failover, nothing is checked and paid for."
  }
}

run "a_health_check_needs_a_record" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    domain = {
      name            = "api.example.com"
      certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
    }
  }

  expect_failures = [var.health_check]
}

run "production" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    replica              = { region = "eu-west-1" }
    customer_managed_key = true
    deletion_protection  = true
    alarms               = true
    cache_size           = "0.5"
    api_failover         = true
    firewall             = {}
    cors_origins         = ["https://app.example.com"]
    sign_in              = { web_callback_urls = ["https://app.example.com/"], web_logout_urls = [] }
    edge                 = { domain = { name = "www.example.com", zone_id = "Z0123456789ABCDEFGHIJ" } }
    collections = {
      products = { read = "public", cache_ttl = 60 }
      prices   = { read = "authenticated", edge_ttl = 60 }
      profiles = { read = "owner" }
    }
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
      }
    }
    backends = { catalog = { url = "https://catalog.example.com", throttle = { rate = 5, burst = 10 } } }
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
  }

  assert {
    condition     = local.edge_api.host == "api.example.com" && local.edge_api.path == ""
    error_message = "CloudFront reaches the API by the shared name, and the stage is a part of the path already."
  }

  assert {
    condition     = output.primary.api.domain.name == output.replica.api.domain.name
    error_message = "Both Regions have the same name."
  }

  assert {
    condition = alltrue([
      for region in [output.primary, output.replica] : region.api.domain.health_check_id != null
    ])
    error_message = "Each Region's record has a health check."
  }

  assert {
    condition     = output.api_switches["eu-central-1"].leave == var.expected_leave
    error_message = "An operator leaves the primary Region through the replica Region."
  }

  assert {
    condition     = endswith(output.api_switches["eu-west-1"].return, "Region=eu-west-1 --unit Count --value 0")
    error_message = "An operator returns to the replica Region by the value 0."
  }

  assert {
    condition     = strcontains(output.api_switches["eu-west-1"].leave, "--region eu-central-1 ")
    error_message = "An operator leaves the replica Region through the primary Region."
  }

  assert {
    condition = alltrue([
      for region in [module.primary, module.replica[0]] : can(regex(var.open_health, region.policies.api))
    ])
    error_message = "The lock of both Regions lets the health check through."
  }

  assert {
    condition     = length(module.firewall) == 1 && length(module.replica_site) == 1 && length(module.lock) == 0
    error_message = "Production has a firewall, the site in both Regions, and the lock that costs nothing."
  }
}

run "without_failover" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    replica     = { region = "eu-west-1" }
    collections = { products = { read = "public" } }
  }

  assert {
    condition     = length(output.api_switches) == 0 && length(local.api_switches) == 0
    error_message = "Without api_failover, there is no switch."
  }
}
