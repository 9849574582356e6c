# Tests of the request limits that module region gives its routes (throttles.tf).

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
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
  kms_key_arn = null
  has_key     = false
  identity = {
    user_pool_arn = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/p"
    client_ids    = ["web", "mobile"]
    scopes        = { read = ["readplane/read"], write = ["readplane/write"] }
  }
  items = {
    name       = "items"
    arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/items"
    stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/items/stream/s"
    index_name = "by_collection"
  }
  collections = {
    products = { read = "public", write_groups = ["editors"], cache_ttl = 0 }
    notices  = { read = "public", write_groups = [], cache_ttl = 0, throttle = { rate = 7, burst = 8 } }
    prices   = { read = "authenticated", write_groups = [], cache_ttl = 0 }
    stock    = { read = "public", write_groups = [], cache_ttl = 0 }
  }
  sources = { shop = { collection = "stock", staleness_budget = 60 } }
  backends = {
    keyed = {
      url             = "https://keyed.example.com"
      methods         = ["GET"]
      timeout_ms      = 1500
      throttle        = { rate = 5, burst = 10 }
      api_key         = true
      scopes          = []
      forward_headers = []
    }
  }
  api = {
    endpoint_type = "REGIONAL"
    cors_origins  = []
    throttle      = { rate = 500, burst = 1000 }
    open_throttle = { rate = 100, burst = 200 }
  }
  documents_integration = "s3"
  functions = {
    write   = { memory_mb = 512, timeout_seconds = 15 }
    apply   = { memory_mb = 1024, timeout_seconds = 300 }
    publish = { memory_mb = 1024, timeout_seconds = 120 }
    read    = { memory_mb = 512, timeout_seconds = 15 }
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
  alarms             = false
  alarm_actions      = { page = [], ticket = [] }
}

run "routes_that_anybody_may_call" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    # Route -> its rate; null: that of the stage.
    rates = {
      "GET /health"                                       = 100
      "GET /items/products"                               = 100
      "GET /items/products/{item_id}"                     = 100
      "GET /documents/products/{item_id}"                 = 100
      "GET /items/products/{item_id}/changes/{change_id}" = 100
      "GET /sources/shop"                                 = 100
      "GET /documents/sources/shop"                       = 100
      "POST /items/products"                              = null
      "GET /items/prices"                                 = null
      "GET /documents/prices/{item_id}"                   = null
      "GET /items/notices"                                = 7
      "GET /backends/keyed/{proxy+}"                      = 5
    }
  }

  assert {
    condition = {
      for key in keys(var.rates) : key => try(output.route_table[key].throttle.rate, null)
    } == var.rates
    error_message = "An open route has the lower limit, unless its collection sets another. No other route has it."
  }
}

run "open_routes_with_the_limit_of_the_stage" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    api = {
      endpoint_type = "REGIONAL"
      cors_origins  = []
      throttle      = { rate = 500, burst = 1000 }
      open_throttle = { rate = 500, burst = 1000 }
    }
  }

  assert {
    condition     = output.route_table["GET /health"].throttle == null
    error_message = "The limit of the stage needs no settings of each method."
  }
}
