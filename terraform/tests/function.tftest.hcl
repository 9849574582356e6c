mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                 = "readplane"
  function             = "write"
  code                 = { zip = "tests/mocks/artefact.txt", architecture = "arm64", layers = ["arn:aws:lambda:eu-central-1:111122223333:layer:libraries:1"] }
  memory_mb            = 512
  timeout_seconds      = 15
  reserved_concurrency = null
  snap_start           = false
  settings             = "{\"function\":\"write\"}"
  kms_key_arn          = "arn:aws:kms:eu-central-1:111122223333:key/k"
  log_retention_days   = 30
  alarms               = true
  alarm_actions        = ["arn:aws:sns:eu-central-1:111122223333:operators"]
  statements = [
    { Sid = "PutChanges", Action = ["firehose:PutRecord"], Resource = ["arn:aws:firehose:eu-central-1:111122223333:deliverystream/d"] },
    { Sid = "UseKey", Action = ["kms:Decrypt"], Resource = ["arn:aws:kms:eu-central-1:111122223333:key/k"], Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } } },
  ]
}

run "everything_on" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    reserved_concurrency = 7
    snap_start           = true
  }

  assert {
    condition = [for s in jsondecode(output.policy).Statement : s if s.Sid == "WriteOwnLog"] == [{
      Sid      = "WriteOwnLog"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:*"]
    }]
    error_message = "A function writes its own log group and no other."
  }
}
