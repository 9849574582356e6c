# Tests of module heartbeat: the row that each Region writes every minute, its role, and the alarm on the other's rows.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name         = "readplane"
  other_region = "eu-west-1"
  items = {
    name = "readplane-items"
    arns = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
  }
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k"
  roles       = { path = "/platform/", permissions_boundary = "arn:aws:iam::111122223333:policy/boundary" }
  alarms      = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:team"]
  }
}

run "with_key" {
  command = plan

  module {
    source = "./modules/heartbeat"
  }

  variables {
    expected_input = {
      TableName = "readplane-items"
      Item = {
        pk      = { S = "heartbeat/eu-central-1" }
        sent_at = { S = "<aws.scheduler.scheduled-time>" }
      }
    }

    expected_arn = {
      "aws:SourceArn" = "arn:aws:scheduler:eu-central-1:111122223333:schedule-group/readplane-heartbeat"
    }

    expected_write = {
      Sid       = "WriteHeartbeat"
      Effect    = "Allow"
      Action    = ["dynamodb:PutItem"]
      Resource  = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
      Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["heartbeat/eu-central-1"] } }
    }
  }

  assert {
    condition     = jsondecode(output.input) == var.expected_input
    error_message = "The row has this Region's key and the time for which the run is scheduled, and nothing else."
  }

  assert {
    condition     = strcontains(output.input, "<aws.scheduler.scheduled-time>")
    error_message = "EventBridge Scheduler replaces the keyword, but not an escaped one."
  }

  assert {
    condition     = aws_scheduler_schedule.this.target[0].arn == "arn:aws:scheduler:::aws-sdk:dynamodb:putItem"
    error_message = "EventBridge Scheduler calls DynamoDB itself."
  }

  assert {
    condition     = aws_scheduler_schedule.this.schedule_expression == "rate(1 minute)"
    error_message = "The row is written every minute."
  }

  assert {
    condition     = jsondecode(output.policies.write).Statement[0] == var.expected_write
    error_message = "The role may write this one row only."
  }

  assert {
    condition = jsondecode(output.policies.write).Statement[*].Sid == [
      "WriteHeartbeat", "UseKey", "DecryptSchedule"
    ]
    error_message = "The role may do nothing else, apart from the use of the key."
  }

  assert {
    condition     = jsondecode(output.policies.trust).Statement[0].Condition.ArnEquals == var.expected_arn
    error_message = "Only the schedule of this group gets the role."
  }

  assert {
    condition = (
      aws_iam_role.this.path == "/platform/"
      && aws_iam_role.this.permissions_boundary == var.roles.permissions_boundary
    )
    error_message = "The role has the path and the permissions boundary of the stack."
  }

  assert {
    condition     = module.alarms[0].alarms["replication"].treat_missing_data == "breaching"
    error_message = "No heartbeat means that the replication stands."
  }
}

run "without_key_and_alarms" {
  command = plan

  module {
    source = "./modules/heartbeat"
  }

  variables {
    kms_key_arn = null
    roles       = { path = "/" }
    alarms      = false
  }

  assert {
    condition     = jsondecode(output.policies.write).Statement[*].Sid == ["WriteHeartbeat"]
    error_message = "Without a customer managed key, the role needs no other permission."
  }

  assert {
    condition     = length(module.alarms) == 0
    error_message = "The variable alarms switches the alarm off."
  }
}
