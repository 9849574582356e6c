# Tests of module region with every optional part: routes, settings, policies and mappings. tests/api.tftest.hcl tests
# what module api creates for the routes.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

override_module {
  target = module.api
  outputs = {
    id         = "a1b2c3d4e5"
    invoke_url = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1"
    stage_name = "v1"
    routes     = []
    policy     = null
  }
}

variables {
  name = "readplane"
  code = {
    hot_zip       = "tests/mocks/hot.txt"
    functions_zip = "tests/mocks/artefact.txt"
    layer_zip     = "tests/mocks/artefact.txt"
    architecture  = "arm64"
    aws_client    = "slim"
  }
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k"
  has_key     = true
  schedules   = "arn:aws:scheduler:eu-central-1:111122223333:schedule/readplane-daily/*"
  identity = {
    user_pool_arn = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/p"
    client_ids    = ["web", "mobile"]
    scopes = {
      read  = ["readplane/read", "aws.cognito.signin.user.admin"]
      write = ["readplane/write", "aws.cognito.signin.user.admin"]
    }
  }
  items = {
    name       = "readplane-items"
    arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"
    stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/stream/s"
    index_name = "by_collection"
  }
  collections = {
    products = {
      read         = "public"
      write_groups = ["editors"]
      schema       = "{\"type\":\"object\"}"
      cache_ttl    = 60
      edge_ttl     = 300
      throttle     = { rate = 5, burst = 10 }
    }
    prices   = { read = "authenticated", write_groups = [], cache_ttl = 0 }
    profiles = { read = "owner", write_groups = [], cache_ttl = 0 }
  }
  change_stream_arn = "arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes"
  api = {
    endpoint_type = "REGIONAL"
    cors_origins  = ["https://a.example.com", "https://b.example.com"]
    cache_size    = "0.5"
    throttle      = { rate = 500, burst = 1000 }
  }
  documents_integration = "s3"
  functions = {
    write   = { memory_mb = 512, timeout_seconds = 15, reserved_concurrency = 10, snap_start = true }
    apply   = { memory_mb = 1024, timeout_seconds = 300, snap_start = false }
    publish = { memory_mb = 1024, timeout_seconds = 120, snap_start = false }
    read    = { memory_mb = 512, timeout_seconds = 15, snap_start = true }
    poll    = { memory_mb = 1024, timeout_seconds = 120, reserved_concurrency = 400 }

    apply_stream = { memory_mb = 2048, timeout_seconds = 200, reserved_concurrency = 40, snap_start = false }
  }
  write_log = {
    buffering_seconds      = 900
    buffering_megabytes    = 4
    infrequent_access_days = 30
    glacier_instant_days   = 90
    apply_concurrency      = 20
  }
  horizon_days       = 30
  log_retention_days = 365
  force_destroy      = false
  tls_only           = true
  alarms             = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:team"]
  }

  # What the assertions of several runs expect: the object with the schemas, and the statements that every function has.
  schemas = "{\"products\":{\"type\":\"object\"}}"
  own_log = [
    ["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:*"],
  ]
  own_traces = [["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]]
}

run "keyed_cached_and_documents_from_s3" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    # What the assertions below expect. Every route is in exactly one of the first three lists.
    open_routes = [
      "GET /health",
      "GET /items/products",
      "GET /items/products/{item_id}",
      "GET /items/products/{item_id}/changes/{change_id}",
      "GET /documents/products/{item_id}",
    ]
    protected_reads = [
      "GET /items/prices",
      "GET /items/prices/{item_id}",
      "GET /items/prices/{item_id}/changes/{change_id}",
      "GET /documents/prices/{item_id}",
      "GET /items/profiles",
      "GET /items/profiles/{item_id}",
      "GET /items/profiles/{item_id}/changes/{change_id}",
      "GET /documents/profiles/{item_id}",
    ]
    writes = [
      "POST /items/products",
      "PUT /items/products/{item_id}",
      "DELETE /items/products/{item_id}",
      "POST /items/profiles",
      "PUT /items/profiles/{item_id}",
      "DELETE /items/profiles/{item_id}",
    ]

    caches = {
      "GET /items/products" = {
        ttl = 60
        key = ["querystring.limit", "querystring.cursor", "querystring.next"]
      }
      "GET /items/products/{item_id}" = {
        ttl = 60
        key = ["path.item_id", "querystring.min_version"]
      }
      "GET /documents/products/{item_id}" = {
        ttl = 60
        key = ["path.item_id"]
      }
    }

    publish_patterns = [
      jsonencode({ dynamodb = { Keys = { pk = { S = [{ prefix = "item/" }, { prefix = "heartbeat/" }] } } } }),
      jsonencode({ dynamodb = { NewImage = { version = { S = [{ exists = true }] } } } }),
    ]

    document_keys = {
      "GET /documents/products/{item_id}" = "public/documents/products/{item_id}"
      "GET /documents/prices/{item_id}"   = "authenticated/documents/prices/{item_id}"
      "GET /documents/profiles/{item_id}" = "owner/documents/profiles/{sub}/{item_id}"
    }

    write_settings = {
      name            = "readplane"
      client_ids      = ["web", "mobile"]
      cors_origins    = ["https://a.example.com", "https://b.example.com"]
      delivery_stream = "readplane-write-log"
      items_table     = "readplane-items"
      schemas = {
        bucket = "a-bucket"
        key    = "config/schemas.json"

        version_id = "v1"
        sha256     = sha256(var.schemas)
      }
      collections = {
        products = { read = "public", write_groups = ["editors"] }
        profiles = { read = "owner", write_groups = [] }
      }
    }

    read_settings = {
      name             = "readplane"
      client_ids       = ["web", "mobile"]
      cors_origins     = ["https://a.example.com", "https://b.example.com"]
      items_table      = "readplane-items"
      items_index      = "by_collection"
      documents_bucket = null
      pending_seconds  = 1200
      horizon_days     = 30
      collections = {
        products = { read = "public", cache_ttl = 60 }
        prices   = { read = "authenticated", cache_ttl = 0 }
        profiles = { read = "owner", cache_ttl = 0 }
      }
      sources = {}
    }

    apply_settings = {
      name              = "readplane"
      queue_url         = "https://sqs.eu-central-1.amazonaws.com/111122223333/readplane-apply"
      items_table       = "readplane-items"
      log_bucket        = "a-bucket"
      quarantine_prefix = "quarantine/"
      horizon_days      = 30
      collections = {
        products = { read = "public" }
        prices   = { read = "authenticated" }
        profiles = { read = "owner" }
      }
    }

    publish_settings = {
      name              = "readplane"
      items_table       = "readplane-items"
      documents_bucket  = "a-bucket"
      log_bucket        = "a-bucket"
      quarantine_prefix = "quarantine/"
      horizon_days      = 30
      collections = {
        products = { read = "public", cache_ttl = 60, edge_ttl = 300, moved = false }
        prices   = { read = "authenticated", cache_ttl = 0, edge_ttl = null, moved = false }
        profiles = { read = "owner", cache_ttl = 0, edge_ttl = null, moved = false }
      }
    }

    zips = {
      apply        = "tests/mocks/hot.txt"
      apply-stream = "tests/mocks/hot.txt"
      publish      = "tests/mocks/artefact.txt"
      read         = "tests/mocks/hot.txt"
      write        = "tests/mocks/hot.txt"
    }
    layers = {
      apply        = []
      apply-stream = []
      publish      = ["arn:aws:lambda:eu-central-1:111122223333:layer:readplane-libraries:1"]
      read         = []
      write        = ["arn:aws:lambda:eu-central-1:111122223333:layer:readplane-libraries:1"]
    }

    write_policy = {
      WriteOwnLog        = var.own_log
      SendTraces         = var.own_traces
      DecryptOwnSettings = [["kms:Decrypt"], [var.kms_key_arn]]
      PutChanges = [
        ["firehose:PutRecord"], ["arn:aws:firehose:eu-central-1:111122223333:deliverystream/readplane-write-log"],
      ]
      ReadSchemas      = [["s3:GetObjectVersion"], ["arn:aws:s3:::a-bucket/config/schemas.json"]]
      ReadOlderSchemas = [["s3:GetObject"], ["arn:aws:s3:::a-bucket/config/schemas/*"]]
      ReadItems        = [["dynamodb:GetItem"], [var.items.arn]]
      UseKey           = [["kms:Decrypt"], [var.kms_key_arn]]
    }
    only_items = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["item/*"] } }

    apply_policy = {
      WriteOwnLog        = var.own_log
      SendTraces         = var.own_traces
      DecryptOwnSettings = [["kms:Decrypt"], [var.kms_key_arn]]
      ReceiveNotifications = [
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"],
        ["arn:aws:sqs:eu-central-1:111122223333:readplane-apply"],
      ]
      ReadLogObjects    = [["s3:GetObject"], ["arn:aws:s3:::a-bucket/log/*", "arn:aws:s3:::a-bucket/stream/*"]]
      QuarantineChanges = [["s3:PutObject"], ["arn:aws:s3:::a-bucket/quarantine/*"]]
      FoldItems = [
        [
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:BatchGetItem",
          "dynamodb:PartiQLInsert",
          "dynamodb:PartiQLUpdate",
        ],
        [var.items.arn],
      ]
      UseKey = [["kms:Decrypt", "kms:GenerateDataKey"], [var.kms_key_arn]]
    }

    apply_stream_policy = {
      WriteOwnLog        = var.own_log
      SendTraces         = var.own_traces
      DecryptOwnSettings = [["kms:Decrypt"], [var.kms_key_arn]]
      QuarantineChanges  = [["s3:PutObject"], ["arn:aws:s3:::a-bucket/quarantine/*"]]
      FoldItems = [
        [
          "dynamodb:GetItem",
          "dynamodb:PutItem",
          "dynamodb:BatchGetItem",
          "dynamodb:PartiQLInsert",
          "dynamodb:PartiQLUpdate",
        ],
        [var.items.arn],
      ]
      ReadChangeStream = [
        [
          "kinesis:DescribeStream",
          "kinesis:DescribeStreamSummary",
          "kinesis:GetRecords",
          "kinesis:GetShardIterator",
          "kinesis:ListShards",
        ],
        [var.change_stream_arn],
      ]
      ListChangeStreams = [["kinesis:ListStreams"], ["*"]]
      KeepFailedBatches = [["s3:PutObject"], ["arn:aws:s3:::a-bucket/aws/lambda/*"]]
      FindFailedBatches = [["s3:ListBucket"], ["arn:aws:s3:::a-bucket"]]
      UseKey            = [["kms:Decrypt", "kms:GenerateDataKey"], [var.kms_key_arn]]
    }

    publish_policy = {
      WriteOwnLog        = var.own_log
      SendTraces         = var.own_traces
      DecryptOwnSettings = [["kms:Decrypt"], [var.kms_key_arn]]
      ReadStream = [
        ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], [var.items.stream_arn],
      ]
      ListStreams       = [["dynamodb:ListStreams"], ["*"]]
      MendItems         = [["dynamodb:PutItem"], [var.items.arn]]
      PublishDocuments  = [["s3:PutObject", "s3:DeleteObject"], ["arn:aws:s3:::a-bucket/*"]]
      QuarantineRows    = [["s3:PutObject"], ["arn:aws:s3:::a-bucket/quarantine/malformed_row/*"]]
      KeepFailedBatches = [["s3:PutObject"], ["arn:aws:s3:::a-bucket/aws/lambda/*"]]
      FindFailedBatches = [["s3:ListBucket"], ["arn:aws:s3:::a-bucket"]]
      UseKey            = [["kms:Decrypt", "kms:GenerateDataKey"], [var.kms_key_arn]]
    }

    read_policy = {
      WriteOwnLog        = var.own_log
      SendTraces         = var.own_traces
      DecryptOwnSettings = [["kms:Decrypt"], [var.kms_key_arn]]
      ReadItems          = [["dynamodb:GetItem", "dynamodb:BatchGetItem"], [var.items.arn]]
      ListItems          = [["dynamodb:Query"], ["${var.items.arn}/index/by_collection"]]
      UseKey             = [["kms:Decrypt"], [var.kms_key_arn]]
    }

    key_conditions = {
      write = [{ StringEquals = { "kms:ViaService" = [
        "s3.eu-central-1.amazonaws.com",
        "dynamodb.eu-central-1.amazonaws.com",
      ] } }]
      apply = [{ StringEquals = { "kms:ViaService" = [
        "s3.eu-central-1.amazonaws.com",
        "sqs.eu-central-1.amazonaws.com",
        "dynamodb.eu-central-1.amazonaws.com",
      ] } }]
      apply-stream = [{ StringEquals = { "kms:ViaService" = [
        "s3.eu-central-1.amazonaws.com",
        "kinesis.eu-central-1.amazonaws.com",
        "dynamodb.eu-central-1.amazonaws.com",
      ] } }]
      publish = [{ StringEquals = { "kms:ViaService" = [
        "s3.eu-central-1.amazonaws.com",
        "dynamodb.eu-central-1.amazonaws.com",
      ] } }]
      read = [{ StringEquals = { "kms:ViaService" = ["dynamodb.eu-central-1.amazonaws.com"] } }]
    }
  }

  # --- The routes of the API

  assert {
    condition     = sort(keys(output.route_table)) == sort(concat(var.open_routes, var.protected_reads, var.writes))
    error_message = "Every collection has its own routes. A collection that no client writes has no route to write."
  }

  assert {
    condition     = alltrue([for path in var.open_routes : length(try(output.route_table[path].scopes, [])) == 0])
    error_message = "GETs of a public collection and the health check are open."
  }

  assert {
    condition = alltrue([
      for path in var.protected_reads : output.route_table[path].scopes == var.identity.scopes.read
    ])
    error_message = "All other GETs require the scope read."
  }

  assert {
    condition     = alltrue([for path in var.writes : output.route_table[path].scopes == var.identity.scopes.write])
    error_message = "Routes that write require the scope write."
  }

  assert {
    condition = alltrue([for path in var.protected_reads :
      output.route_table[path].per_caller == strcontains(path, "/profiles")
    ])
    error_message = "Responses of an owner collection depend on the caller."
  }

  assert {
    condition = jsonencode(var.caches) == jsonencode({
      for path, route in output.route_table : path => route.cache if try(route.cache, null) != null
    })
    error_message = <<-EOT
      Only a collection with cache_ttl is cached, and never the status of a change. The cache key holds every input of
      the response, and no header, even with several origins.
    EOT
  }

  assert {
    condition = var.document_keys == {
      for path, route in output.route_table : path => route.document.key if try(route.document, null) != null
    }
    error_message = "A document's prefix comes from its route. In an owner collection, the rest comes from the token."
  }

  assert {
    condition     = alltrue([for path in keys(var.document_keys) : output.route_table[path].function == null])
    error_message = "API Gateway reads documents from S3 itself."
  }

  assert {
    condition = alltrue([for path, route in output.route_table :
      route.throttle == { rate = 5, burst = 10 } if strcontains(path, "/products")
    ])
    error_message = "A collection's own throttle applies to all of its routes."
  }

  assert {
    condition = alltrue([
      for path, route in output.route_table : try(route.throttle, null) == null if !strcontains(path, "/products")
    ])
    error_message = "A collection's own throttle applies to no other collection's routes."
  }

  # --- The settings of each function

  assert {
    condition     = jsondecode(output.settings.write) == var.write_settings
    error_message = <<-EOT
      write knows the collections that clients write, the object with their schemas, and the table in which it looks for
      an earlier POST with the same Idempotency-Key.
    EOT
  }

  assert {
    condition     = aws_s3_object.write_schemas.content == var.schemas
    error_message = "The object that write reads has the schemas."
  }

  assert {
    condition     = aws_s3_object.write_schemas.key == var.write_settings.schemas.key
    error_message = "The object keeps its name, so that S3 keeps its versions for older versions of write."
  }

  assert {
    condition     = jsondecode(output.settings.read) == var.read_settings
    error_message = "A change is pending at least for the buffering interval, and read serves no documents."
  }

  assert {
    condition     = jsondecode(output.settings.apply) == var.apply_settings
    error_message = "apply knows every collection, and the queue in which it sets when a failed message comes again."
  }

  assert {
    condition     = output.settings["apply-stream"] == output.settings.apply
    error_message = "apply-stream has the settings of apply, because it runs the same package."
  }

  assert {
    condition     = jsondecode(output.settings.publish) == var.publish_settings
    error_message = "publish knows every collection and how long it may be cached."
  }

  # --- The zip, layers and environment variables of each function

  assert {
    condition     = { for name, function in output.functions : name => function.zip } == var.zips
    error_message = "read, write, apply and apply-stream run the hot zip."
  }

  assert {
    condition = jsonencode(var.layers) == jsonencode({
      for name, function in output.functions : name => function.layers
    })
    error_message = "Only publish and write have the layer."
  }

  assert {
    condition     = alltrue([for function in output.functions : length(function.environment) == 0])
    error_message = "read, write and apply run with the slim client, which they use unless a variable says otherwise."
  }

  # --- What each function may do (only these tests check it, because the emulator doesn't enforce all policies)

  assert {
    condition = var.write_policy == {
      for s in jsondecode(output.policies.functions.write).Statement : s.Sid => [s.Action, s.Resource]
    }
    error_message = "write adds changes, and reads schemas and items by key. It changes no item and reads no log."
  }

  assert {
    condition = [var.only_items] == [
      for s in jsondecode(output.policies.functions.write).Statement : s.Condition if s.Sid == "ReadItems"
    ]
    error_message = "Of the items table, write reads only items: no quarantine markers, and no sources."
  }

  assert {
    condition = var.apply_policy == {
      for s in jsondecode(output.policies.functions.apply).Statement : s.Sid => [s.Action, s.Resource]
    }
    error_message = <<-EOT
      apply reads its queue and the log, reads and writes items, and writes quarantine. It deletes nothing but its
      messages, and sets when a failed message comes again. It reads no stream.
    EOT
  }

  assert {
    condition = var.apply_stream_policy == {
      for s in jsondecode(output.policies.functions["apply-stream"]).Statement : s.Sid => [s.Action, s.Resource]
    }
    error_message = "apply-stream reads the stream, and reads no queue and no log."
  }

  assert {
    condition = var.publish_policy == {
      for s in jsondecode(output.policies.functions.publish).Statement : s.Sid => [s.Action, s.Resource]
    }
    error_message = "publish reads the stream, writes documents, repairs items and writes failed batches to S3."
  }

  assert {
    condition = var.read_policy == {
      for s in jsondecode(output.policies.functions.read).Statement : s.Sid => [s.Action, s.Resource]
    }
    error_message = "read reads items by key and lists by index. It scans and writes nothing."
  }

  assert {
    condition = var.key_conditions == { for f, text in output.policies.functions : f => [
      for s in jsondecode(text).Statement : s.Condition if s.Sid == "UseKey"
    ] }
    error_message = "Each function uses the key only through the services whose data it needs."
  }

  # --- The event source mappings of `apply` and `publish`

  assert {
    condition     = aws_lambda_event_source_mapping.apply.scaling_config[0].maximum_concurrency == 20
    error_message = "The mapping limits apply's concurrency."
  }

  assert {
    condition     = endswith(aws_lambda_event_source_mapping.apply.function_name, ":live")
    error_message = "The mapping calls the live version of apply."
  }

  assert {
    condition = aws_lambda_event_source_mapping.apply.function_response_types == toset([
      "ReportBatchItemFailures"
    ])
    error_message = "One failed object doesn't bring back the others."
  }

  assert {
    condition = aws_lambda_event_source_mapping.publish["1"].function_response_types == toset([
      "ReportBatchItemFailures"
    ])
    error_message = "One failed record doesn't bring back the records before it."
  }

  assert {
    condition     = module.write_log.visibility_timeout_seconds >= 6 * var.functions.apply.timeout_seconds
    error_message = "A message stays hidden for six timeouts of apply. Otherwise SQS would deliver a slow batch twice."
  }

  assert {
    condition     = module.write_log.freshness_alarm_seconds == 1200
    error_message = "The threshold of the freshness alarm includes the buffering interval."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.publish["1"].event_source_arn == var.items.stream_arn
    error_message = "publish reads the items stream."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.publish["1"].starting_position == "TRIM_HORIZON"
    error_message = "publish gets every record from the start."
  }

  assert {
    condition = toset(aws_lambda_event_source_mapping.publish["1"].filter_criteria[0].filter[*].pattern) == toset(
      var.publish_patterns
    )
    error_message = "Lambda invokes publish for items and heartbeats only."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.publish["1"].bisect_batch_on_function_error
    error_message = "Lambda narrows down which record fails."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.publish["1"].maximum_record_age_in_seconds == 21600
    error_message = "Lambda retries for a limited time."
  }

  assert {
    condition = one(aws_lambda_event_source_mapping.publish["1"].destination_config[0].on_failure).destination_arn == (
      "arn:aws:s3:::a-bucket"
    )
    error_message = "S3 keeps the records that publish can't handle."
  }

  assert {
    condition     = module.alarms[0].alarms["publish_behind"].dimensions.FunctionName == "readplane-publish"
    error_message = "Documents that lag behind the items raise an alarm."
  }

  assert {
    condition     = module.alarms[0].alarms["publish_behind"].alarm_actions == toset(var.alarm_actions.page)
    error_message = "The alarm notifies the operators."
  }
}

# The policies of the run "keyed_cached_and_documents_from_s3".
run "policies" {
  command = plan

  module {
    source = "./tests/policies"
  }

  variables {
    policies = concat(
      values(run.keyed_cached_and_documents_from_s3.policies.functions),
      values(run.keyed_cached_and_documents_from_s3.policies.document_readers),
      [run.keyed_cached_and_documents_from_s3.policies.write_log.firehose],
    )
  }

  assert {
    condition     = length(output.wildcard_actions) == 0
    error_message = "No action is a wildcard."
  }

  assert {
    condition     = output.sids_without_limit == toset(["SendTraces", "ListStreams", "ListChangeStreams"])
    error_message = "No resource is a wildcard if AWS allows a narrower one."
  }

  assert {
    condition     = length(output.repeated_sids) == 0
    error_message = "Every Sid of a policy is unique."
  }
}

run "with_boto3" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    code = {
      hot_zip       = "tests/mocks/hot.txt"
      functions_zip = "tests/mocks/artefact.txt"
      layer_zip     = "tests/mocks/artefact.txt"
      architecture  = "arm64"
      aws_client    = "boto3"
    }

    # What the assertions below expect.
    environments = {
      apply        = { READPLANE_CLIENT = "boto3" }
      apply-stream = { READPLANE_CLIENT = "boto3" }
      publish      = {}
      read         = { READPLANE_CLIENT = "boto3" }
      write        = { READPLANE_CLIENT = "boto3" }
    }
    zips = {
      apply        = "tests/mocks/hot.txt"
      apply-stream = "tests/mocks/hot.txt"
      publish      = "tests/mocks/artefact.txt"
      read         = "tests/mocks/hot.txt"
      write        = "tests/mocks/hot.txt"
    }
  }

  assert {
    condition = jsonencode(var.environments) == jsonencode({
      for name, function in output.functions : name => function.environment
    })
    error_message = "The functions of the hot zip get READPLANE_CLIENT = boto3. publish needs no variable for it."
  }

  assert {
    condition     = { for name, function in output.functions : name => function.zip } == var.zips
    error_message = "The same zips serve both clients, so switching needs no new build."
  }

  assert {
    condition     = alltrue([for function in output.functions : length(function.layers) == 1])
    error_message = "boto3 is traced by the X-Ray SDK, which the layer holds."
  }
}

run "unkeyed_uncached_and_documents_from_read" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    kms_key_arn           = null
    has_key               = false
    documents_integration = "lambda"
    alarms                = false
    change_stream_arn     = null
    api = {
      endpoint_type = "REGIONAL"
      cors_origins  = ["https://a.example.com"]
      throttle      = { rate = 500, burst = 1000 }
    }
    write_log = {
      buffering_seconds      = 0
      buffering_megabytes    = 4
      infrequent_access_days = 30
      glacier_instant_days   = 90
      apply_concurrency      = 2
    }

    # What the assertions below expect.
    statements_of_apply = [
      "WriteOwnLog", "SendTraces", "ReceiveNotifications", "ReadLogObjects", "QuarantineChanges", "FoldItems",
    ]
    documents = [["s3:GetObject"], ["arn:aws:s3:::a-bucket/*"]]
  }

  assert {
    condition = alltrue([for path, route in output.route_table :
      route.document == null && route.function == "read" if startswith(path, "GET /documents/")
    ])
    error_message = "With documents_integration = lambda, read serves the documents."
  }

  assert {
    condition     = jsondecode(output.settings.read).documents_bucket == "a-bucket"
    error_message = "If read serves documents, it knows the bucket."
  }

  assert {
    condition = [for s in jsondecode(output.policies.functions.read).Statement : [s.Action, s.Resource]
      if s.Sid == "ReadDocuments"
    ] == [var.documents]
    error_message = "If read serves documents, it may read the bucket."
  }

  assert {
    condition     = jsondecode(output.settings.read).pending_seconds == 900
    error_message = "A change is pending for at least 15 minutes."
  }

  assert {
    condition     = !strcontains(jsonencode(output.policies.functions), "kms:")
    error_message = "Without a key, no function has a statement about one."
  }

  assert {
    condition     = !contains(output.route_table["GET /items/products"].cache.key, "header.Origin")
    error_message = "With one origin, the cache key doesn't hold the origin."
  }

  assert {
    condition     = jsondecode(output.policies.functions.apply).Statement[*].Sid == var.statements_of_apply
    error_message = "Without a change stream, apply has no statement about one."
  }

  assert {
    condition     = !contains(keys(output.policies.functions), "apply-stream") && output.apply_stream == null
    error_message = "Without a change stream, there is no function for one."
  }

  assert {
    condition     = length(module.alarms) == 0
    error_message = "alarms = false creates no alarm."
  }
}

# --- apply-stream, the daily calls and the concurrency quota

run "the_functions_that_apply" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    names = ["readplane-apply", "readplane-apply-stream", "readplane-publish", "readplane-read", "readplane-write"]

    decrypt = {
      Sid       = "DecryptSchedules"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = [var.kms_key_arn]
      Condition = { ArnLike = { "kms:EncryptionContext:aws:scheduler:schedule:arn" = [var.schedules] } }
    }

    trust = {
      Sid       = "SchedulesInvoke"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = "111122223333" }
        ArnEquals = {
          "aws:SourceArn" = "arn:aws:scheduler:eu-central-1:111122223333:schedule-group/readplane-daily"
        }
      }
    }
  }

  assert {
    condition     = output.apply_stream.function_name == "readplane-apply-stream"
    error_message = "The change stream has a function of its own."
  }

  assert {
    condition     = output.functions["apply-stream"].handler == "readplane.apply.handler.handler"
    error_message = "apply-stream runs the package apply."
  }

  assert {
    condition     = output.functions["apply-stream"].memory_mb == 2048 && output.functions.apply.memory_mb == 1024
    error_message = "apply-stream has settings of its own."
  }

  assert {
    condition     = sort([for schedule in aws_scheduler_schedule.daily : schedule.name]) == tolist(var.names)
    error_message = "Every function of the Region is called, because a standby's functions would become inactive."
  }

  assert {
    condition = alltrue([for schedule in aws_scheduler_schedule.daily :
      schedule.schedule_expression == "rate(1 day)" && endswith(schedule.target[0].arn, ":live")
    ])
    error_message = "Each alias is called once a day."
  }

  assert {
    condition = alltrue([for schedule in aws_scheduler_schedule.daily :
      jsondecode(schedule.target[0].input) == { check = true }
    ])
    error_message = "Each alias gets the check, which writes nothing."
  }

  assert {
    condition     = jsondecode(output.policies.daily.trust).Statement == [var.trust]
    error_message = "Only the schedules of this group may use the role."
  }

  assert {
    condition = [for s in jsondecode(output.policies.daily.policy).Statement : s.Action] == [
      ["lambda:InvokeFunction"], ["kms:Decrypt"],
    ]
    error_message = "The role may only invoke functions, and decrypt."
  }

  assert {
    condition     = jsondecode(output.policies.daily.policy).Statement[1] == var.decrypt
    error_message = "The role decrypts the schedules of this group only."
  }

  assert {
    condition     = alltrue([for schedule in aws_scheduler_schedule.daily : schedule.kms_key_arn == var.kms_key_arn])
    error_message = "The stack's key encrypts the schedules."
  }
}

run "daily_calls_with_canary_deployments" {
  command = plan

  module {
    source = "./modules/region"
  }

  override_resource {
    target          = module.function["read"].aws_lambda_alias.released
    override_during = plan
    values          = { arn = "arn:aws:lambda:eu-central-1:111122223333:function:readplane-read:released-1" }
  }

  override_resource {
    target          = module.function["read"].aws_lambda_alias.this
    override_during = plan
    values          = { arn = "arn:aws:lambda:eu-central-1:111122223333:function:readplane-read:live" }
  }

  variables {
    release = { alias = "released-1", called = true }
    called = [
      "arn:aws:lambda:eu-central-1:111122223333:function:readplane-read:released-1",
      "arn:aws:lambda:eu-central-1:111122223333:function:readplane-read:live",
    ]
  }

  assert {
    condition     = length(aws_scheduler_schedule.daily) == 10
    error_message = "Every function has two daily calls."
  }

  assert {
    condition     = aws_scheduler_schedule.daily["read"].target[0].arn == var.called[0]
    error_message = "Each function is called by the alias of its clients."
  }

  assert {
    condition     = aws_scheduler_schedule.daily["read-live"].target[0].arn == var.called[1]
    error_message = "Its newest version is called too, so that it stays in service until it is deployed."
  }

  assert {
    condition     = length(setsubtract(var.called, jsondecode(output.policies.daily.policy).Statement[0].Resource)) == 0
    error_message = "The role may call both aliases."
  }
}

# The functions reserve 10 + 40 + 400 executions.
run "a_reservation_that_the_quota_does_not_allow" {
  command = plan

  module {
    source = "./modules/region"
  }

  override_data {
    target = data.aws_servicequotas_service_quota.concurrency[0]
    values = { value = 549 }
  }

  expect_failures = [data.aws_servicequotas_service_quota.concurrency]
}

run "a_reservation_that_the_quota_just_allows" {
  command = plan

  module {
    source = "./modules/region"
  }

  override_data {
    target = data.aws_servicequotas_service_quota.concurrency[0]
    values = { value = 550 }
  }

  assert {
    condition     = data.aws_servicequotas_service_quota.concurrency[0].value - local.reserved_concurrency == 100
    error_message = "Lambda keeps exactly 100 executions unreserved, so it accepts the reservation."
  }
}

run "the_reservation_of_a_region_that_does_not_poll" {
  command = plan

  module {
    source = "./modules/region"
  }

  override_data {
    target = data.aws_servicequotas_service_quota.concurrency[0]
    values = { value = 110 }
  }

  variables {
    change_stream_arn = null
  }

  assert {
    condition     = length(data.aws_servicequotas_service_quota.concurrency) == 1
    error_message = "poll and apply-stream aren't there, so they reserve nothing."
  }
}

run "a_quota_that_somebody_declared" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    account_concurrency_quota = 1000
  }

  assert {
    condition     = length(data.aws_servicequotas_service_quota.concurrency) == 0
    error_message = "A declared quota replaces the one that AWS reports. An emulator reports none."
  }
}

run "nothing_reserved_in_a_new_account" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    functions = {
      write   = { memory_mb = 512, timeout_seconds = 15 }
      apply   = { memory_mb = 1024, timeout_seconds = 300 }
      publish = { memory_mb = 1024, timeout_seconds = 120 }
      read    = { memory_mb = 512, timeout_seconds = 15 }

      apply_stream = { memory_mb = 1024, timeout_seconds = 300 }
    }
  }

  assert {
    condition     = length(data.aws_servicequotas_service_quota.concurrency) == 0
    error_message = "Without a reservation any quota is enough, so Terraform doesn't ask for it."
  }
}

# --- Zips in S3

run "zips_in_s3" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    code = {
      hot_zip       = "dist/hot-arm64.zip"
      functions_zip = "dist/functions-arm64.zip"
      layer_zip     = "dist/layer-arm64.zip"
      architecture  = "arm64"
      aws_client    = "slim"
      s3 = {
        bucket = "releases"
        keys = {
          "dist/hot-arm64.zip"       = "1.4.0/hot-arm64.zip"
          "dist/functions-arm64.zip" = "1.4.0/functions-arm64.zip"
          "dist/layer-arm64.zip"     = "1.4.0/layer-arm64.zip"
        }
      }
    }
    zips = {
      apply        = "s3://releases/1.4.0/hot-arm64.zip"
      apply-stream = "s3://releases/1.4.0/hot-arm64.zip"
      publish      = "s3://releases/1.4.0/functions-arm64.zip"
      read         = "s3://releases/1.4.0/hot-arm64.zip"
      write        = "s3://releases/1.4.0/hot-arm64.zip"
    }
  }

  assert {
    condition     = { for name, function in output.functions : name => function.zip } == var.zips
    error_message = "Lambda reads the zips from the bucket. No local file is needed."
  }

  assert {
    condition = (
      aws_lambda_layer_version.this.s3_bucket == "releases"
      && aws_lambda_layer_version.this.s3_key == "1.4.0/layer-arm64.zip"
    )
    error_message = "Lambda reads the layer from the bucket too."
  }

  assert {
    condition     = aws_lambda_layer_version.this.filename == null
    error_message = "The layer needs no local file either."
  }
}

# --- The probe

run "a_probe_of_the_freshness_of_a_source" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    sources = { stock = { collection = "products", staleness_budget = 300 } }
    probe   = { api_url = "https://api.example.com/v1", has_edge = true, edge_url = "https://e.example", path = null }

    expected_requests = {
      health   = { url = "https://api.example.com/v1/health", may_be_missing = false }
      document = { url = "https://api.example.com/v1/documents/sources/stock", may_be_missing = true }
      edge     = { url = "https://e.example/documents/sources/stock", may_be_missing = true }
    }
  }

  assert {
    condition     = jsonencode(local.probe_requests) == jsonencode(var.expected_requests)
    error_message = "A source has no freshness until its first poll, so 404 passes for it."
  }

  assert {
    condition     = aws_scheduler_schedule_group.probe[0].name == "readplane_probe"
    error_message = "No stack can have this name, so no other stack has this schedule group."
  }
}

run "a_probe_of_a_named_document_and_no_edge" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    probe = { api_url = "https://a.example.com/v1", has_edge = false, edge_url = null, path = "/documents/products/1" }

    expected_requests = {
      health   = { url = "https://a.example.com/v1/health", may_be_missing = false }
      document = { url = "https://a.example.com/v1/documents/products/1", may_be_missing = false }
    }
  }

  assert {
    condition     = jsonencode(local.probe_requests) == jsonencode(var.expected_requests)
    error_message = "A document that the settings name always exists, and an edge without documents gets no request."
  }
}
