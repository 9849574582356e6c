# Tests of module poll: its schedules, checkpoints and permissions. Only these tests check the role of EventBridge
# Scheduler and the access to KMS keys, because the emulator enforces neither.

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
    source = "./modules/poll"
  }

  # --- The checkpoint table

  assert {
    condition = (
      aws_dynamodb_table.checkpoints.hash_key == "pk" && aws_dynamodb_table.checkpoints.billing_mode == "PAY_PER_REQUEST"
      && aws_dynamodb_table.checkpoints.ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.checkpoints.ttl[0].enabled
      && aws_dynamodb_table.checkpoints.point_in_time_recovery[0].enabled
      && aws_dynamodb_table.checkpoints.server_side_encryption[0].kms_key_arn == var.kms_key_arn
      && aws_dynamodb_table.checkpoints.deletion_protection_enabled
      && length(aws_dynamodb_table.checkpoints.replica) == 0
    )
    error_message = join(" ", [
      "Only the Region that polls has the checkpoints table. It is protected, recoverable and encrypted with the",
      "stack's own key, and leftovers of sweeps expire.",
    ])
  }

  # --- The settings and code of `poll`

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
    error_message = "The schemas are in the object that poll reads, apart from those that write loads."
  }

  assert {
    condition = jsonencode(output.runs) == jsonencode({
      environment = {}
      layers      = ["arn:aws:lambda:eu-central-1:111122223333:layer:readplane-libraries:1", "arn:aws:lambda:eu-central-1:111122223333:layer:readplane-poll:1"]
      zip         = "tests/mocks/artefact.txt"
    })
    error_message = "A layer of poll's own has the libraries that the other functions don't need."
  }

  assert {
    condition = (
      aws_lambda_function_event_invoke_config.poll.maximum_retry_attempts == 0
      && aws_lambda_function_event_invoke_config.poll.maximum_event_age_in_seconds == 60
      && aws_lambda_function_event_invoke_config.poll.qualifier == "live"
    )
    error_message = "Lambda retries no event and drops one that couldn't start within a minute. The next run retries."
  }

  # --- The check of the sources' settings by `poll`

  assert {
    condition = jsondecode(aws_lambda_invocation.validate.input) == jsondecode(jsonencode({ validate = [
      { name = "contracts" }, { name = "products", url = "https://erp.example.com/{cursor}" }, { name = "rates" },
    ] }))
    error_message = "poll checks every source before anything is scheduled."
  }

  assert {
    condition     = aws_lambda_invocation.validate.triggers["version"] == "7" && aws_lambda_invocation.validate.qualifier == "live"
    error_message = "New code checks the sources again. Otherwise a bug of the old code would fail every later apply."
  }

  # --- The schedules

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
    error_message = "A schedule's input holds everything that poll needs to know."
  }

  assert {
    condition = alltrue([for schedule in aws_scheduler_schedule.this : (
      schedule.group_name == "readplane" && schedule.kms_key_arn == var.kms_key_arn && schedule.flexible_time_window[0].mode == "OFF"
      && schedule.target[0].arn == "arn:aws:lambda:eu-central-1:111122223333:function:readplane-poll:live"
      && schedule.target[0].retry_policy[0].maximum_retry_attempts == 0 && schedule.target[0].retry_policy[0].maximum_event_age_in_seconds == 60
      && strcontains(schedule.description, var.stream.archive)
    )])
    error_message = join(" ", [
      "Schedules invoke poll's alias, without retries. They are in this stack's group, encrypted with its key, and",
      "created after the archive, which starts at the stream's latest record.",
    ])
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
    error_message = "Only this stack's schedules may assume the role."
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

  # --- What `poll` may do

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
    error_message = join(" ", [
      "poll puts changes on the stream, reads and writes checkpoints and quarantine, and writes the documents of",
      "snapshots and of freshness in every Region. It changes no item, and reads only the secrets that its sources",
      "name.",
    ])
  }

  assert {
    condition     = one([for s in jsondecode(output.policies.poll).Statement : s.Condition if s.Sid == "RecordFreshness"]) == jsondecode(jsonencode({ "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["source/*"] } }))
    error_message = "In the items table, poll writes only the sources' freshness records and no item."
  }

  assert {
    condition = jsonencode({ for s in jsondecode(output.policies.poll).Statement : s.Sid => s.Condition if contains(["DecryptSecrets", "UseKey", "UseKeyInEuWest1"], s.Sid) }) == jsonencode({
      DecryptSecrets  = { StringEquals = { "kms:ViaService" = ["secretsmanager.eu-central-1.amazonaws.com", "ssm.eu-central-1.amazonaws.com"] } }
      UseKey          = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com", "dynamodb.eu-central-1.amazonaws.com", "kinesis.eu-central-1.amazonaws.com"] } }
      UseKeyInEuWest1 = { StringEquals = { "kms:ViaService" = ["s3.eu-west-1.amazonaws.com"] } }
    })
    error_message = "poll uses each key only through the services that hold the data, each in its Region."
  }

  assert {
    condition = (
      alltrue([for action in flatten([for s in jsondecode(output.policies.poll).Statement : s.Action]) : !strcontains(action, "*")])
      && alltrue([for s in jsondecode(output.policies.poll).Statement : !contains(s.Resource, "*") || s.Sid == "SendTraces"])
      && length(distinct([for s in jsondecode(output.policies.poll).Statement : s.Sid])) == length(jsondecode(output.policies.poll).Statement)
    )
    error_message = "No action is a wildcard, no resource either if AWS allows a narrower one, and every Sid is unique."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.not_invoked[0].dimensions == tomap({ ScheduleGroup = "readplane" }) && aws_cloudwatch_metric_alarm.not_invoked[0].metric_name == "InvocationDroppedCount" && aws_cloudwatch_metric_alarm.not_invoked[0].alarm_actions == toset(var.alarm_actions)
    error_message = "Schedules that can't invoke poll raise an alarm."
  }
}

run "unkeyed_in_a_vpc_and_without_secrets" {
  command = plan

  module {
    source = "./modules/poll"
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
    error_message = "A source without sweep_schedule has no sweep."
  }

  assert {
    condition = alltrue([for policy in [output.policies.poll, output.policies.scheduler] : !strcontains(policy, "kms:")]) && alltrue([
      for sid in ["ReadSecrets", "ReadParameters", "DecryptSecrets"] : !contains([for s in jsondecode(output.policies.poll).Statement : s.Sid], sid)
    ])
    error_message = "Without a key or secret, no statement mentions one."
  }

  assert {
    condition     = one([for s in jsondecode(output.policies.poll).Statement : s.Resource if s.Sid == "PublishDocuments"]) == jsondecode("[\"arn:aws:s3:::docs-1/public/sources/*\"]")
    error_message = "Without a snapshot, poll publishes only the freshness, for the readers of the collection."
  }

  assert {
    condition     = length(aws_dynamodb_table.checkpoints.server_side_encryption) == 0 && !aws_dynamodb_table.checkpoints.deletion_protection_enabled && aws_scheduler_schedule.this["freshness"].kms_key_arn == null && aws_s3_object.schemas.content == "{}"
    error_message = "Without a key, AWS's own keys encrypt, and without protection the checkpoints may be deleted."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.not_invoked) == 0
    error_message = "alarms = false creates no alarm."
  }
}

run "settings_that_poll_refuses" {
  command = plan

  module {
    source = "./modules/poll"
  }

  override_resource {
    target          = aws_lambda_invocation.validate
    values          = { result = "{\"problems\":[\"sources.products.translation: isn't JMESPath\",\"sources.rates.url: is needed\"]}" }
    override_during = plan
  }

  expect_failures = [aws_lambda_invocation.validate]
}
