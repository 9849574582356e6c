# Tests of the function `query` in module region: which routes it serves, its settings, what it may do, and what it
# reserves.

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
    hot_zip            = "tests/mocks/hot.txt"
    functions_zip      = "tests/mocks/artefact.txt"
    layer_zip          = "tests/mocks/artefact.txt"
    database_layer_zip = "tests/mocks/artefact.txt"
    architecture       = "arm64"
    aws_client         = "slim"
  }
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k"
  has_key     = true
  identity = {
    user_pool_arn = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/p"
    client_ids    = ["web", "mobile"]
    scopes        = { read = ["readplane/read"], write = ["readplane/write"] }
  }
  items = {
    name       = "readplane-items"
    arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"
    stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/stream/s"
    index_name = "by_collection"
  }
  collections = {
    prices = {
      read         = "public"
      write_groups = []
      cache_ttl    = 30
      relational   = { fields = { price = { type = "number", pointer = "/price" } }, sort = ["price"] }
    }
    notes = {
      read         = "owner"
      write_groups = []
      cache_ttl    = 0
      relational   = { fields = {}, sort = [], search = { fields = ["/text"], language = "simple" } }
    }
    gone = {
      read         = "public"
      retired      = true
      write_groups = []
      cache_ttl    = 0
      relational   = { fields = {}, sort = [], search = { fields = ["/text"], language = "simple" } }
    }
    products = { read = "public", write_groups = [], cache_ttl = 60 }
  }
  sources = {
    shop = { collection = "prices", staleness_budget = 300 }
    erp  = { collection = "products", staleness_budget = 300 }
  }
  query = {
    concurrency = 20
    database = {
      host              = "readers.example.com"
      port              = 5432
      name              = "readplane"
      user              = "query"
      iam               = true
      tls               = true
      reads_from_writer = false
    }
    statements = [{
      Sid      = "ConnectToReaders"
      Action   = ["rds-db:connect"]
      Resource = ["arn:aws:rds-db:eu-central-1:111122223333:dbuser:cluster-ABCDEFGHIJKL01234/query"]
    }]
    vpc = { subnet_ids = ["subnet-0a"], security_group_ids = ["sg-0f"] }
  }
  api = {
    endpoint_type = "REGIONAL"
    cors_origins  = ["https://a.example.com"]
    cache_size    = "0.5"
    throttle      = { rate = 500, burst = 1000 }
  }
  documents_integration = "s3"
  functions = {
    write   = { memory_mb = 512, timeout_seconds = 15 }
    apply   = { memory_mb = 1024, timeout_seconds = 300 }
    publish = { memory_mb = 1024, timeout_seconds = 120 }
    read    = { memory_mb = 512, timeout_seconds = 15, reserved_concurrency = 870 }
    query   = { memory_mb = 640, timeout_seconds = 14, snap_start = true }
  }
  write_log = {
    buffering_seconds      = 60
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
  alarm_actions      = { page = [], ticket = [] }
}

run "query_serves_the_lists_of_relational_collections" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    plain_list = ["querystring.limit", "querystring.cursor", "querystring.next"]
    every_list = [
      "querystring.limit", "querystring.cursor", "querystring.next",
      "querystring.filter", "querystring.sort", "querystring.q",
    ]


    settings = {
      name         = "readplane"
      client_ids   = ["web", "mobile"]
      cors_origins = ["https://a.example.com"]
      items_table  = "readplane-items"
      items_index  = "by_collection"
      horizon_days = 30
      collections = {
        prices = {
          read       = "public"
          cache_ttl  = 30
          relational = { fields = { price = { type = "number", pointer = "/price" } }, sort = ["price"] }
        }
        notes = {
          read       = "owner"
          cache_ttl  = 0
          relational = { fields = {}, sort = [], search = { fields = ["/text"], language = "simple" } }
        }
      }
      sources  = { shop = { collection = "prices", staleness_budget = 300 } }
      database = var.query.database
    }

    only_sources = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["source/*"] } }

    policy = {
      WriteOwnLog = [
        ["logs:CreateLogStream", "logs:PutLogEvents"], ["arn:aws:logs:eu-central-1:111122223333:log-group:a-group:*"],
      ]
      SendTraces         = [["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]]
      DecryptOwnSettings = [["kms:Decrypt"], [var.kms_key_arn]]
      ListItems          = [["dynamodb:Query"], ["${var.items.arn}/index/by_collection"]]
      ReadFreshness      = [["dynamodb:GetItem"], [var.items.arn]]
      ConnectToReaders   = [["rds-db:connect"], var.query.statements[0].Resource]
      UseKey             = [["kms:Decrypt"], [var.kms_key_arn]]
    }
  }

  assert {
    condition = [
      for path, route in output.route_table : path if try(route.function, "") == "query"
    ] == ["GET /items/notes", "GET /items/prices"]
    error_message = "query serves the lists of live relational collections, and nothing else."
  }

  assert {
    condition = alltrue([
      for path in ["GET /items/prices", "GET /items/notes"] :
      jsonencode(output.route_table[path].reads) == jsonencode(var.every_list)
    ])
    error_message = "The list of a relational collection takes filter, sort and q."
  }

  assert {
    condition     = jsonencode(output.route_table["GET /items/products"].reads) == jsonencode(var.plain_list)
    error_message = "Only the list of a relational collection takes filter, sort and q."
  }

  assert {
    condition = jsonencode([
      for c in ["prices", "products"] : output.route_table["GET /items/${c}"].cache.key
    ]) == jsonencode([var.every_list, var.plain_list])
    error_message = "All that changes a list is in its cache key."
  }

  assert {
    condition = jsonencode([
      for route in [output.route_table["GET /items/notes"]] : [route.per_caller, route.cache]
    ]) == jsonencode([[true, null]])
    error_message = "The list of an owner collection is never cached."
  }

  assert {
    condition     = jsondecode(output.settings.query) == var.settings
    error_message = "query knows its own collections and their sources, and no value is null."
  }

  assert {
    condition = var.policy == {
      for s in jsondecode(output.policies.functions.query).Statement : s.Sid => [s.Action, s.Resource]
      if !endswith(s.Sid, "Interfaces")
    }
    error_message = "query lists items, reads the freshness of sources and connects to the readers, and nothing else."
  }

  assert {
    condition = [var.only_sources] == [
      for s in jsondecode(output.policies.functions.query).Statement : s.Condition if s.Sid == "ReadFreshness"
    ]
    error_message = "Of the items table, query reads only the freshness of sources by key."
  }

  assert {
    condition = [for each in [output.functions.query] : [each.zip, length(each.layers)]] == [
      ["tests/mocks/artefact.txt", 2],
    ]
    error_message = "query runs the functions zip, with the driver of the database in a layer."
  }

  assert {
    condition     = length(output.functions.read.layers) == 0 && output.database_layer_arn != null
    error_message = "Only query and feed get the driver."
  }

  assert {
    condition     = data.aws_servicequotas_service_quota.concurrency[0].value - 100 >= 890
    error_message = "query reserves as many executions as it may hold connections, so the quota of 1000 is enough."
  }
}

run "query_counts_among_the_reserved_concurrency" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    functions = {
      write   = { memory_mb = 512, timeout_seconds = 15 }
      apply   = { memory_mb = 1024, timeout_seconds = 300 }
      publish = { memory_mb = 1024, timeout_seconds = 120 }
      read    = { memory_mb = 512, timeout_seconds = 15, reserved_concurrency = 881 }
      query   = { memory_mb = 512, timeout_seconds = 15 }
    }
  }

  expect_failures = [data.aws_servicequotas_service_quota.concurrency]
}

run "without_a_database_read_serves_every_list" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    query = null
  }

  assert {
    condition = [output.route_table["GET /items/prices"].function, contains(keys(output.functions), "query")] == [
      "read", false,
    ]
    error_message = "Without a database there is no query."
  }

  assert {
    condition     = length(output.route_table["GET /items/prices"].reads) == 3
    error_message = "Without a database no list takes filter, sort or q."
  }
}
