# Tests of deployments by CodeDeploy: module `deployment`, and what a stack with deploy.canary calls.

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

  mock_resource "aws_sns_topic" {
    defaults = {
      arn = "arn:aws:sns:eu-west-1:111122223333:readplane-alarms"
    }
  }

  mock_resource "aws_kms_key" {
    defaults = {
      id  = "99999999-8888-7777-6666-555555555555"
      arn = "arn:aws:kms:eu-west-1:111122223333:key/99999999-8888-7777-6666-555555555555"
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

variables {
  region         = "eu-central-1"
  hot_zip        = "tests/mocks/hot.txt"
  functions_zip  = "tests/mocks/artefact.txt"
  layer_zip      = "tests/mocks/artefact.txt"
  poll_layer_zip = "tests/mocks/artefact.txt"
  collections    = { products = { read = "public", write_groups = ["editors"] }, prices = { read = "public" } }
  groups         = ["editors"]
}

run "deployments_of_two_functions" {
  command = plan

  module {
    source = "./modules/deployment"
  }

  variables {
    name   = "shop"
    alias  = "released-2"
    canary = { percent = 20, minutes = 15 }
    roles  = { path = "/platform/", permissions_boundary = "arn:aws:iam::111122223333:policy/boundary" }

    client_alarms = ["api-errors", "api-slow", "writes-unconfirmed", "probe-failed"]
    functions = {
      read         = { name = "shop-read", arn = "arn:aws:lambda:eu-central-1:111122223333:function:shop-read" }
      apply-stream = { name = "shop-apply-stream", arn = "arn:aws:lambda:eu-central-1:111122223333:function:s" }
    }

    expected_alarms = {
      read = [
        "shop-read-errors", "shop-api-errors", "shop-api-slow", "shop-writes-unconfirmed", "shop-probe-failed",
      ]
      apply-stream = [
        "shop-apply-stream-errors", "shop-api-errors", "shop-api-slow", "shop-writes-unconfirmed", "shop-probe-failed",
        "shop-quarantine",
      ]
    }
    expected_groups = "arn:aws:codedeploy:eu-central-1:111122223333:deploymentgroup:shop/*"
    expected_aliases = [
      "arn:aws:lambda:eu-central-1:111122223333:function:s",
      "arn:aws:lambda:eu-central-1:111122223333:function:s:released-2",
      "arn:aws:lambda:eu-central-1:111122223333:function:shop-read",
      "arn:aws:lambda:eu-central-1:111122223333:function:shop-read:released-2",
    ]
  }

  assert {
    condition     = { for key, each in output.deployments.functions : key => each.alarms } == var.expected_alarms
    error_message = "An alarm on the function, on what clients see, or on the function's stage rolls a deployment back."
  }

  assert {
    condition = alltrue([
      for key, group in aws_codedeploy_deployment_group.this :
      group.alarm_configuration[0].alarms == toset(var.expected_alarms[key])
    ])
    error_message = "CodeDeploy watches these alarms."
  }

  assert {
    condition = !anytrue(
      values(aws_codedeploy_deployment_group.this)[*].alarm_configuration[0].ignore_poll_alarm_failure
    )
    error_message = "CodeDeploy rolls back if it can't read the alarms."
  }

  assert {
    condition = alltrue([for group in aws_codedeploy_deployment_group.this :
      length(group.auto_rollback_configuration[0].events) == 3
    ])
    error_message = "CodeDeploy rolls back after an alarm, a failure and a stop."
  }

  assert {
    condition = one(aws_codedeploy_deployment_config.this.traffic_routing_config[0].time_based_canary) == {
      percentage = 20
      interval   = 15
    }
    error_message = "The new version gets 20 % of the calls for 15 minutes."
  }

  assert {
    condition     = aws_codedeploy_deployment_config.this.deployment_config_name == "shop-20-percent-for-15-minutes"
    error_message = "Another share has another name, because CodeDeploy can't change a configuration."
  }

  assert {
    condition = (
      aws_iam_role.this.path == "/platform/"
      && aws_iam_role.this.permissions_boundary == var.roles.permissions_boundary
    )
    error_message = "The role has the path and the boundary of every role of the stack."
  }

  assert {
    condition     = jsondecode(output.policies.role).Statement[0].Resource == var.expected_aliases
    error_message = "CodeDeploy moves the aliases of these functions only."
  }

  assert {
    condition = jsondecode(output.policies.trust).Statement[0].Condition.ArnLike == {
      "aws:SourceArn" = var.expected_groups
    }
    error_message = "CodeDeploy takes the role for the groups of this stack only."
  }

  assert {
    condition     = alltrue([for alarms in values(local.alarms) : length(distinct(alarms)) == length(alarms)])
    error_message = "No function names an alarm twice, which CodeDeploy refuses."
  }
}

run "deployments_in_china" {
  command = plan

  module {
    source = "./modules/deployment"
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  variables {
    name   = "shop"
    alias  = "released-1"
    canary = { percent = 10, minutes = 10 }

    client_alarms = ["api-errors", "api-slow", "writes-unconfirmed"]
    functions = {
      read = { name = "shop-read", arn = "arn:aws-cn:lambda:cn-north-1:111122223333:function:shop-read" }
    }
  }

  assert {
    condition     = local.principal == "codedeploy.cn-north-1.amazonaws.com.cn"
    error_message = "In China, the name of the service contains the Region."
  }

  assert {
    condition     = startswith(local.groups_arn, "arn:aws-cn:codedeploy:cn-north-1:")
    error_message = "The groups are in the partition of the functions."
  }
}

run "stack_without_canary" {
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
    condition     = output.deployments == {} && module.record.released_alias == null
    error_message = "By default, a stack has no deployments and no alias for them."
  }
}

run "stack_with_canary_in_two_regions" {
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
    deploy  = { canary = {} }
    replica = { region = "eu-west-1" }
    sources = {
      prices = {
        mode             = "snapshot"
        collection       = "prices"
        schedule         = "rate(1 hour)"
        staleness_budget = 7200
        url              = "https://erp.example.com/rates"
        expect           = "type(rates) == 'array'"
      }
    }

    expected_functions = ["apply", "apply-stream", "poll", "publish", "read", "write"]
    expected_alarms = [
      "readplane-read-errors", "readplane-api-errors", "readplane-api-slow", "readplane-writes-unconfirmed",
      "readplane-probe-failed",
    ]
  }

  assert {
    condition     = keys(output.deployments["eu-central-1"].functions) == var.expected_functions
    error_message = "The primary Region deploys every function that it has."
  }

  assert {
    condition     = keys(output.deployments["eu-west-1"].functions) == ["apply", "publish", "read", "write"]
    error_message = "So does the replica Region."
  }

  assert {
    condition = alltrue([
      for region in values(output.deployments) : region.functions["read"].alarms == var.expected_alarms
    ])
    error_message = "In each Region, the alarms on what clients see roll a deployment back."
  }

  assert {
    condition = join(" ", distinct(flatten([
      for region in values(output.deployments) : values(region.functions)[*].alias
    ]))) == "released-1"
    error_message = "CodeDeploy moves the alias that clients call."
  }
}
