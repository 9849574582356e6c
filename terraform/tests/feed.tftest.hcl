# Tests of module feed.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name     = "readplane"
  code     = { zip = "tests/mocks/artefact.txt", architecture = "arm64", layers = [] }
  function = { memory_mb = 1024, timeout_seconds = 60, reserved_concurrency = 10 }
  vpc      = { subnet_ids = ["subnet-0a", "subnet-0b"], security_group_ids = ["sg-0f"] }
  items = {
    name = "readplane-items"
    arns = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
  }
  horizon_days = 30
  collections = {
    products = { read = "public", relational = "{\"fields\":{},\"sort\":[]}" }
    profiles = { read = "owner" }
  }
  cache = {
    settings    = "{\"engine\":\"valkey\",\"user\":\"readplane-feed\"}"
    concurrency = 4
    statements  = [{ Sid = "ConnectToCache", Action = ["elasticache:Connect"], Resource = ["arn:cache"] }]
  }
  database = {
    settings    = "{\"host\":\"writer.example.com\"}"
    concurrency = 2
    statements  = [{ Sid = "ConnectToDatabase", Action = ["rds-db:connect"], Resource = ["arn:database"] }]
  }
  secrets            = { READPLANE_DATABASE_PASSWORD = "secret" }
  kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/k"
  log_retention_days = 30
  tls_only           = true
  alarms             = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:team"]
  }
}

run "feed_of_both_stores" {
  command = plan

  module {
    source = "./modules/feed"
  }

  variables {
    expected_settings = {
      name         = "readplane"
      items_table  = "readplane-items"
      horizon_days = 30
      collections = {
        products = { read = "public", relational = { fields = {}, sort = [] } }
        profiles = { read = "owner" }
      }
      cache    = { engine = "valkey", user = "readplane-feed" }
      database = { host = "writer.example.com" }
    }

    expected_statements = [
      {
        Sid    = "ReceiveKeys"
        Effect = "Allow"
        Action = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        Resource = [
          "arn:aws:sqs:eu-central-1:111122223333:readplane-feed-cache",
          "arn:aws:sqs:eu-central-1:111122223333:readplane-feed-database",
        ]
      },
      {
        Sid      = "ReadItems"
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem", "dynamodb:Scan"]
        Resource = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
      },
      {
        Sid      = "ConnectToCache"
        Effect   = "Allow"
        Action   = ["elasticache:Connect"]
        Resource = ["arn:cache"]
      },
      {
        Sid      = "ConnectToDatabase"
        Effect   = "Allow"
        Action   = ["rds-db:connect"]
        Resource = ["arn:database"]
      },
      {
        Sid      = "UseKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { StringEquals = {
          "kms:ViaService" = ["sqs.eu-central-1.amazonaws.com", "dynamodb.eu-central-1.amazonaws.com"]
        } }
      },
    ]

    # What module function adds to every function, and to every function in a VPC.
    shared_sids = [
      "WriteOwnLog", "SendTraces", "DecryptOwnSettings", "KeepNetworkInterfaces", "FindNetworkInterfaces",
      "KeepCodeFromInterfaces",
    ]

    expected_queue_policy = { Version = "2012-10-17", Statement = [{
      Sid       = "DenyPlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = ["arn:aws:sqs:eu-central-1:111122223333:readplane-feed-cache"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }] }

    expected_names = { cache = "readplane-feed-cache", database = "readplane-feed-database" }

    expected_sources = { for store in ["cache", "database"] : store => {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-central-1:111122223333:readplane-feed-${store}"]
    } }

    expected_shares = { cache = 4, database = 2 }

    expected_alarms = {
      cache_behind          = ["ApproximateAgeOfOldestMessage", 300]
      cache_dead_letters    = ["ApproximateNumberOfMessagesVisible", 0]
      database_behind       = ["ApproximateAgeOfOldestMessage", 300]
      database_dead_letters = ["ApproximateNumberOfMessagesVisible", 0]
      keys_failed           = ["KeysFailed", 0]
    }
  }

  assert {
    condition     = jsonencode(jsondecode(output.settings)) == jsonencode(var.expected_settings)
    error_message = "`feed` gets its settings. A collection that isn't in the database has no `relational`."
  }

  assert {
    condition = [
      for each in jsondecode(output.policies.function).Statement : each if !contains(var.shared_sids, each.Sid)
    ] == var.expected_statements
    error_message = "`feed` may take keys from its queues, read items and connect to the stores, and nothing else."
  }

  assert {
    condition = length(setsubtract(
      var.shared_sids, [for each in jsondecode(output.policies.function).Statement : each.Sid]
    )) == 0
    error_message = "Lambda may keep the network interfaces of `feed`."
  }

  assert {
    condition     = { for store, each in aws_sqs_queue.this : store => each.name } == var.expected_names
    error_message = "Each store has a queue."
  }

  assert {
    condition     = alltrue([for each in aws_sqs_queue.this : each.visibility_timeout_seconds == 360])
    error_message = "A queue hides a message for six times the timeout of `feed`."
  }

  assert {
    condition     = alltrue([for each in aws_sqs_queue.this : each.message_retention_seconds == 345600])
    error_message = "A queue keeps a message for four days."
  }

  assert {
    condition     = alltrue([for each in aws_sqs_queue.this : each.kms_master_key_id == var.kms_key_arn])
    error_message = "A queue has the stack's key."
  }

  assert {
    condition = alltrue([
      for store, queue in aws_sqs_queue.this : jsondecode(queue.redrive_policy).maxReceiveCount == 100
    ])
    error_message = "The attempts outlast ten hours."
  }

  assert {
    condition = {
      for store, each in aws_sqs_queue.dead_letters : store => jsondecode(each.redrive_allow_policy)
    } == var.expected_sources
    error_message = "Each queue has dead letters of its own."
  }

  assert {
    condition     = alltrue([for each in aws_sqs_queue.dead_letters : each.message_retention_seconds == 1209600])
    error_message = "A dead letter stays for 14 days."
  }

  assert {
    condition     = alltrue([for each in aws_sqs_queue.dead_letters : endswith(each.name, "-dead-letters")])
    error_message = "The names say which queues hold dead letters."
  }

  assert {
    condition     = alltrue([for each in aws_sqs_queue.dead_letters : each.kms_master_key_id == var.kms_key_arn])
    error_message = "Dead letters have the stack's key."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this["cache"].policy) == var.expected_queue_policy
    error_message = "A queue refuses plain HTTP, and admits nobody."
  }

  assert {
    condition = {
      for store, each in aws_lambda_event_source_mapping.this : store => each.scaling_config[0].maximum_concurrency
    } == var.expected_shares
    error_message = "Each store has its own share of executions."
  }

  assert {
    condition     = alltrue([for each in aws_lambda_event_source_mapping.this : each.batch_size == 10])
    error_message = "A batch has ten messages, so `feed` writes up to 1,000 items at once."
  }

  assert {
    condition = alltrue([
      for each in aws_lambda_event_source_mapping.this :
      each.function_response_types == toset(["ReportBatchItemFailures"])
    ])
    error_message = "Only the messages that failed come again."
  }

  assert {
    condition     = output.policies.dead_letters["cache"] != output.policies.queues["cache"]
    error_message = "Each policy names its own queue."
  }

  assert {
    condition = {
      for name, alarm in module.alarms[0].alarms : name => [alarm.metric_name, alarm.threshold]
    } == var.expected_alarms
    error_message = "Each queue has an alarm on its age and one on its dead letters."
  }
}

run "feed_of_the_cache_alone" {
  command = plan

  module {
    source = "./modules/feed"
  }

  variables {
    function    = { memory_mb = 1024, timeout_seconds = 900 }
    database    = null
    secrets     = {}
    kms_key_arn = null
    tls_only    = false
    alarms      = false
    vpc         = null
  }

  assert {
    condition     = keys(aws_sqs_queue.this) == ["cache"] && keys(output.queues) == ["cache"]
    error_message = "Only a store that exists has a queue."
  }

  assert {
    condition = (
      aws_sqs_queue.this["cache"].sqs_managed_sse_enabled && aws_sqs_queue.dead_letters["cache"].sqs_managed_sse_enabled
    )
    error_message = "Without a key of its own, SQS encrypts the queues with one that it owns."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this["cache"].redrive_policy).maxReceiveCount == 20
    error_message = "A long visibility timeout leaves at least 20 attempts."
  }

  assert {
    condition     = jsondecode(output.settings).database == null
    error_message = "`feed` learns that there is no database."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(output.policies.function).Statement : !strcontains(jsonencode(statement), "ec2:")
    ])
    error_message = "Outside a VPC, the role may do nothing with network interfaces."
  }
}
