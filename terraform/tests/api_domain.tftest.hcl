# Tests of an API with a domain name of the team.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name               = "readplane"
  throttle           = { rate = 100, burst = 200 }
  log_retention_days = 30
  routes             = { "GET /health" = { fixed = { status = 200, body = "{}" } } }

  # What a run expects. The module has no such variable.
  expected_target = "d-a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com Z1U9ULNL0V5AJ3"

  domain = {
    name            = "api.example.com"
    certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/11111111-2222-3333-4444-555555555555"
  }
}

run "own_dns" {
  command = plan

  module {
    source = "./modules/api"
  }

  assert {
    condition     = aws_api_gateway_domain_name.this[0].security_policy == "TLS_1_2"
    error_message = "The domain refuses TLS versions before 1.2."
  }

  assert {
    condition     = aws_api_gateway_domain_name.this[0].endpoint_configuration[0].types == tolist(["REGIONAL"])
    error_message = "The domain is in the API's own Region."
  }

  assert {
    condition     = aws_api_gateway_domain_name.this[0].regional_certificate_arn == var.domain.certificate_arn
    error_message = "The domain has the certificate of its Region."
  }

  assert {
    condition = (
      aws_api_gateway_base_path_mapping.this[0].base_path == "v1"
      && aws_api_gateway_base_path_mapping.this[0].stage_name == "v1"
    )
    error_message = "Paths begin with /v1 on the domain too."
  }

  assert {
    condition     = length(aws_route53_record.this) == 0
    error_message = "Without a zone, the team's own DNS leads to the API."
  }

  assert {
    condition     = "${output.domain.target} ${output.domain.zone_id}" == var.expected_target
    error_message = "The output says what the team's own DNS must lead to."
  }

  assert {
    condition     = output.domain.name == "api.example.com" && output.domain.health_check_id == null
    error_message = "The output has the name. Without failover, there is no health check."
  }

  assert {
    condition = (
      !aws_api_gateway_rest_api.this.disable_execute_api_endpoint
      && !strcontains(output.document, "disableExecuteApiEndpoint")
    )
    error_message = "The API's own address goes on to work."
  }
}

run "route_53_and_no_other_address" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    domain = {
      name             = "api.example.com"
      certificate_arn  = "arn:aws:acm:eu-central-1:111122223333:certificate/11111111-2222-3333-4444-555555555555"
      hosted_zone_id   = "Z0123456789ABCDEFGHIJ"
      default_endpoint = false
    }
  }

  assert {
    condition     = aws_route53_record.this[0].zone_id == var.domain.hosted_zone_id
    error_message = "The record is in the team's zone."
  }

  assert {
    condition = (
      aws_route53_record.this[0].name == "api.example.com"
      && aws_route53_record.this[0].alias[0].name == output.domain.target
    )
    error_message = "The record leads the name to API Gateway."
  }

  assert {
    condition     = aws_route53_record.this[0].latency_routing_policy[0].region == "eu-central-1"
    error_message = "Clients reach the nearer Region."
  }

  assert {
    condition     = aws_route53_record.this[0].set_identifier == "readplane-eu-central-1"
    error_message = "A replica's record can have the same name."
  }

  assert {
    condition     = aws_api_gateway_rest_api.this.disable_execute_api_endpoint
    error_message = "The API doesn't answer on its own address."
  }

  assert {
    condition = jsondecode(output.document).x-amazon-apigateway-endpoint-configuration == {
      disableExecuteApiEndpoint = true
    }
    error_message = "An import doesn't turn the default endpoint on again, and a new deployment turns it off."
  }
}

run "a_domain_needs_a_regional_api" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    endpoint_type = "EDGE"
  }

  expect_failures = [var.domain]
}
