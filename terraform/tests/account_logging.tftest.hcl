# Tests of the role with which API Gateway writes logs, which an account has once in each Region.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "role_of_the_account" {
  command = plan

  module {
    source = "./modules/account_logging"
  }

  variables {
    roles = {
      path                 = "/platform/"
      permissions_boundary = "arn:aws:iam::111122223333:policy/boundary"
    }
    logging_policy = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
  }

  assert {
    condition     = aws_api_gateway_account.this.cloudwatch_role_arn == aws_iam_role.logging.arn
    error_message = "API Gateway writes the logs of the account with this role."
  }

  assert {
    condition     = aws_iam_role.logging.name == "api-gateway-logging-eu-central-1"
    error_message = "The role of another Region has another name."
  }

  assert {
    condition     = aws_iam_role_policy_attachment.logging.policy_arn == var.logging_policy
    error_message = "The role has the permissions that API Gateway asks for."
  }

  assert {
    condition = jsondecode(aws_iam_role.logging.assume_role_policy).Statement[0].Principal == {
      Service = "apigateway.amazonaws.com"
    }
    error_message = "Only API Gateway may assume the role."
  }

  assert {
    condition = (
      aws_iam_role.logging.path == var.roles.path
      && aws_iam_role.logging.permissions_boundary == var.roles.permissions_boundary
    )
    error_message = "The role has the organisation's path and boundary."
  }
}

run "names_that_iam_refuses" {
  command = plan

  module {
    source = "./modules/account_logging"
  }

  variables {
    name = "a name with spaces"
  }

  expect_failures = [var.name]
}
