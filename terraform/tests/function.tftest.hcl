mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                 = "readplane"
  function             = "write"
  memory_mb            = 512
  timeout_seconds      = 15
  reserved_concurrency = 7
  snap_start           = true
  settings             = "{\"name\":\"readplane\"}"
  kms_key_arn          = "arn:aws:kms:eu-central-1:111122223333:key/k"
  log_retention_days   = 30
  alarms               = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:team"]
  }

  code = {
    zip          = "tests/mocks/artefact.txt"
    architecture = "arm64"
    layers       = ["arn:aws:lambda:eu-central-1:111122223333:layer:libraries:1"]
  }

  statements = [
    {
      Sid      = "PutChanges"
      Action   = ["firehose:PutRecord"]
      Resource = ["arn:aws:firehose:eu-central-1:111122223333:deliverystream/d"]
    },
    {
      Sid       = "UseKey"
      Action    = ["kms:Decrypt"]
      Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
      Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } }
    },
  ]
}

run "in_a_vpc" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    vpc = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"] }

    expected_statements = [
      {
        Sid    = "KeepNetworkInterfaces"
        Effect = "Allow"
        Action = [
          "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
        ]
        Resource = ["arn:aws:ec2:eu-central-1:111122223333:*/*"]
      },
      {
        Sid      = "FindNetworkInterfaces"
        Effect   = "Allow"
        Action   = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
        Resource = ["*"]
      },
      {
        Sid    = "KeepCodeFromInterfaces"
        Effect = "Deny"
        Action = [
          "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
          "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
        ]
        Resource = ["*"]
        Condition = { ArnEquals = {
          "lambda:SourceFunctionArn" = ["arn:aws:lambda:eu-central-1:111122223333:function:readplane-write"]
        } }
      },
    ]
  }

  assert {
    condition     = aws_lambda_function.this.vpc_config[0].subnet_ids == toset(var.vpc.subnet_ids)
    error_message = "The function runs in the subnets of var.vpc."
  }

  assert {
    condition     = aws_lambda_function.this.vpc_config[0].security_group_ids == toset(var.vpc.security_group_ids)
    error_message = "The function has the security groups of var.vpc."
  }

  assert {
    condition = [
      for statement in jsondecode(output.policy).Statement : statement
      if strcontains(jsonencode(statement.Action), "ec2:")
    ] == var.expected_statements
    error_message = "Lambda may keep the function's network interfaces; the function's own code may not."
  }
}

run "with_temporary_statements" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    temporary_statements = [{
      Sid      = "FoldBothTables"
      Action   = ["dynamodb:PutItem"]
      Resource = ["arn:aws:dynamodb:eu-central-1:111122223333:table/items"]
    }]
    expected_statements = [{
      Sid      = "FoldBothTables"
      Effect   = "Allow"
      Action   = ["dynamodb:PutItem"]
      Resource = ["arn:aws:dynamodb:eu-central-1:111122223333:table/items"]
    }]
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.temporary[0].policy).Statement == var.expected_statements
    error_message = "Terraform can remove these statements later than it changes the others."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.this.policy, "FoldBothTables")
    error_message = "The other policy doesn't have them."
  }
}

run "with_a_policy_that_is_too_long" {
  command = plan

  module {
    source = "./modules/function"
  }

  # Each of the two policies is short enough. IAM counts them together.
  variables {
    statements = [for n in range(50) : {
      Sid      = "Statement${n}"
      Action   = ["s3:GetObject"]
      Resource = ["arn:aws:s3:::a-bucket-with-a-long-name/prefix-${n}/*"]
    }]
    temporary_statements = [for n in range(50) : {
      Sid      = "Statement${n}"
      Action   = ["s3:GetObject"]
      Resource = ["arn:aws:s3:::a-bucket-with-a-long-name/prefix-${n}/*"]
    }]
  }

  expect_failures = [aws_iam_role_policy.this]
}

run "with_everything" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    expected_names = {
      errors    = "readplane-write-errors"
      slow      = "readplane-write-slow"
      throttles = "readplane-write-throttles"
    }
    expected_metrics = { errors = "Errors", slow = "Duration", throttles = "Throttles" }

    expected_trust = {
      Sid       = "LambdaRuns"
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }

    expected_statements = [
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
        Sid      = "DecryptOwnSettings"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { StringEquals = { "kms:EncryptionContext:aws:lambda:FunctionArn" = [
          "arn:aws:lambda:eu-central-1:111122223333:function:readplane-write",
        ] } }
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
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement == var.expected_statements
    error_message = "The role allows only the function's own log, traces and settings, and the given statements."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [var.expected_trust]
    error_message = "Only Lambda may assume the role."
  }

  assert {
    condition     = aws_iam_role.this.name == "readplane-eu-central-1-write"
    error_message = "The role's name holds the Region, because IAM roles are global."
  }

  assert {
    condition = aws_lambda_function.this.environment[0].variables == tomap({
      READPLANE_SETTINGS = base64gzip(var.settings)
    })
    error_message = "The settings are compressed in one variable, and the environment holds no other variable."
  }

  assert {
    condition = (
      aws_lambda_function.this.handler == "readplane.write.handler.handler"
      && aws_lambda_function.this.runtime == "python3.13"
    )
    error_message = "Lambda runs the function's own handler."
  }

  assert {
    condition     = aws_lambda_function.this.tracing_config[0].mode == "Active"
    error_message = "The function is traced."
  }

  assert {
    condition     = aws_lambda_function.this.kms_key_arn == var.kms_key_arn
    error_message = "The stack's key encrypts the settings."
  }

  assert {
    condition     = aws_lambda_function.this.logging_config[0].log_format == "Text"
    error_message = "Log lines stay as printed."
  }

  assert {
    condition     = aws_lambda_function.this.logging_config[0].log_group == aws_cloudwatch_log_group.this.name
    error_message = "The function writes to its own log group."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "Log lines expire."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.kms_key_id == var.kms_key_arn
    error_message = "The stack's key encrypts the log."
  }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 7
    error_message = "Lambda reserves the concurrency."
  }

  assert {
    condition = (
      aws_lambda_function.this.publish
      && aws_lambda_function.this.snap_start[0].apply_on == "PublishedVersions"
    )
    error_message = "SnapStart is on, for published versions."
  }

  assert {
    condition     = aws_lambda_alias.this.name == "live" && aws_lambda_alias.this.function_version == "1"
    error_message = "The alias `live` points at a published version, which SnapStart needs."
  }

  assert {
    condition     = { for key, alarm in module.alarms[0].alarms : key => alarm.alarm_name } == var.expected_names
    error_message = "The function has an alarm on errors, one on throttles, and one before its timeout."
  }

  assert {
    condition     = module.alarms[0].alarms["slow"].threshold == 800 * var.timeout_seconds
    error_message = "The alarm fires at 80 % of the timeout."
  }

  assert {
    condition     = { for key, alarm in module.alarms[0].alarms : key => alarm.metric_name } == var.expected_metrics
    error_message = "Each alarm watches the metric that it is named after."
  }

  assert {
    condition = alltrue([
      for alarm in module.alarms[0].alarms : alarm.dimensions == tomap({ FunctionName = "readplane-write" })
    ])
    error_message = "Each alarm has the dimension of its function, without which it would watch nothing."
  }

  assert {
    condition = alltrue([for alarm in module.alarms[0].alarms :
      [alarm.alarm_actions, alarm.ok_actions] == [for name in range(2) : toset(var.alarm_actions.ticket)]
    ])
    error_message = "The alarms notify the topics of tickets."
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
    condition     = length(aws_iam_role_policy.temporary) == 0
    error_message = "Without temporary statements, there is one policy."
  }

  assert {
    condition     = jsondecode(output.policy).Statement[*].Sid == ["WriteOwnLog", "SendTraces"]
    error_message = "Without a key and statements, the role allows only log and traces."
  }

  # The value -1 means that no concurrency is reserved, because the AWS provider shows it so.
  assert {
    condition     = coalesce(aws_lambda_function.this.reserved_concurrent_executions, -1) == -1
    error_message = "Without reserved_concurrency, no concurrency is reserved."
  }

  assert {
    condition     = length(aws_lambda_function.this.snap_start) == 0
    error_message = "snap_start = false turns SnapStart off."
  }

  assert {
    condition     = length(module.alarms) == 0
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

    expected_runs = {
      zip         = "tests/mocks/artefact.txt"
      handler     = "readplane.write.handler.handler"
      memory_mb   = 512
      layers      = ["arn:aws:lambda:eu-central-1:111122223333:layer:libraries:1"]
      environment = { READPLANE_CLIENT = "boto3" }
    }
  }

  assert {
    condition = aws_lambda_function.this.environment[0].variables == tomap({
      READPLANE_CLIENT   = "boto3"
      READPLANE_SETTINGS = base64gzip(var.settings)
    })
    error_message = "The environment holds the given variable and the settings."
  }

  assert {
    condition     = jsonencode(output.runs) == jsonencode(var.expected_runs)
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

  variables {
    expected_condition = { StringEquals = { "kms:EncryptionContext:aws:lambda:FunctionArn" = [
      "arn:aws-us-gov:lambda:eu-central-1:111122223333:function:readplane-write",
    ] } }
  }

  assert {
    condition = [
      for statement in jsondecode(output.policy).Statement : statement.Condition
      if statement.Sid == "DecryptOwnSettings"
    ] == [var.expected_condition]
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

# --- How a version goes live

run "a_version_that_passes_its_check" {
  command = plan

  module {
    source = "./modules/function"
  }

  assert {
    condition     = one(aws_lambda_invocation.check).qualifier == aws_lambda_function.this.version
    error_message = "The check invokes the new version, and not the one that the alias points to."
  }

  assert {
    condition     = jsondecode(one(aws_lambda_invocation.check).input) == { check = true }
    error_message = "By default, a function starts and checks its settings."
  }

  assert {
    condition     = length(terraform_data.first_snapshot) == 1
    error_message = "With SnapStart, Terraform waits for the first version's snapshot, which the AWS provider doesn't."
  }
}

run "a_version_that_fails_its_check" {
  command = plan

  module {
    source = "./modules/function"
  }

  override_resource {
    target          = aws_lambda_invocation.check[0]
    override_during = plan
    values          = { result = "{\"problems\":[\"The schema of the collection products can't be used: no\"]}" }
  }

  expect_failures = [aws_lambda_invocation.check]
}

run "a_check_of_its_own" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    snap_start = false
    check      = "{\"check\":\"more\"}"
  }

  assert {
    condition     = one(aws_lambda_invocation.check).input == var.check
    error_message = "A function can have another check."
  }

  assert {
    condition     = length(terraform_data.first_snapshot) == 0
    error_message = "Without SnapStart there is no snapshot to wait for."
  }
}

run "no_check_and_no_waiting" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    check          = null
    await_snapshot = false
  }

  assert {
    condition     = length(aws_lambda_invocation.check) == 0 && length(terraform_data.first_snapshot) == 0
    error_message = "check = null invokes nothing, and await_snapshot = false waits for nothing."
  }
}

run "published_again" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    republish = 2
  }

  assert {
    condition     = aws_lambda_function.this.description == "Published again: 2"
    error_message = "A new number changes the configuration, so that Terraform publishes a new version."
  }
}

run "another_functions_package" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    function = "apply-stream"
    package  = "apply"
  }

  assert {
    condition = (
      aws_lambda_function.this.function_name == "readplane-apply-stream"
      && aws_lambda_function.this.handler == "readplane.apply.handler.handler"
    )
    error_message = "Two functions can run one package."
  }

  assert {
    condition     = aws_iam_role.this.name == "readplane-eu-central-1-apply-stream"
    error_message = "Each of them has a role of its own."
  }
}

run "a_zip_in_s3" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    code = {
      zip          = "dist/no-such-file.zip"
      s3           = { bucket = "releases", key = "readplane/1.4.0/hot-arm64.zip" }
      architecture = "arm64"
      layers       = []
    }
  }

  assert {
    condition = (
      aws_lambda_function.this.s3_bucket == "releases"
      && aws_lambda_function.this.s3_key == "readplane/1.4.0/hot-arm64.zip"
    )
    error_message = "Lambda reads the zip from the bucket."
  }

  assert {
    condition     = aws_lambda_function.this.filename == null
    error_message = "No local file is needed."
  }
}

run "at_the_edge" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    function             = "edge-auth-0a1b2c3d"
    package              = "edge_auth"
    edge                 = true
    check                = null
    reserved_concurrency = null
    snap_start           = false
    kms_key_arn          = null
    code                 = { zip = "tests/mocks/artefact.txt", architecture = "x86_64", layers = [] }

    expected_log_statement = {
      Sid    = "WriteOwnLog"
      Effect = "Allow"
      Action = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = [
        "arn:aws:logs:*:111122223333:log-group:/readplane/edge-auth/readplane-edge-auth-0a1b2c3d:*",
      ]
    }
    expected_services = ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]
  }

  assert {
    condition     = length(aws_lambda_function.this.environment) == 0
    error_message = "CloudFront refuses a function with environment variables."
  }

  assert {
    condition     = length(aws_lambda_function.this.snap_start) + length(aws_lambda_function.this.vpc_config) == 0
    error_message = "CloudFront refuses a function with SnapStart or a VPC."
  }

  assert {
    condition     = length(coalesce(aws_lambda_function.this.layers, [])) == 0
    error_message = "CloudFront refuses a function with layers."
  }

  assert {
    condition     = !strcontains(output.policy, "xray:")
    error_message = "X-Ray doesn't trace a function at the edge."
  }

  assert {
    condition     = join(" ", aws_lambda_function.this.architectures) == "x86_64" && aws_lambda_function.this.publish
    error_message = "CloudFront takes published versions for x86_64 only."
  }

  assert {
    condition     = output.edge_arn == "${aws_lambda_function.this.arn}:${aws_lambda_function.this.version}"
    error_message = "The ARN for a distribution ends in the number of a version."
  }

  assert {
    condition     = aws_lambda_function.this.skip_destroy
    error_message = "Terraform leaves the function behind, because Lambda refuses to delete it for hours."
  }

  assert {
    condition     = strcontains(output.trust_policy, jsonencode(var.expected_services))
    error_message = "Lambda and CloudFront's copies may assume the role."
  }

  assert {
    condition     = strcontains(output.policy, jsonencode(var.expected_log_statement))
    error_message = "The function may log in the Region of the client, where Terraform makes no log group."
  }

  assert {
    condition     = aws_lambda_function.this.logging_config[0].system_log_level == "WARN"
    error_message = "Lambda doesn't log the start and end of each request, which would cost more than the function."
  }

  assert {
    condition     = aws_lambda_function.this.logging_config[0].log_format == "JSON"
    error_message = "Only the format JSON has levels."
  }
}

run "at_the_edge_for_arm64" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    edge                 = true
    reserved_concurrency = null
    snap_start           = false
    kms_key_arn          = null
    code                 = { zip = "tests/mocks/artefact.txt", architecture = "arm64", layers = [] }
  }

  expect_failures = [aws_lambda_function.this]
}

run "at_the_edge_with_reserved_concurrency" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    edge                 = true
    reserved_concurrency = 1
    snap_start           = false
    kms_key_arn          = null
    code                 = { zip = "tests/mocks/artefact.txt", architecture = "x86_64", layers = [] }
  }

  expect_failures = [aws_lambda_function.this]
}

run "at_the_edge_with_layers" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    edge                 = true
    reserved_concurrency = null
    snap_start           = false
    kms_key_arn          = null
    code = {
      zip          = "tests/mocks/artefact.txt"
      architecture = "x86_64"
      layers       = ["arn:aws:lambda:us-east-1:111122223333:layer:libraries:1"]
    }
  }

  expect_failures = [aws_lambda_function.this]
}

# --- The alias that CodeDeploy moves

run "no_alias_for_codedeploy" {
  command = plan

  module {
    source = "./modules/function"
  }

  assert {
    condition     = length(aws_lambda_alias.released) == 0 && output.released_alias == null
    error_message = "By default, a function has the alias `live` only."
  }

  assert {
    condition     = output.arn == aws_lambda_alias.this.arn && output.alias_arns == [output.arn]
    error_message = "By default, everything calls `live`."
  }
}

run "alias_for_codedeploy" {
  command = plan

  module {
    source = "./modules/function"
  }

  override_resource {
    target          = aws_lambda_alias.released
    override_during = plan
    values          = { arn = "arn:…:released-3", invoke_arn = "arn:…:released-3/invocations" }
  }

  variables {
    release = { alias = "released-3", called = true }
  }

  assert {
    condition     = output.arn == "arn:…:released-3" && output.invoke_arn == "arn:…:released-3/invocations"
    error_message = "Everything calls the alias that CodeDeploy moves."
  }

  assert {
    condition     = output.function.alias_arn == output.arn && output.authorizer.invoke_arn == output.invoke_arn
    error_message = "So do authorizers, and what a team connects."
  }

  assert {
    condition     = output.qualifier == "live" && output.released_alias == "released-3"
    error_message = "`live` stays, and names the newest version that has passed its check."
  }

  assert {
    condition     = output.alias_arns == [aws_lambda_alias.this.arn, "arn:…:released-3"]
    error_message = "The policies of callers allow both aliases."
  }

  assert {
    condition     = one(values(aws_lambda_alias.released)).function_version == "1"
    error_message = "A new alias points to the newest version."
  }
}

run "alias_that_is_no_longer_called" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    release = { alias = "released-3", called = false }
  }

  assert {
    condition     = output.arn == aws_lambda_alias.this.arn && output.released_alias == "released-3"
    error_message = "Everything calls `live` again, and the other alias stays."
  }
}

run "alias_for_codedeploy_at_the_edge" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    edge                 = true
    snap_start           = false
    reserved_concurrency = null
    kms_key_arn          = null
    check                = null
    release              = { alias = "released-1", called = true }
    code                 = { zip = "tests/mocks/artefact.txt", architecture = "x86_64", layers = [] }
  }

  expect_failures = [var.release]
}
