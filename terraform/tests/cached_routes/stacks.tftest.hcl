# Plans the API of one Region with every kind of cached route, so that tests/unit/test_cached_routes.py can attack the
# API that Terraform really makes. Each run is a stack: its name says how many CORS origins it has, and who serves its
# documents.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
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
  kms_key_arn = null
  has_key     = false
  identity = {
    user_pool_arn = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/p"
    client_ids    = ["web", "mobile"]
    scopes = {
      read  = ["readplane/read", "aws.cognito.signin.user.admin"]
      write = ["readplane/write", "aws.cognito.signin.user.admin"]
    }
  }
  items = {
    name       = "items"
    arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/items"
    stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/items/stream/s"
    index_name = "by_collection"
  }

  # Cached collections of both visibilities, written by clients and fed by sources, and one of each kind without a
  # cache. Two of them have lists with filter, sort and q. An owner collection is never cached.
  collections = {
    products = { read = "public", write_groups = ["editors"], cache_ttl = 60 }
    prices = {
      read         = "authenticated"
      write_groups = ["editors"]
      cache_ttl    = 30
      relational   = { fields = { n = { type = "number", pointer = "/n" } }, sort = ["n"] }
    }
    stock = {
      read         = "public"
      write_groups = []
      cache_ttl    = 20
      relational = {
        fields = { n = { type = "number", pointer = "/n" } }
        sort   = ["n"]
        search = { fields = ["/name"], language = "simple" }
      }
    }
    rates    = { read = "authenticated", write_groups = [], cache_ttl = 300 }
    drafts   = { read = "public", write_groups = ["editors"], cache_ttl = 0 }
    profiles = { read = "owner", write_groups = [], cache_ttl = 0 }
  }
  sources = {
    shop = { collection = "stock", staleness_budget = 60 }
    bank = { collection = "rates", staleness_budget = 60 }
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
    statements = []
  }

  backends = {
    catalog = {
      url             = "https://catalog.example.com/api"
      methods         = ["GET", "HEAD", "POST"]
      timeout_ms      = 1500
      throttle        = { rate = 5, burst = 10 }
      cache           = { ttl = 30, cache_query_parameters = ["page", "q"] }
      api_key         = false
      scopes          = []
      forward_headers = ["Cookie"]
    }
    staff = {
      url             = "https://staff.example.com"
      methods         = ["GET"]
      timeout_ms      = 1500
      throttle        = { rate = 5, burst = 10 }
      cache           = { ttl = 90, cache_query_parameters = [] }
      api_key         = false
      scopes          = ["readplane/read"]
      forward_headers = []
    }
    keyed = {
      url             = "https://keyed.example.com"
      methods         = ["GET"]
      timeout_ms      = 1500
      throttle        = { rate = 5, burst = 10 }
      cache           = { ttl = 45, cache_query_parameters = ["page"] }
      api_key         = true
      scopes          = []
      forward_headers = []
    }
  }

  api = {
    endpoint_type = "REGIONAL"
    cors_origins  = ["https://a.example.com", "https://b.example.com"]
    cache_size    = "0.5"
    throttle      = { rate = 500, burst = 1000 }
  }
  documents_integration = "s3"
  functions = {
    write   = { memory_mb = 512, timeout_seconds = 15 }
    apply   = { memory_mb = 1024, timeout_seconds = 300 }
    publish = { memory_mb = 1024, timeout_seconds = 120 }
    read    = { memory_mb = 512, timeout_seconds = 15 }
    query   = { memory_mb = 512, timeout_seconds = 15 }
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

run "several_origins_documents_from_s3" {
  command = plan

  module {
    source = "./modules/region"
  }

  assert {
    condition     = can(jsondecode(output.api.document).paths["/health"])
    error_message = "The plan knows the whole document."
  }
}

run "one_origin_documents_from_read" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    documents_integration = "lambda"
    api = {
      endpoint_type = "REGIONAL"
      cors_origins  = ["https://a.example.com"]
      cache_size    = "0.5"
      throttle      = { rate = 500, burst = 1000 }
    }
  }

  assert {
    condition     = can(jsondecode(output.api.document).paths["/health"])
    error_message = "The plan knows the whole document."
  }
}
