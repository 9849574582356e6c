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
  reserved_concurrency = 7
  snap_start           = true
  settings             = "{\"name\":\"readplane\"}"
  kms_key_arn          = "arn:aws:kms:eu-central-1:111122223333:key/k"
  log_retention_days   = 30
  alarms               = true
  alarm_actions        = ["arn:aws:sns:eu-central-1:111122223333:operators"]
  statements = [
    { Sid = "PutChanges", Action = ["firehose:PutRecord"], Resource = ["arn:aws:firehose:eu-central-1:111122223333:deliverystream/d"] },
    { Sid = "UseKey", Action = ["kms:Decrypt"], Resource = ["arn:aws:kms:eu-central-1:111122223333:key/k"], Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } } },
  ]
}

run "in_a_vpc" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    vpc = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"] }
  }

  assert {
    condition     = aws_lambda_function.this.vpc_config[0].subnet_ids == toset(["subnet-1", "subnet-2"]) && aws_lambda_function.this.vpc_config[0].security_group_ids == toset(["sg-1"])
    error_message = "The function runs in the subnets and security groups of var.vpc."
  }

  assert {
    condition = jsonencode([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s if strcontains(jsonencode(s.Action), "ec2:")]) == jsonencode([
      {
        Action   = ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"]
        Effect   = "Allow"
        Resource = ["arn:aws:ec2:eu-central-1:111122223333:*/*"]
        Sid      = "KeepNetworkInterfaces"
      },
      { Action = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"], Effect = "Allow", Resource = ["*"], Sid = "FindNetworkInterfaces" },
      {
        Action    = ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = ["arn:aws:lambda:eu-central-1:111122223333:function:readplane-write"] } }
        Effect    = "Deny"
        Resource  = ["*"]
        Sid       = "KeepCodeFromInterfaces"
      },
    ])
    error_message = "Lambda may keep the function's network interfaces; the function's own code may not."
  }
}

run "with_a_policy_that_is_too_long" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    statements = [for n in range(100) : { Sid = "Statement${n}", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::a-bucket-with-a-long-name/prefix-${n}/*"] }]
  }

  expect_failures = [aws_iam_role_policy.this]
}

run "with_everything" {
  command = plan

  module {
    source = "./modules/function"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.this.policy) == jsondecode(jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid      = "WriteOwnLog"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:*"]
        },
        {
          Sid      = "SendTraces"
          Effect   = "Allow"
          Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
          Resource = ["*"]
        },
        {
          Sid       = "DecryptOwnSettings"
          Effect    = "Allow"
          Action    = ["kms:Decrypt"]
          Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
          Condition = { StringEquals = { "kms:EncryptionContext:aws:lambda:FunctionArn" = ["arn:aws:lambda:eu-central-1:111122223333:function:readplane-write"] } }
        },
        {
          Sid      = "PutChanges"
          Effect   = "Allow"
          Action   = ["firehose:PutRecord"]
          Resource = ["arn:aws:firehose:eu-central-1:111122223333:deliverystream/d"]
        },
        {
          Sid       = "UseKey"
          Effect    = "Allow"
          Action    = ["kms:Decrypt"]
          Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
          Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } }
        },
      ]
    }))
    error_message = "The role allows only the function's own log, traces and settings, and the given statements."
  }

  assert {
    condition = (
      jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Service == "lambda.amazonaws.com"
      && aws_iam_role.this.name == "readplane-eu-central-1-write"
    )
    error_message = "Only Lambda may assume the role. Its name holds the Region, because IAM roles are global."
  }

  assert {
    condition     = aws_lambda_function.this.environment[0].variables == tomap({ READPLANE_SETTINGS = base64gzip("{\"name\":\"readplane\"}") })
    error_message = "The settings are compressed in one variable, and the environment holds no other variable."
  }

  assert {
    condition = (
      aws_lambda_function.this.handler == "readplane.write.handler.handler"
      && aws_lambda_function.this.runtime == "python3.13"
      && aws_lambda_function.this.tracing_config[0].mode == "Active"
      && aws_lambda_function.this.kms_key_arn == "arn:aws:kms:eu-central-1:111122223333:key/k"
      && aws_lambda_function.this.logging_config[0].log_format == "Text"
      && aws_lambda_function.this.logging_config[0].log_group == aws_cloudwatch_log_group.this.name
    )
    error_message = "Handler, runtime, tracing, encryption and log group are the stack's own; log lines stay as printed."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30 && aws_cloudwatch_log_group.this.kms_key_id == "arn:aws:kms:eu-central-1:111122223333:key/k"
    error_message = "Logs expire and are encrypted."
  }

  assert {
    condition = (
      aws_lambda_function.this.reserved_concurrent_executions == 7
      && aws_lambda_function.this.snap_start[0].apply_on == "PublishedVersions"
      && aws_lambda_function.this.publish
      && aws_lambda_alias.this.name == "live"
      && aws_lambda_alias.this.function_version == "1"
    )
    error_message = "The alias `live` points at a published version, which SnapStart needs."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.errors[0].dimensions.FunctionName == "readplane-write" && aws_cloudwatch_metric_alarm.throttles[0].dimensions.FunctionName == "readplane-write"
    error_message = "Each alarm has the dimension of its function, without which it would watch nothing."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.errors[0].alarm_actions == toset(["arn:aws:sns:eu-central-1:111122223333:operators"])
    error_message = "The alarms notify the given topics."
  }
}

run "with_required_variables_only" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    reserved_concurrency = null
    snap_start           = false
    kms_key_arn          = null
    alarms               = false
    statements           = []
  }

  assert {
    condition     = [for s in jsondecode(output.policy).Statement : s.Sid] == ["WriteOwnLog", "SendTraces"]
    error_message = "Without a key and statements, the role allows only log and traces."
  }

  # The value -1 means that no concurrency is reserved, because the AWS provider shows it so.
  assert {
    condition     = coalesce(aws_lambda_function.this.reserved_concurrent_executions, -1) == -1 && length(aws_lambda_function.this.snap_start) == 0
    error_message = "By default, no concurrency is reserved and SnapStart is off."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.errors) == 0 && length(aws_cloudwatch_metric_alarm.throttles) == 0
    error_message = "alarms = false creates no alarm."
  }
}

run "with_a_variable_of_its_own" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    environment = { READPLANE_CLIENT = "boto3" }
  }

  assert {
    condition = aws_lambda_function.this.environment[0].variables == tomap({
      READPLANE_CLIENT   = "boto3"
      READPLANE_SETTINGS = base64gzip("{\"name\":\"readplane\"}")
    })
    error_message = "The environment holds the given variable and the settings."
  }

  assert {
    condition     = jsonencode(output.runs) == "{\"environment\":{\"READPLANE_CLIENT\":\"boto3\"},\"layers\":[\"arn:aws:lambda:eu-central-1:111122223333:layer:libraries:1\"],\"zip\":\"tests/mocks/artefact.txt\"}"
    error_message = "The output runs shows the zip, the layers and the environment."
  }
}

run "in_another_partition" {
  command = plan

  module {
    source = "./modules/function"
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-us-gov" }
  }

  assert {
    condition = (
      one([for s in jsondecode(output.policy).Statement : s.Condition if s.Sid == "DecryptOwnSettings"])
      == jsondecode("{\"StringEquals\":{\"kms:EncryptionContext:aws:lambda:FunctionArn\":[\"arn:aws-us-gov:lambda:eu-central-1:111122223333:function:readplane-write\"]}}")
    )
    error_message = "ARNs name the partition that the stack is in."
  }
}

run "settings_that_do_not_fit" {
  command = plan

  module {
    source = "./modules/function"
  }

  # These settings exceed 4 KB, Lambda's limit for environment variables. The module compresses settings, but hashes
  # don't compress, so 100 of them are enough.
  variables {
    settings = jsonencode([for n in range(100) : sha256(tostring(n))])
  }

  expect_failures = [aws_lambda_function.this]
}

run "settings_that_do_not_fit_beside_another_variable" {
  command = plan

  module {
    source = "./modules/function"
  }

  # The settings alone fit into 4 KB, Lambda's limit for all environment variables, but not together with PADDING.
  variables {
    environment = { PADDING = join("", [for n in range(64) : sha256(tostring(n))]) }
  }

  expect_failures = [aws_lambda_function.this]
}
