# The poller: its schedules, its checkpoints, what it may do. The emulator asks neither the scheduler's role nor any key.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  override_resource {
    target = module.poll.aws_lambda_alias.this
    values = { arn = "arn:aws:lambda:eu-central-1:111122223333:function:readplane-poll:live" }
  }

  override_resource {
    target = module.poll.aws_lambda_function.this
    values = { version = "7" }
  }

  override_resource {
    target = aws_dynamodb_table.checkpoints
    values = { arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-checkpoints" }
  }

  override_resource {
    target = aws_lambda_layer_version.poll
    values = { arn = "arn:aws:lambda:eu-central-1:111122223333:layer:readplane-poll:1" }
  }
}

variables {
  name     = "readplane"
  code     = { zip = "tests/mocks/artefact.txt", layer_arn = "arn:aws:lambda:eu-central-1:111122223333:layer:readplane-libraries:1", poll_layer_zip = "tests/mocks/artefact.txt", architecture = "arm64" }
  function = { memory_mb = 512, timeout_seconds = 120 }
  vpc      = null
  sources = {
    contracts = {
      settings         = "{\"name\":\"contracts\"}"
      schedule         = "rate(1 minute)"
      staleness_budget = 90
      mode             = "changes"
      collection       = "contracts"
      secret           = { arn = "arn:aws:ssm:eu-central-1:111122223333:parameter/crm" }
    }
    products = {
      settings         = "{\"name\":\"products\",\"url\":\"https://erp.example.com/{cursor}\"}"
      schedule         = "rate(5 minutes)"
      sweep_schedule   = "cron(0 3 * * ? *)"
      staleness_budget = 600
      mode             = "changes"
      collection       = "products"
      secret           = { arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf", kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/theirs" }
    }
    rates = {
      settings         = "{\"name\":\"rates\"}"
      schedule         = "cron(0 * * * ? *)"
      staleness_budget = 7200
      mode             = "snapshot"
      collection       = "rates"
    }
  }
  collections = {
    contracts = { read = "owner", cache_ttl = 0 }
    products  = { read = "public", cache_ttl = 60, schema = "{\"type\": \"object\"}" }
    rates     = { read = "authenticated", cache_ttl = 0 }
  }
  items      = { name = "readplane-items", arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items", index_name = "by_collection" }
  stream     = { name = "readplane-changes", arn = "arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes", archive = "readplane-changes-archive" }
  log_bucket = { name = "log", arn = "arn:aws:s3:::log" }
  documents = [
    { region = "eu-central-1", bucket = "docs-1", arn = "arn:aws:s3:::docs-1", kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k" },
    { region = "eu-west-1", bucket = "docs-2", arn = "arn:aws:s3:::docs-2", kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/k2" },
  ]
  horizon_days        = 30
  kms_key_arn         = "arn:aws:kms:eu-central-1:111122223333:key/k"
  deletion_protection = true
  log_retention_days  = 30
  alarms              = true
  alarm_actions       = ["arn:aws:sns:eu-central-1:111122223333:operators"]
}

run "keyed_in_two_regions" {
  command = plan

  module {
    source = "./modules/sync"
  }

  # --- checkpoints

  assert {
    condition = (
      aws_dynamodb_table.checkpoints.hash_key == "pk" && aws_dynamodb_table.checkpoints.billing_mode == "PAY_PER_REQUEST"
      && aws_dynamodb_table.checkpoints.ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.checkpoints.ttl[0].enabled
      && aws_dynamodb_table.checkpoints.point_in_time_recovery[0].enabled
      && aws_dynamodb_table.checkpoints.server_side_encryption[0].kms_key_arn == var.kms_key_arn
      && aws_dynamodb_table.checkpoints.deletion_protection_enabled
      && length(aws_dynamodb_table.checkpoints.replica) == 0
    )
    error_message = "Checkpoints are kept in the Region that polls alone: protected, recoverable, encrypted with the stack's own key; leftovers of sweeps expire."
  }

  # --- poll

  assert {
    condition = jsondecode(output.settings) == jsondecode(jsonencode({
      name         = "readplane"
      items_table  = "readplane-items", items_index = "by_collection", checkpoints_table = "readplane-checkpoints"
      stream       = "readplane-changes", log_bucket = "log", quarantine_prefix = "quarantine/"
      documents    = [{ region = "eu-central-1", bucket = "docs-1" }, { region = "eu-west-1", bucket = "docs-2" }]
      horizon_days = 30
      schemas      = { bucket = "log", key = "config/poll-schemas/${sha256("{\"products\":{\"type\":\"object\"}}")}.json", sha256 = sha256("{\"products\":{\"type\":\"object\"}}") }
      collections  = { contracts = { read = "owner", cache_ttl = 0 }, products = { read = "public", cache_ttl = 60 }, rates = { read = "authenticated", cache_ttl = 0 } }
    }))
    error_message = "poll knows its stores, every Region's documents, and the collections that sources feed."
  }

  assert {
    condition     = aws_s3_object.schemas.bucket == "log" && aws_s3_object.schemas.content == "{\"products\":{\"type\":\"object\"}}" && aws_s3_object.schemas.kms_key_id == var.kms_key_arn
    error_message = "The schemas lie where poll looks, apart from those that write loads."
  }

  assert {
    condition = jsonencode(output.runs) == jsonencode({
      environment = {}
      layers      = ["arn:aws:lambda:eu-central-1:111122223333:layer:readplane-libraries:1", "arn:aws:lambda:eu-central-1:111122223333:layer:readplane-poll:1"]
      zip         = "tests/mocks/artefact.txt"
    })
    error_message = "poll has the libraries that the other functions do without in a layer of its own."
  }

  assert {
    condition = (
      aws_lambda_function_event_invoke_config.poll.maximum_retry_attempts == 0
      && aws_lambda_function_event_invoke_config.poll.maximum_event_age_in_seconds == 60
      && aws_lambda_function_event_invoke_config.poll.qualifier == "live"
    )
    error_message = "The next run is the retry: Lambda tries no event again, and drops one that couldn't start within a minute."
  }

  # --- validation

  assert {
    condition = jsondecode(aws_lambda_invocation.validate.input) == jsondecode(jsonencode({ validate = [
      { name = "contracts" }, { name = "products", url = "https://erp.example.com/{cursor}" }, { name = "rates" },
    ] }))
    error_message = "poll checks every source before anything is scheduled."
  }

  assert {
    condition     = aws_lambda_invocation.validate.triggers["version"] == "7" && aws_lambda_invocation.validate.qualifier == "live"
    error_message = "New code checks anew: a fault of the old must not fail every apply after it."
  }

  # --- schedules

  assert {
    condition = { for name, schedule in aws_scheduler_schedule.this : name => schedule.schedule_expression } == {
      "poll.contracts" = "rate(1 minute)"
      "poll.products"  = "rate(5 minutes)"
      "poll.rates"     = "cron(0 * * * ? *)"
      "sweep.products" = "cron(0 3 * * ? *)"
      freshness        = "rate(1 minute)"
    }
    error_message = "One schedule per source, one per sweep, and one that reports how stale they are."
  }

  assert {
    condition = (
      aws_scheduler_schedule.this["poll.products"].target[0].input == "{\"source\":{\"name\":\"products\",\"url\":\"https://erp.example.com/{cursor}\"},\"sweep\":false}"
      && aws_scheduler_schedule.this["sweep.products"].target[0].input == "{\"source\":{\"name\":\"products\",\"url\":\"https://erp.example.com/{cursor}\"},\"sweep\":true}"
      && jsondecode(aws_scheduler_schedule.this["freshness"].target[0].input) == jsondecode(jsonencode({ freshness = [
        { name = "contracts", staleness_budget = 90 }, { name = "products", staleness_budget = 600 }, { name = "rates", staleness_budget = 7200 },
      ] }))
    )
    error_message = "A schedule's input is all that poll is told."
  }

  assert {
    condition = alltrue([for schedule in aws_scheduler_schedule.this : (
      schedule.group_name == "readplane" && schedule.kms_key_arn == var.kms_key_arn && schedule.flexible_time_window[0].mode == "OFF"
      && schedule.target[0].arn == "arn:aws:lambda:eu-central-1:111122223333:function:readplane-poll:live"
      && schedule.target[0].retry_policy[0].maximum_retry_attempts == 0 && schedule.target[0].retry_policy[0].maximum_event_age_in_seconds == 60
      && strcontains(schedule.description, var.stream.archive)
    )])
    error_message = "Schedules invoke poll's alias, once, in this stack's group, are encrypted with its key, and are made after the archive, which begins at the stream's latest record."
  }

  assert {
    condition = jsondecode(aws_iam_role.scheduler.assume_role_policy).Statement == jsondecode(jsonencode([{
      Sid       = "SchedulesInvoke"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = "111122223333" }
        ArnEquals    = { "aws:SourceArn" = "arn:aws:scheduler:eu-central-1:111122223333:schedule-group/readplane" }
      }
    }]))
    error_message = "Only this stack's schedules may borrow the role."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.scheduler.policy).Statement == jsondecode(jsonencode([
      { Sid = "InvokePoll", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = ["arn:aws:lambda:eu-central-1:111122223333:function:readplane-poll:live"] },
      {
        Sid       = "DecryptSchedules"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { ArnLike = { "kms:EncryptionContext:aws:scheduler:schedule:arn" = ["arn:aws:scheduler:eu-central-1:111122223333:schedule/readplane/*"] } }
      },
    ]))
    error_message = "The scheduler invokes poll's alias and nothing else."
  }

  # --- what poll may do

  assert {
    condition = jsonencode({ for s in jsondecode(output.policies.poll).Statement : s.Sid => [s.Action, s.Resource] }) == jsonencode({
      WriteOwnLog        = [["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:*"]]
      SendTraces         = [["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]]
      DecryptOwnSettings = [["kms:Decrypt"], ["arn:aws:kms:eu-central-1:111122223333:key/k"]]
      PutChanges         = [["kinesis:PutRecords"], ["arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes"]]
      KeepCheckpoints    = [["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-checkpoints"]]
      ReadItems          = [["dynamodb:BatchGetItem"], ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]]
      ListItems          = [["dynamodb:Query"], ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/index/by_collection"]]
      RecordFreshness    = [["dynamodb:PutItem"], ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]]
      ReadSchemas        = [["s3:GetObject"], ["arn:aws:s3:::log/config/poll-schemas/*"]]
      KeepQuarantine     = [["s3:PutObject", "s3:GetObject", "s3:DeleteObject"], ["arn:aws:s3:::log/quarantine/*"]]
      PublishDocuments = [["s3:PutObject", "s3:GetObject"], [
        "arn:aws:s3:::docs-1/authenticated/sources/*", "arn:aws:s3:::docs-1/public/sources/*", "arn:aws:s3:::docs-1/authenticated/rates/*",
        "arn:aws:s3:::docs-2/authenticated/sources/*", "arn:aws:s3:::docs-2/public/sources/*", "arn:aws:s3:::docs-2/authenticated/rates/*",
      ]]
      ReadSecrets     = [["secretsmanager:GetSecretValue"], ["arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf"]]
      ReadParameters  = [["ssm:GetParameter"], ["arn:aws:ssm:eu-central-1:111122223333:parameter/crm"]]
      DecryptSecrets  = [["kms:Decrypt"], ["arn:aws:kms:eu-central-1:111122223333:key/theirs"]]
      UseKey          = [["kms:Decrypt", "kms:GenerateDataKey"], ["arn:aws:kms:eu-central-1:111122223333:key/k"]]
      UseKeyInEuWest1 = [["kms:Decrypt", "kms:GenerateDataKey"], ["arn:aws:kms:eu-west-1:111122223333:key/k2"]]
    })
    error_message = "poll puts changes on the stream, keeps checkpoints and quarantine, and writes the documents of snapshots and of freshness in every Region. It changes no item, and reads the secrets that its sources name."
  }

  assert {
    condition     = one([for s in jsondecode(output.policies.poll).Statement : s.Condition if s.Sid == "RecordFreshness"]) == jsondecode(jsonencode({ "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["source/*"] } }))
    error_message = "In the items table poll writes the sources' own records and no item."
  }

  assert {
    condition = jsonencode({ for s in jsondecode(output.policies.poll).Statement : s.Sid => s.Condition if contains(["DecryptSecrets", "UseKey", "UseKeyInEuWest1"], s.Sid) }) == jsonencode({
      DecryptSecrets  = { StringEquals = { "kms:ViaService" = ["secretsmanager.eu-central-1.amazonaws.com", "ssm.eu-central-1.amazonaws.com"] } }
      UseKey          = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com", "dynamodb.eu-central-1.amazonaws.com", "kinesis.eu-central-1.amazonaws.com"] } }
      UseKeyInEuWest1 = { StringEquals = { "kms:ViaService" = ["s3.eu-west-1.amazonaws.com"] } }
    })
    error_message = "Keys are used only through the services that hold the data, each in its Region."
  }

  assert {
    condition = (
      alltrue([for action in flatten([for s in jsondecode(output.policies.poll).Statement : s.Action]) : !strcontains(action, "*")])
      && alltrue([for s in jsondecode(output.policies.poll).Statement : !contains(s.Resource, "*") || s.Sid == "SendTraces"])
      && length(distinct([for s in jsondecode(output.policies.poll).Statement : s.Sid])) == length(jsondecode(output.policies.poll).Statement)
    )
    error_message = "No wildcard action, no wildcard resource where AWS knows a narrower one, and every statement has its own Sid."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.not_invoked[0].dimensions == tomap({ ScheduleGroup = "readplane" }) && aws_cloudwatch_metric_alarm.not_invoked[0].metric_name == "InvocationDroppedCount" && aws_cloudwatch_metric_alarm.not_invoked[0].alarm_actions == toset(var.alarm_actions)
    error_message = "Schedules that don't get through raise an alarm."
  }
}

run "unkeyed_in_a_vpc_and_without_secrets" {
  command = plan

  module {
    source = "./modules/sync"
  }

  variables {
    kms_key_arn         = null
    alarms              = false
    deletion_protection = false
    vpc                 = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"] }
    documents           = [{ region = "eu-central-1", bucket = "docs-1", arn = "arn:aws:s3:::docs-1" }]
    sources             = { products = { settings = "{\"name\":\"products\"}", schedule = "rate(1 minute)", staleness_budget = 90, mode = "changes", collection = "products" } }
    collections         = { products = { read = "public", cache_ttl = 0 } }
  }

  assert {
    condition     = toset(keys(aws_scheduler_schedule.this)) == toset(["poll.products", "freshness"])
    error_message = "No sweep unless asked for."
  }

  assert {
    condition = alltrue([for policy in [output.policies.poll, output.policies.scheduler] : !strcontains(policy, "kms:")]) && alltrue([
      for sid in ["ReadSecrets", "ReadParameters", "DecryptSecrets"] : !contains([for s in jsondecode(output.policies.poll).Statement : s.Sid], sid)
    ])
    error_message = "No key and no secret, no statement about one."
  }

  assert {
    condition     = one([for s in jsondecode(output.policies.poll).Statement : s.Resource if s.Sid == "PublishDocuments"]) == jsondecode("[\"arn:aws:s3:::docs-1/public/sources/*\"]")
    error_message = "Without a snapshot only the freshness is published, for those who read the collection."
  }

  assert {
    condition     = length(aws_dynamodb_table.checkpoints.server_side_encryption) == 0 && !aws_dynamodb_table.checkpoints.deletion_protection_enabled && aws_scheduler_schedule.this["freshness"].kms_key_arn == null && aws_s3_object.schemas.content == "{}"
    error_message = "Keys that AWS owns cost nothing; what needn't last may be deleted."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.not_invoked) == 0
    error_message = "No alarms means none."
  }
}

run "settings_that_poll_refuses" {
  command = plan

  module {
    source = "./modules/sync"
  }

  override_resource {
    target          = aws_lambda_invocation.validate
    values          = { result = "{\"problems\":[\"sources.products.translation: isn't JMESPath\",\"sources.rates.url: is needed\"]}" }
    override_during = plan
  }

  expect_failures = [aws_lambda_invocation.validate]
}
