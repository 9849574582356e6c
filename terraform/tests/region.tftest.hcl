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
  name        = "readplane"
  code        = { hot_zip = "tests/mocks/hot.txt", functions_zip = "tests/mocks/artefact.txt", layer_zip = "tests/mocks/artefact.txt", architecture = "arm64", aws_client = "slim" }
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k"
  identity = {
    user_pool_arn = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/p"
    client_ids    = ["web", "mobile"]
    scopes        = { read = ["readplane/read", "aws.cognito.signin.user.admin"], write = ["readplane/write", "aws.cognito.signin.user.admin"] }
  }
  items = {
    name       = "readplane-items"
    arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"
    stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/stream/s"
    index_name = "by_collection"
  }
  collections = {
    products = { read = "public", write_groups = ["editors"], schema = "{\"type\":\"object\"}", cache_ttl = 60, throttle = { rate = 5, burst = 10 } }
    prices   = { read = "authenticated", write_groups = [], cache_ttl = 0 }
    profiles = { read = "owner", write_groups = [], cache_ttl = 0 }
  }
  change_stream_arn     = "arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes"
  api                   = { endpoint_type = "REGIONAL", cors_origins = ["https://a.example.com", "https://b.example.com"], cache_size = "0.5", throttle = { rate = 500, burst = 1000 }, manage_account_logging = true }
  documents_integration = "s3"
  functions = {
    write   = { memory_mb = 512, timeout_seconds = 15, reserved_concurrency = 10, snap_start = true }
    apply   = { memory_mb = 1024, timeout_seconds = 300, snap_start = false }
    publish = { memory_mb = 1024, timeout_seconds = 120, snap_start = false }
    read    = { memory_mb = 512, timeout_seconds = 15, snap_start = true }
  }
  write_log          = { buffering_seconds = 900, buffering_megabytes = 4, infrequent_access_days = 30, glacier_instant_days = 90, apply_concurrency = 20 }
  horizon_days       = 30
  log_retention_days = 365
  force_destroy      = false
  tls_only           = true
  alarms             = true
  alarm_actions      = ["arn:aws:sns:eu-central-1:111122223333:operators"]
}

run "keyed_cached_and_documents_from_s3" {
  command = plan

  module {
    source = "./modules/region"
  }

  # --- The routes of the API

  assert {
    condition = sort(keys(output.route_table)) == sort([
      "GET /health",
      "GET /items/products", "GET /items/products/{item_id}", "GET /items/products/{item_id}/changes/{change_id}", "GET /documents/products/{item_id}",
      "POST /items/products", "PUT /items/products/{item_id}", "DELETE /items/products/{item_id}",
      "GET /items/prices", "GET /items/prices/{item_id}", "GET /items/prices/{item_id}/changes/{change_id}", "GET /documents/prices/{item_id}",
      "GET /items/profiles", "GET /items/profiles/{item_id}", "GET /items/profiles/{item_id}/changes/{change_id}", "GET /documents/profiles/{item_id}",
      "POST /items/profiles", "PUT /items/profiles/{item_id}", "DELETE /items/profiles/{item_id}",
    ])
    error_message = "Every collection has its own routes. A collection that no client writes has no route to write."
  }

  assert {
    condition     = alltrue([for path, route in output.route_table : length(try(route.scopes, [])) == 0 if startswith(path, "GET /items/products") || path == "GET /documents/products/{item_id}" || path == "GET /health"])
    error_message = "GETs of a public collection and the health check are open."
  }

  assert {
    condition = alltrue([for path, route in output.route_table :
      route.scopes == (startswith(path, "GET ") ? var.identity.scopes.read : var.identity.scopes.write)
      if path != "GET /health" && !(startswith(path, "GET ") && strcontains(path, "/products"))
    ])
    error_message = "All other routes require the scope read or write, by what they do."
  }

  assert {
    condition     = alltrue([for path, route in output.route_table : route.per_caller if startswith(path, "GET ") && strcontains(path, "/profiles")])
    error_message = "Responses of an owner collection depend on the caller."
  }

  assert {
    condition     = alltrue([for path, route in output.route_table : try(route.cache, null) == null if !strcontains(path, "/products") || strcontains(path, "/changes/") || !startswith(path, "GET ")])
    error_message = "Only a collection with cache_ttl is cached, and never the status of a change."
  }

  assert {
    condition = (
      toset(output.route_table["GET /items/products"].cache.key) == toset(["querystring.limit", "querystring.cursor", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"])
      && toset(output.route_table["GET /items/products/{item_id}"].cache.key) == toset(["path.item_id", "header.If-None-Match", "header.Readplane-Min-Version", "header.Origin"])
      && output.route_table["GET /items/products"].cache.ttl == 60
    )
    error_message = "The cache key holds every input of the response, and the origin if there are several."
  }

  assert {
    condition = (
      output.route_table["GET /documents/products/{item_id}"].document.key == "public/products/{item_id}.json"
      && output.route_table["GET /documents/prices/{item_id}"].document.key == "authenticated/prices/{item_id}.json"
      && output.route_table["GET /documents/profiles/{item_id}"].document.key == "owner/profiles/{sub}/{item_id}.json"
      && output.route_table["GET /documents/profiles/{item_id}"].function == null
    )
    error_message = "A document's prefix comes from its route. In an owner collection, the rest comes from the token."
  }

  assert {
    condition = (
      output.route_table["PUT /items/products/{item_id}"].throttle == { rate = 5, burst = 10 }
      && output.route_table["GET /items/products"].throttle == { rate = 5, burst = 10 }
      && output.route_table["GET /items/prices"].throttle == null
    )
    error_message = "A collection's own throttle applies to all of its routes and to no others."
  }

  # --- The settings of each function

  assert {
    condition = jsondecode(output.settings.write) == jsondecode(jsonencode({
      name            = "readplane", client_ids = ["web", "mobile"]
      cors_origins    = ["https://a.example.com", "https://b.example.com"]
      delivery_stream = "readplane-write-log"
      schemas         = { bucket = "a-bucket", key = "config/schemas/${sha256("{\"products\":{\"type\":\"object\"}}")}.json", sha256 = sha256("{\"products\":{\"type\":\"object\"}}") }
      collections     = { products = { read = "public", write_groups = ["editors"] }, profiles = { read = "owner", write_groups = [] } }
    }))
    error_message = "write knows the collections that clients write, and the object with their schemas."
  }

  assert {
    condition     = aws_s3_object.schemas.content == "{\"products\":{\"type\":\"object\"}}" && aws_s3_object.schemas.key == jsondecode(output.settings.write).schemas.key
    error_message = "The schemas are in the object that write reads, whose name is the hash of the content."
  }

  assert {
    condition = jsondecode(output.settings.read) == jsondecode(jsonencode({
      name         = "readplane", client_ids = ["web", "mobile"]
      cors_origins = ["https://a.example.com", "https://b.example.com"]
      items_table  = "readplane-items", items_index = "by_collection", documents_bucket = null, pending_seconds = 1200, horizon_days = 30
      collections  = { products = { read = "public", cache_ttl = 60 }, prices = { read = "authenticated", cache_ttl = 0 }, profiles = { read = "owner", cache_ttl = 0 } }
      sources      = {}
    }))
    error_message = "A change is pending at least for the buffering interval, and read serves no documents."
  }

  assert {
    condition = jsondecode(output.settings.apply) == jsondecode(jsonencode({
      name        = "readplane", items_table = "readplane-items", log_bucket = "a-bucket", quarantine_prefix = "quarantine/", horizon_days = 30
      queue_url   = "https://sqs.eu-central-1.amazonaws.com/111122223333/readplane-apply"
      collections = { products = { read = "public" }, prices = { read = "authenticated" }, profiles = { read = "owner" } }
    }))
    error_message = "apply knows every collection, and the queue in which it sets when a failed message comes again."
  }

  assert {
    condition = jsondecode(output.settings.publish) == jsondecode(jsonencode({
      name        = "readplane", items_table = "readplane-items", documents_bucket = "a-bucket", horizon_days = 30
      collections = { products = { read = "public", cache_ttl = 60 }, prices = { read = "authenticated", cache_ttl = 0 }, profiles = { read = "owner", cache_ttl = 0 } }
    }))
    error_message = "publish knows every collection and how long it may be cached."
  }

  # --- The zip, layers and environment variables of each function

  assert {
    condition = jsonencode(output.functions) == jsonencode({
      apply   = { environment = {}, layers = [], zip = "tests/mocks/hot.txt" }
      publish = { environment = {}, layers = ["arn:aws:lambda:eu-central-1:111122223333:layer:readplane-libraries:1"], zip = "tests/mocks/artefact.txt" }
      read    = { environment = {}, layers = [], zip = "tests/mocks/hot.txt" }
      write   = { environment = {}, layers = ["arn:aws:lambda:eu-central-1:111122223333:layer:readplane-libraries:1"], zip = "tests/mocks/hot.txt" }
    })
    error_message = "read, write and apply run the hot zip with the slim client. Only publish and write have the layer."
  }

  # --- What each function may do (only these tests check it, because the emulator doesn't enforce all policies)

  assert {
    condition = jsonencode({ for s in jsondecode(output.policies.functions.write).Statement : s.Sid => [s.Action, s.Resource] }) == jsonencode({
      WriteOwnLog        = [["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:*"]]
      SendTraces         = [["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]]
      DecryptOwnSettings = [["kms:Decrypt"], [var.kms_key_arn]]
      PutChanges         = [["firehose:PutRecord"], ["arn:aws:firehose:eu-central-1:111122223333:deliverystream/readplane-write-log"]]
      ReadSchemas        = [["s3:GetObject"], ["arn:aws:s3:::a-bucket/config/schemas/*"]]
      UseKey             = [["kms:Decrypt"], [var.kms_key_arn]]
    })
    error_message = "write adds changes and reads schemas. It reads no item and no log."
  }

  assert {
    condition = jsonencode({ for s in jsondecode(output.policies.functions.apply).Statement : s.Sid => [s.Action, s.Resource] }) == jsonencode({
      WriteOwnLog          = [["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:*"]]
      SendTraces           = [["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]]
      DecryptOwnSettings   = [["kms:Decrypt"], [var.kms_key_arn]]
      ReceiveNotifications = [["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"], ["arn:aws:sqs:eu-central-1:111122223333:readplane-apply"]]
      ReadLogObjects       = [["s3:GetObject"], ["arn:aws:s3:::a-bucket/log/*"]]
      QuarantineChanges    = [["s3:PutObject"], ["arn:aws:s3:::a-bucket/quarantine/*"]]
      FoldItems            = [["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"], [var.items.arn]]
      ReadChangeStream     = [["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"], [var.change_stream_arn]]
      ListChangeStreams    = [["kinesis:ListStreams"], ["*"]]
      KeepFailedBatches    = [["s3:PutObject"], ["arn:aws:s3:::a-bucket/aws/lambda/*"]]
      FindFailedBatches    = [["s3:ListBucket"], ["arn:aws:s3:::a-bucket"]]
      UseKey               = [["kms:Decrypt", "kms:GenerateDataKey"], [var.kms_key_arn]]
    })
    error_message = join(" ", [
      "apply reads the stream and the log, reads and writes items, and writes quarantine. It deletes nothing but its",
      "messages, and sets when a failed message comes again.",
    ])
  }

  assert {
    condition = jsonencode({ for s in jsondecode(output.policies.functions.publish).Statement : s.Sid => [s.Action, s.Resource] }) == jsonencode({
      WriteOwnLog        = [["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:*"]]
      SendTraces         = [["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]]
      DecryptOwnSettings = [["kms:Decrypt"], [var.kms_key_arn]]
      ReadStream         = [["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], [var.items.stream_arn]]
      ListStreams        = [["dynamodb:ListStreams"], ["*"]]
      MendItems          = [["dynamodb:PutItem"], [var.items.arn]]
      PublishDocuments   = [["s3:PutObject", "s3:DeleteObject"], ["arn:aws:s3:::a-bucket/*"]]
      KeepFailedBatches  = [["s3:PutObject"], ["arn:aws:s3:::a-bucket/aws/lambda/*"]]
      FindFailedBatches  = [["s3:ListBucket"], ["arn:aws:s3:::a-bucket"]]
      UseKey             = [["kms:Decrypt", "kms:GenerateDataKey"], [var.kms_key_arn]]
    })
    error_message = "publish reads the stream, writes documents, repairs items and writes failed batches to S3."
  }

  assert {
    condition = jsonencode({ for s in jsondecode(output.policies.functions.read).Statement : s.Sid => [s.Action, s.Resource] }) == jsonencode({
      WriteOwnLog        = [["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:*"]]
      SendTraces         = [["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]]
      DecryptOwnSettings = [["kms:Decrypt"], [var.kms_key_arn]]
      ReadItems          = [["dynamodb:GetItem", "dynamodb:BatchGetItem"], [var.items.arn]]
      ListItems          = [["dynamodb:Query"], ["${var.items.arn}/index/by_collection"]]
      UseKey             = [["kms:Decrypt"], [var.kms_key_arn]]
    })
    error_message = "read reads items by key and lists by index. It scans and writes nothing."
  }

  assert {
    condition = jsonencode({ for f, policy in output.policies.functions : f => one([for s in jsondecode(policy).Statement : s.Condition if s.Sid == "UseKey"]) }) == jsonencode({
      write   = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } }
      apply   = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com", "sqs.eu-central-1.amazonaws.com", "dynamodb.eu-central-1.amazonaws.com", "kinesis.eu-central-1.amazonaws.com"] } }
      publish = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com", "dynamodb.eu-central-1.amazonaws.com"] } }
      read    = { StringEquals = { "kms:ViaService" = ["dynamodb.eu-central-1.amazonaws.com"] } }
    })
    error_message = "Each function uses the key only through the services whose data it needs."
  }

  assert {
    condition = alltrue([for policy in concat(values(output.policies.functions), values(output.policies.document_readers), [output.policies.write_log.firehose]) : (
      alltrue([for action in flatten([for s in jsondecode(policy).Statement : s.Action]) : !strcontains(action, "*")])
      && alltrue([for s in jsondecode(policy).Statement : !contains(s.Resource, "*") || contains(["SendTraces", "ListStreams", "ListChangeStreams"], s.Sid)])
      && length(distinct([for s in jsondecode(policy).Statement : s.Sid])) == length(jsondecode(policy).Statement)
    )])
    error_message = "No action is a wildcard, no resource either if AWS allows a narrower one, and every Sid is unique."
  }

  # --- The event source mappings of `apply` and `publish`

  assert {
    condition = (
      aws_lambda_event_source_mapping.apply.scaling_config[0].maximum_concurrency == 20
      && contains(aws_lambda_event_source_mapping.apply.function_response_types, "ReportBatchItemFailures")
      && endswith(aws_lambda_event_source_mapping.apply.function_name, ":live")
    )
    error_message = "The mapping limits apply's concurrency, and one failed object doesn't bring back the others."
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
    condition = (
      aws_lambda_event_source_mapping.publish.starting_position == "TRIM_HORIZON"
      && aws_lambda_event_source_mapping.publish.bisect_batch_on_function_error
      && aws_lambda_event_source_mapping.publish.maximum_record_age_in_seconds == 21600
      && aws_lambda_event_source_mapping.publish.destination_config[0].on_failure[0].destination_arn == "arn:aws:s3:::a-bucket"
      && contains(aws_lambda_event_source_mapping.publish.function_response_types, "ReportBatchItemFailures")
      && aws_lambda_event_source_mapping.publish.event_source_arn == var.items.stream_arn
    )
    error_message = "publish gets every record from the start, retries for a limited time, and S3 keeps failed records."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.publish_behind[0].dimensions.FunctionName == "readplane-publish" && aws_cloudwatch_metric_alarm.publish_behind[0].alarm_actions == toset(var.alarm_actions)
    error_message = "Documents that lag behind the items raise an alarm."
  }
}

run "with_boto3" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    code = { hot_zip = "tests/mocks/hot.txt", functions_zip = "tests/mocks/artefact.txt", layer_zip = "tests/mocks/artefact.txt", architecture = "arm64", aws_client = "boto3" }
  }

  assert {
    condition     = jsonencode({ for f, runs in output.functions : f => runs.environment }) == jsonencode({ apply = { READPLANE_CLIENT = "boto3" }, publish = {}, read = { READPLANE_CLIENT = "boto3" }, write = { READPLANE_CLIENT = "boto3" } })
    error_message = "The functions of the hot zip get READPLANE_CLIENT = boto3. publish needs no variable for it."
  }

  assert {
    condition     = jsonencode({ for f, runs in output.functions : f => runs.zip }) == jsonencode({ apply = "tests/mocks/hot.txt", publish = "tests/mocks/artefact.txt", read = "tests/mocks/hot.txt", write = "tests/mocks/hot.txt" })
    error_message = "The same zips serve both clients, so switching needs no new build."
  }

  assert {
    condition     = alltrue([for runs in values(output.functions) : length(runs.layers) == 1])
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
    documents_integration = "lambda"
    alarms                = false
    change_stream_arn     = null
    api                   = { endpoint_type = "REGIONAL", cors_origins = ["https://a.example.com"], throttle = { rate = 500, burst = 1000 }, manage_account_logging = true }
    write_log             = { buffering_seconds = 0, buffering_megabytes = 4, infrequent_access_days = 30, glacier_instant_days = 90, apply_concurrency = 2 }
  }

  assert {
    condition     = alltrue([for path, route in output.route_table : route.document == null && route.function == "read" if startswith(path, "GET /documents/")])
    error_message = "With documents_integration = lambda, read serves the documents."
  }

  assert {
    condition = (
      jsondecode(output.settings.read).documents_bucket == "a-bucket"
      && jsondecode(output.settings.read).pending_seconds == 900
      && one([for s in jsondecode(output.policies.functions.read).Statement : s if s.Sid == "ReadDocuments"]).Resource == jsondecode("[\"arn:aws:s3:::a-bucket/*\"]")
    )
    error_message = "If read serves documents, it knows the bucket and may read it."
  }

  assert {
    condition     = alltrue([for policy in values(output.policies.functions) : length([for s in jsondecode(policy).Statement : s if strcontains(jsonencode(s.Action), "kms:")]) == 0])
    error_message = "Without a key, no function has a statement about one."
  }

  assert {
    condition     = !contains(output.route_table["GET /items/products"].cache.key, "header.Origin")
    error_message = "With one origin, the cache key doesn't hold the origin."
  }

  assert {
    condition     = !strcontains(output.policies.functions.apply, "kinesis:") && !contains([for s in jsondecode(output.policies.functions.apply).Statement : s.Sid], "KeepFailedBatches")
    error_message = "Without a change stream, apply has no statement about one."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.publish_behind) == 0
    error_message = "alarms = false creates no alarm."
  }
}
