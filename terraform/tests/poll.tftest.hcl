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
    target = aws_s3_object.sources
    values = { version_id = "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY" }
  }

  override_resource {
    target = aws_lambda_layer_version.poll
    values = { arn = "arn:aws:lambda:eu-central-1:111122223333:layer:readplane-poll:1" }
  }
}

variables {
  name = "readplane"

  poll_retries  = { maximum_event_age_in_seconds = 60, maximum_retry_attempts = 0 }
  sweep_retries = { maximum_event_age_in_seconds = 3600, maximum_retry_attempts = 10 }

  code = {
    zip            = "tests/mocks/artefact.txt"
    layer_arn      = "arn:aws:lambda:eu-central-1:111122223333:layer:readplane-libraries:1"
    poll_layer_zip = "tests/mocks/artefact.txt"
    architecture   = "arm64"
  }

  function = { memory_mb = 512, timeout_seconds = 120 }
  vpc      = null

  sources = {
    contracts = {
      settings   = "{\"name\":\"contracts\"}"
      schedule   = "rate(1 minute)"
      mode       = "changes"
      collection = "contracts"
      secrets    = [{ arn = "arn:aws:ssm:eu-central-1:111122223333:parameter/crm" }]
    }

    products = {
      settings       = "{\"name\":\"products\",\"url\":\"https://erp.example.com/{cursor}\"}"
      schedule       = "rate(5 minutes)"
      sweep_schedule = "cron(0 3 * * ? *)"
      mode           = "changes"
      collection     = "products"
      secrets = [
        {
          arn         = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf"
          kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/theirs"
        },
        { arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-client-AbCdEf" },
      ]
    }

    rates = {
      settings   = "{\"name\":\"rates\"}"
      schedule   = "cron(0 * * * ? *)"
      mode       = "snapshot"
      collection = "rates"
    }
  }

  collections = {
    contracts = { read = "owner", cache_ttl = 0 }
    products  = { read = "public", cache_ttl = 60, edge_ttl = 300, schema = "{\"type\": \"object\"}" }
    rates     = { read = "authenticated", cache_ttl = 0 }
  }

  items = {
    name       = "readplane-items"
    arns       = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
    index_name = "by_collection"
  }

  stream = {
    name    = "readplane-changes"
    arn     = "arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes"
    archive = "readplane-changes-archive"
  }

  log_bucket = { name = "log", arn = "arn:aws:s3:::log" }

  documents = [
    {
      region      = "eu-central-1"
      bucket      = "docs-1"
      arn         = "arn:aws:s3:::docs-1"
      kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k"
    },
    {
      region      = "eu-west-1"
      bucket      = "docs-2"
      arn         = "arn:aws:s3:::docs-2"
      kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/k2"
    },
  ]

  horizon_days        = 30
  kms_key_arn         = "arn:aws:kms:eu-central-1:111122223333:key/k"
  deletion_protection = true
  log_retention_days  = 30
  alarms              = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:team"]
  }
}

run "keyed_in_two_regions" {
  command = plan

  module {
    source = "./modules/poll"
  }

  variables {
    expected_settings = {
      name              = "readplane"
      items_table       = "readplane-items"
      items_index       = "by_collection"
      checkpoints_table = "readplane-checkpoints"
      stream            = "readplane-changes"
      log_bucket        = "log"
      quarantine_prefix = "quarantine/"
      documents         = [{ region = "eu-central-1", bucket = "docs-1" }, { region = "eu-west-1", bucket = "docs-2" }]
      horizon_days      = 30
      config = {
        bucket     = "log"
        key        = "config/sources.json"
        version_id = "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY"
        sha256 = sha256(jsonencode({
          schemas = { products = { type = "object" } }
          sources = {
            contracts = { name = "contracts" }
            products  = { name = "products", url = "https://erp.example.com/{cursor}" }
            rates     = { name = "rates" }
          }
        }))
      }
      collections = {
        contracts = { read = "owner", cache_ttl = 0, edge_ttl = null }
        products  = { read = "public", cache_ttl = 60, edge_ttl = 300 }
        rates     = { read = "authenticated", cache_ttl = 0, edge_ttl = null }
      }
    }

    expected_runs = {
      zip       = "tests/mocks/artefact.txt"
      handler   = "readplane.poll.handler.handler"
      memory_mb = 512
      layers = [
        "arn:aws:lambda:eu-central-1:111122223333:layer:readplane-libraries:1",
        "arn:aws:lambda:eu-central-1:111122223333:layer:readplane-poll:1",
      ]
      environment = {}
    }

    expected_config = {
      sources = {
        contracts = { name = "contracts" }
        products  = { name = "products", url = "https://erp.example.com/{cursor}" }
        rates     = { name = "rates" }
      }
      schemas = { products = { type = "object" } }
    }

    expected_expressions = {
      "poll.contracts" = "rate(1 minute)"
      "poll.products"  = "rate(5 minutes)"
      "poll.rates"     = "cron(0 * * * ? *)"
      "sweep.products" = "cron(0 3 * * ? *)"
      freshness        = "rate(1 minute)"
    }

    expected_inputs = {
      "poll.contracts" = "{\"source\":\"contracts\",\"sweep\":false}"
      "poll.products"  = "{\"source\":\"products\",\"sweep\":false}"
      "poll.rates"     = "{\"source\":\"rates\",\"sweep\":false}"
      "sweep.products" = "{\"source\":\"products\",\"sweep\":true}"
      freshness        = "{\"freshness\":true}"
    }

    expected_trust = {
      Sid       = "SchedulesInvoke"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = "111122223333" }
        ArnEquals    = { "aws:SourceArn" = "arn:aws:scheduler:eu-central-1:111122223333:schedule-group/readplane" }
      }
    }

    expected_scheduler_statements = [
      {
        Sid      = "InvokePoll"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = ["arn:aws:lambda:eu-central-1:111122223333:function:readplane-poll:live"]
      },
      {
        Sid      = "DecryptSchedules"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { ArnLike = { "kms:EncryptionContext:aws:scheduler:schedule:arn" = [
          "arn:aws:scheduler:eu-central-1:111122223333:schedule/readplane/*",
        ] } }
      },
    ]

    expected_actions = {
      WriteOwnLog        = ["logs:CreateLogStream", "logs:PutLogEvents"]
      SendTraces         = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      DecryptOwnSettings = ["kms:Decrypt"]
      PutChanges         = ["kinesis:PutRecords"]
      KeepCheckpoints    = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      ReadItems          = ["dynamodb:BatchGetItem"]
      ListItems          = ["dynamodb:Query"]
      RecordFreshness    = ["dynamodb:PutItem"]
      ReadSources        = ["s3:GetObjectVersion"]
      ReadOlderSchemas   = ["s3:GetObject"]
      KeepQuarantine     = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
      PublishDocuments   = ["s3:PutObject", "s3:GetObject"]
      ReadSecrets        = ["secretsmanager:GetSecretValue"]
      ReadParameters     = ["ssm:GetParameter"]
      DecryptSecrets     = ["kms:Decrypt"]
      UseKey             = ["kms:Decrypt", "kms:GenerateDataKey"]
      UseKeyInEuWest1    = ["kms:Decrypt", "kms:GenerateDataKey"]
    }

    expected_resources = {
      WriteOwnLog        = ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:*"]
      SendTraces         = ["*"]
      DecryptOwnSettings = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
      PutChanges         = ["arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes"]
      KeepCheckpoints    = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-checkpoints"]
      ReadItems          = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
      ListItems          = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/index/by_collection"]
      RecordFreshness    = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
      ReadSources        = ["arn:aws:s3:::log/config/sources.json"]
      ReadOlderSchemas   = ["arn:aws:s3:::log/config/poll-schemas/*"]
      KeepQuarantine     = ["arn:aws:s3:::log/quarantine/*"]
      PublishDocuments = [
        "arn:aws:s3:::docs-1/authenticated/documents/sources/*",
        "arn:aws:s3:::docs-1/public/documents/sources/*",
        "arn:aws:s3:::docs-1/authenticated/documents/rates/*",
        "arn:aws:s3:::docs-2/authenticated/documents/sources/*",
        "arn:aws:s3:::docs-2/public/documents/sources/*",
        "arn:aws:s3:::docs-2/authenticated/documents/rates/*",
      ]
      ReadSecrets = [
        "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf",
        "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-client-AbCdEf",
      ]
      ReadParameters  = ["arn:aws:ssm:eu-central-1:111122223333:parameter/crm"]
      DecryptSecrets  = ["arn:aws:kms:eu-central-1:111122223333:key/theirs"]
      UseKey          = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
      UseKeyInEuWest1 = ["arn:aws:kms:eu-west-1:111122223333:key/k2"]
    }

    expected_conditions = {
      DecryptOwnSettings = { StringEquals = { "kms:EncryptionContext:aws:lambda:FunctionArn" = [
        "arn:aws:lambda:eu-central-1:111122223333:function:readplane-poll",
      ] } }
      RecordFreshness = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["source/*"] } }
      DecryptSecrets = { StringEquals = { "kms:ViaService" = [
        "secretsmanager.eu-central-1.amazonaws.com", "ssm.eu-central-1.amazonaws.com",
      ] } }
      UseKey = { StringEquals = { "kms:ViaService" = [
        "s3.eu-central-1.amazonaws.com", "dynamodb.eu-central-1.amazonaws.com", "kinesis.eu-central-1.amazonaws.com",
      ] } }
      UseKeyInEuWest1 = { StringEquals = { "kms:ViaService" = ["s3.eu-west-1.amazonaws.com"] } }
    }
  }

  # --- The checkpoint table

  assert {
    condition = (
      aws_dynamodb_table.checkpoints.hash_key == "pk"
      && aws_dynamodb_table.checkpoints.billing_mode == "PAY_PER_REQUEST"
    )
    error_message = "The checkpoint table's key is pk, and it is billed by request."
  }

  assert {
    condition = (
      aws_dynamodb_table.checkpoints.ttl[0].enabled
      && aws_dynamodb_table.checkpoints.ttl[0].attribute_name == "expires_at"
    )
    error_message = "Leftovers of sweeps expire."
  }

  assert {
    condition     = aws_dynamodb_table.checkpoints.point_in_time_recovery[0].enabled
    error_message = "The checkpoints can be recovered."
  }

  assert {
    condition     = aws_dynamodb_table.checkpoints.server_side_encryption[0].kms_key_arn == var.kms_key_arn
    error_message = "The stack's own key encrypts the checkpoints."
  }

  assert {
    condition     = aws_dynamodb_table.checkpoints.deletion_protection_enabled
    error_message = "The checkpoints are protected against deletion."
  }

  assert {
    condition     = length(aws_dynamodb_table.checkpoints.replica) == 0
    error_message = "Only the Region that polls has the checkpoints."
  }

  # --- The settings and code of `poll`

  assert {
    condition     = jsondecode(output.settings) == var.expected_settings
    error_message = "poll knows its stores, every Region's documents, and the collections that sources feed."
  }

  assert {
    condition     = aws_s3_object.sources.bucket == "log" && aws_s3_object.sources.key == "config/sources.json"
    error_message = "The sources are under config/, where the bucket keeps every version."
  }

  assert {
    condition     = jsondecode(aws_s3_object.sources.content) == var.expected_config
    error_message = "The object that poll reads holds every source, and the schemas of the collections that they feed."
  }

  assert {
    condition     = jsonencode(output.runs) == jsonencode(var.expected_runs)
    error_message = "A layer of poll's own has the libraries that the other functions don't need."
  }

  assert {
    condition = (
      aws_lambda_function_event_invoke_config.poll.maximum_retry_attempts == 0
      && aws_lambda_function_event_invoke_config.poll.qualifier == "live"
    )
    error_message = "Lambda retries no event. The next run retries."
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.poll.maximum_event_age_in_seconds == 60
    error_message = "Lambda drops an event that couldn't start within a minute."
  }

  # --- The schedules

  assert {
    condition = {
      for name, schedule in aws_scheduler_schedule.this : name => schedule.schedule_expression
    } == var.expected_expressions
    error_message = "One schedule per source, one per sweep, and one that reports how stale they are."
  }

  assert {
    condition = {
      for name, schedule in aws_scheduler_schedule.this : name => schedule.target[0].input
    } == var.expected_inputs
    error_message = "The input of a schedule names a source, and holds none of its settings."
  }

  assert {
    condition = alltrue([
      for schedule in aws_scheduler_schedule.this :
      schedule.group_name == "readplane" && schedule.flexible_time_window[0].mode == "OFF"
    ])
    error_message = "Schedules are in this stack's group and on time."
  }

  assert {
    condition     = alltrue([for schedule in aws_scheduler_schedule.this : schedule.kms_key_arn == var.kms_key_arn])
    error_message = "The stack's own key encrypts the schedules."
  }

  assert {
    condition     = alltrue([for schedule in aws_scheduler_schedule.this : schedule.target[0].arn == module.poll.arn])
    error_message = "Schedules invoke the alias of poll."
  }

  assert {
    condition     = endswith(module.poll.arn, ":function:readplane-poll:live")
    error_message = "That alias is the live one."
  }

  assert {
    condition = alltrue([
      for name, schedule in aws_scheduler_schedule.this :
      schedule.target[0].retry_policy[0] == var.poll_retries if !startswith(name, "sweep.")
    ])
    error_message = "The next run is the retry of a poll. EventBridge Scheduler drops a poll that is a minute old."
  }

  assert {
    condition = alltrue([
      for name, schedule in aws_scheduler_schedule.this :
      schedule.target[0].retry_policy[0] == var.sweep_retries if startswith(name, "sweep.")
    ])
    error_message = "A sweep runs seldom, so EventBridge Scheduler retries it, and drops it when it is an hour old."
  }

  assert {
    condition = alltrue([
      for schedule in aws_scheduler_schedule.this : strcontains(schedule.description, var.stream.archive)
    ])
    error_message = "Schedules are created after the archive, which starts at the stream's latest record."
  }

  assert {
    condition     = jsondecode(aws_iam_role.scheduler.assume_role_policy).Statement == [var.expected_trust]
    error_message = "Only this stack's schedules may assume the role."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.scheduler.policy).Statement == var.expected_scheduler_statements
    error_message = "The scheduler invokes poll's alias and nothing else."
  }

  # --- What `poll` may do

  assert {
    condition = {
      for statement in jsondecode(output.policies.poll).Statement : statement.Sid => statement.Action
    } == var.expected_actions
    error_message = <<-EOT
      poll puts changes on the stream, reads and writes checkpoints and quarantine, and writes the documents of
      snapshots and of freshness in every Region. It changes no item.
    EOT
  }

  assert {
    condition = {
      for statement in jsondecode(output.policies.poll).Statement : statement.Sid => statement.Resource
    } == var.expected_resources
    error_message = "poll reaches its own stores, and reads only the secrets that its sources name."
  }

  assert {
    condition = {
      for s in jsondecode(output.policies.poll).Statement : s.Sid => s.Condition if can(s.Condition)
    } == var.expected_conditions
    error_message = <<-EOT
      In the items table, poll writes only the sources' freshness records. It uses each key only through the services
      that hold the data, each in its Region.
    EOT
  }

  assert {
    condition     = alltrue([for statement in jsondecode(output.policies.poll).Statement : statement.Effect == "Allow"])
    error_message = "Outside a VPC, the policy denies nothing."
  }

  assert {
    condition     = length(jsondecode(output.policies.poll).Statement) == length(var.expected_actions)
    error_message = "Every Sid is unique."
  }

  assert {
    condition = !strcontains(jsonencode([
      for statement in jsondecode(output.policies.poll).Statement : statement.Action
    ]), "*")
    error_message = "No action is a wildcard."
  }

  assert {
    condition = [
      for statement in jsondecode(output.policies.poll).Statement : statement.Sid if contains(statement.Resource, "*")
    ] == ["SendTraces"]
    error_message = "No resource is a wildcard if AWS allows a narrower one."
  }

  # --- The alarm

  assert {
    condition     = module.alarms[0].alarms["not_invoked"].alarm_name == "readplane-schedules-dropped"
    error_message = "Schedules that can't invoke poll raise an alarm."
  }

  assert {
    condition     = module.alarms[0].alarms["not_invoked"].metric_name == "InvocationDroppedCount"
    error_message = "The alarm watches the dropped invocations."
  }

  assert {
    condition     = module.alarms[0].alarms["not_invoked"].namespace == "AWS/Scheduler"
    error_message = "The metric is EventBridge Scheduler's."
  }

  assert {
    condition     = module.alarms[0].alarms["not_invoked"].dimensions == tomap({ ScheduleGroup = "readplane" })
    error_message = "The alarm watches this stack's schedules."
  }

  assert {
    condition     = module.alarms[0].alarms["not_invoked"].alarm_actions == toset(var.alarm_actions.ticket)
    error_message = "The alarm notifies the given topics."
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
    collections         = { products = { read = "public", cache_ttl = 0 } }

    sources = { products = {
      settings   = "{\"name\":\"products\"}"
      schedule   = "rate(1 minute)"
      mode       = "changes"
      collection = "products"
    } }

    expected_documents = ["arn:aws:s3:::docs-1/public/documents/sources/*"]

    expected_sids = [
      "WriteOwnLog", "SendTraces", "KeepNetworkInterfaces", "FindNetworkInterfaces", "KeepCodeFromInterfaces",
      "PutChanges", "KeepCheckpoints", "ReadItems", "ListItems", "RecordFreshness", "ReadSources",
      "ReadOlderSchemas", "KeepQuarantine", "PublishDocuments",
    ]
  }

  assert {
    condition     = toset(keys(aws_scheduler_schedule.this)) == toset(["poll.products", "freshness"])
    error_message = "A source without sweep_schedule has no sweep."
  }

  assert {
    condition     = !strcontains(output.policies.poll, "kms:") && !strcontains(output.policies.scheduler, "kms:")
    error_message = "Without a key, no statement mentions one."
  }

  assert {
    condition     = jsondecode(output.policies.poll).Statement[*].Sid == var.expected_sids
    error_message = "Without a secret, no statement mentions one. In a VPC, Lambda may keep network interfaces."
  }

  assert {
    condition = [
      for s in jsondecode(output.policies.poll).Statement : s.Resource if s.Sid == "PublishDocuments"
    ] == [var.expected_documents]
    error_message = "Without a snapshot, poll publishes only the freshness, for the readers of the collection."
  }

  assert {
    condition     = length(aws_dynamodb_table.checkpoints.server_side_encryption) == 0
    error_message = "Without a key, a key that DynamoDB owns encrypts the checkpoints."
  }

  assert {
    condition     = aws_scheduler_schedule.this["freshness"].kms_key_arn == null
    error_message = "Without a key, a key that AWS owns encrypts the schedules."
  }

  assert {
    condition     = !aws_dynamodb_table.checkpoints.deletion_protection_enabled
    error_message = "deletion_protection = false lets the checkpoints be deleted."
  }

  assert {
    condition     = jsondecode(aws_s3_object.sources.content).schemas == {}
    error_message = "Without a schema, the object holds none."
  }

  assert {
    condition     = length(module.alarms) == 0
    error_message = "alarms = false creates no alarm."
  }
}

run "alarms_in_the_replica_region" {
  command = plan

  module {
    source = "./modules/poll"
  }

  variables {
    first_region = "eu-west-1"
  }

  assert {
    condition = alltrue([
      for alarm in module.alarms[0].alarms : strcontains(alarm.alarm_description, "sources list --replica\n")
    ])
    error_message = "The commands in a notification work in the replica Region, which isn't the first one."
  }
}
