# Tests of the routes that module region makes for sources and backends, and of what callers need for them.
# tests/backends.tftest.hcl tests what module api creates for such routes.

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
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k"
  has_key     = true
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
    orders   = { read = "public", write_groups = [], cache_ttl = 60 }
    prices   = { read = "authenticated", write_groups = [], cache_ttl = 0 }
    invoices = { read = "owner", write_groups = [], cache_ttl = 0 }
    profiles = { read = "owner", write_groups = [], cache_ttl = 0 }
  }
  sources = {
    shop  = { collection = "orders", staleness_budget = 60 }
    list  = { collection = "prices", staleness_budget = 60 }
    books = { collection = "invoices", staleness_budget = 60 }
  }
  backends = {
    crm = {
      url             = "https://crm.example.com/api"
      methods         = ["GET", "POST"]
      timeout_ms      = 1500
      throttle        = { rate = 5, burst = 10 }
      quota           = { limit = 1000, period = "DAY" }
      cache           = { ttl = 30, cache_query_parameters = ["page"] }
      api_key         = true
      scopes          = []
      forward_headers = []
      vpc_link        = { nlb_arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/crm/1" }
    }
    staff = {
      url             = "https://staff.example.com"
      methods         = ["GET"]
      timeout_ms      = 29000
      throttle        = { rate = 1, burst = 1 }
      api_key         = true
      scopes          = ["readplane/read"]
      forward_headers = ["Cookie"]
      vpc_link        = { id = "abc123" }
    }
    open = {
      url             = "https://open.example.com"
      methods         = ["GET"]
      timeout_ms      = 29000
      throttle        = { rate = 1, burst = 1 }
      api_key         = false
      scopes          = ["readplane/read"]
      forward_headers = []
    }
  }
  api = {
    endpoint_type = "REGIONAL"
    cors_origins  = []
    cache_size    = "0.5"
    throttle      = { rate = 500, burst = 1000 }
  }
  documents_integration = "s3"
  functions = {
    write   = { memory_mb = 512, timeout_seconds = 15, snap_start = false }
    apply   = { memory_mb = 1024, timeout_seconds = 300, snap_start = false }
    publish = { memory_mb = 1024, timeout_seconds = 120, snap_start = false }
    read    = { memory_mb = 512, timeout_seconds = 15, snap_start = false }
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
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:team"]
  }
}

run "sources_and_backends" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    # What the assertions below expect.
    source_scopes = {
      "GET /sources/books"           = ["readplane/read", "aws.cognito.signin.user.admin"]
      "GET /sources/list"            = ["readplane/read", "aws.cognito.signin.user.admin"]
      "GET /sources/shop"            = []
      "GET /documents/sources/books" = ["readplane/read", "aws.cognito.signin.user.admin"]
      "GET /documents/sources/list"  = ["readplane/read", "aws.cognito.signin.user.admin"]
      "GET /documents/sources/shop"  = []
    }
    source_documents = {
      "GET /documents/sources/books" = "authenticated/documents/sources/books"
      "GET /documents/sources/list"  = "authenticated/documents/sources/list"
      "GET /documents/sources/shop"  = "public/documents/sources/shop"
    }
    writes = [
      "DELETE /items/profiles/{item_id}",
      "POST /backends/crm/{proxy+}",
      "POST /items/profiles",
      "PUT /items/profiles/{item_id}",
    ]

    crm = {
      name            = "crm"
      url             = "https://crm.example.com/api"
      timeout_ms      = 1500
      forward_headers = []
      vpc_link_id     = "link01"
    }
    vpc_links = { crm = [var.backends.crm.vpc_link.nlb_arn] }
    link_ids = {
      "GET /backends/crm/{proxy+}"   = "link01"
      "GET /backends/open/{proxy+}"  = null
      "GET /backends/staff/{proxy+}" = "abc123"
      "POST /backends/crm/{proxy+}"  = "link01"
    }
    caches = {
      "GET /backends/crm/{proxy+}"   = { ttl = 30, key = ["path.proxy", "querystring.page"] }
      "GET /backends/open/{proxy+}"  = null
      "GET /backends/staff/{proxy+}" = null
      "POST /backends/crm/{proxy+}"  = null
    }
    throttles = {
      "GET /backends/crm/{proxy+}"   = { rate = 5, burst = 10 }
      "GET /backends/open/{proxy+}"  = { rate = 1, burst = 1 }
      "GET /backends/staff/{proxy+}" = { rate = 1, burst = 1 }
      "POST /backends/crm/{proxy+}"  = { rate = 5, burst = 10 }
    }
    # The reads and the cache key of a cached collection's routes. No other input may change a cached response.
    inputs = {
      "GET /documents/orders/{item_id}" = ["path.item_id"]
      "GET /items/orders"               = ["querystring.limit", "querystring.cursor", "querystring.next"]
      "GET /items/orders/{item_id}"     = ["path.item_id", "querystring.min_version"]
    }
    backend_auth_settings = { name = "readplane", keys = ["${sha256("a-key-that-aws-has-generated-0123")}/crm"] }
  }

  # --- The routes of sources

  assert {
    condition = jsonencode(var.source_scopes) == jsonencode({
      for path, route in output.route_table : path => route.scopes if strcontains(path, "/sources/")
    })
    error_message = "Everybody may read the freshness of a public collection's source, signed-in users all others."
  }

  assert {
    condition = alltrue([
      for path, route in output.route_table : route.function == "read" if startswith(path, "GET /sources/")
    ])
    error_message = "read serves the freshness of sources."
  }

  assert {
    condition = var.source_documents == {
      for path, route in output.route_table : path => route.document.key if startswith(path, "GET /documents/sources/")
    }
    error_message = "A source's document is under the key that poll writes, and never under the owner prefix."
  }

  assert {
    condition = alltrue([
      for path, route in output.route_table : try(route.cache, null) == null if strcontains(path, "/sources/")
    ])
    error_message = "A source's freshness is never cached."
  }

  assert {
    condition     = [for path in keys(output.route_table) : path if !startswith(path, "GET ")] == var.writes
    error_message = "No client writes a collection that a source feeds, not even an owner."
  }

  # --- The caches of collections

  assert {
    condition = jsonencode(var.inputs) == jsonencode({
      for path, route in output.route_table : path => route.reads if try(route.cache.ttl, 0) == 60
    })
    error_message = "A cached response depends on the path and the declared query parameters alone."
  }

  assert {
    condition = jsonencode(var.inputs) == jsonencode({
      for path, route in output.route_table : path => route.cache.key if try(route.cache.ttl, 0) == 60
    })
    error_message = "Whatever a cached response depends on is in the cache key."
  }

  assert {
    condition = jsonencode(values(var.inputs)) == jsonencode([
      for path, route in output.route_table : route.reads if can(regex("/prices(/{item_id})?$", path))
    ])
    error_message = "The routes of an uncached collection declare the same inputs."
  }

  # --- The routes of back offices

  assert {
    condition     = jsonencode(output.route_table["GET /backends/crm/{proxy+}"].backend) == jsonencode(var.crm)
    error_message = "A backend's route has the backend's settings."
  }

  assert {
    condition = jsonencode(var.vpc_links) == jsonencode({
      for name, link in aws_api_gateway_vpc_link.backend : name => link.target_arns
    })
    error_message = "Only a backend with nlb_arn gets a new VPC link."
  }

  assert {
    condition = var.link_ids == {
      for path, route in output.route_table : path => route.backend.vpc_link_id if strcontains(path, " /backends/")
    }
    error_message = "A backend with a VPC link's id uses that link, and one without vpc_link uses none."
  }

  assert {
    condition = jsonencode(var.caches) == jsonencode({
      for path, route in output.route_table : path => route.cache if strcontains(path, " /backends/")
    })
    error_message = "Only the GET of a cached backend is cached."
  }

  assert {
    condition = jsonencode(var.throttles) == jsonencode({
      for path, route in output.route_table : path => route.throttle if strcontains(path, " /backends/")
    })
    error_message = "The throttle of a backend applies to every method."
  }

  assert {
    condition     = toset(keys(aws_api_gateway_api_key.backend)) == toset(["crm", "staff"])
    error_message = "Each backend with api_key has a key."
  }

  assert {
    condition     = nonsensitive(output.backend_api_keys["crm"]) == "a-key-that-aws-has-generated-0123"
    error_message = "If nobody gives a key, AWS generates one."
  }

  assert {
    condition     = jsondecode(local.backend_auth_settings) == var.backend_auth_settings
    error_message = "The function knows the hashes of the keys, except for backends with scopes."
  }

  assert {
    condition = jsondecode(module.backend_auth[0].policy).Statement[*].Sid == [
      "WriteOwnLog", "SendTraces", "DecryptOwnSettings",
    ]
    error_message = "backend_auth may do nothing but log, trace and read its own settings."
  }

  assert {
    condition     = module.backend_auth[0].runs.zip == "tests/mocks/artefact.txt"
    error_message = "backend_auth runs the zip of all functions, because API Gateway caches its decisions."
  }
}

run "documents_through_read_and_no_key_to_check" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    documents_integration = "lambda"
    backends = { open = {
      url             = "https://open.example.com"
      methods         = ["GET"]
      timeout_ms      = 29000
      throttle        = { rate = 1, burst = 1 }
      api_key         = false
      scopes          = ["readplane/read"]
      forward_headers = []
    } }
  }

  assert {
    condition = alltrue([for path, route in output.route_table :
      route.function == "read" && route.document == null if startswith(path, "GET /documents/sources/")
    ])
    error_message = "With documents_integration = lambda, read serves a source's document."
  }

  assert {
    condition     = length(module.backend_auth) + length(aws_api_gateway_api_key.backend) == 0
    error_message = "Without API keys there is no backend_auth."
  }

  assert {
    condition     = length(aws_api_gateway_vpc_link.backend) == 0
    error_message = "Without a private backend there is no VPC link."
  }
}

run "callers_with_keys_of_their_own" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    backends = { crm = {
      url             = "https://crm.example.com"
      methods         = ["GET"]
      timeout_ms      = 29000
      throttle        = { rate = 1, burst = 1 }
      api_key         = true
      callers         = { default = { keys = ["first", "second"] }, billing = { keys = ["spring"] } }
      scopes          = []
      forward_headers = []
    } }
    backend_api_keys = {
      "crm"                = "an-old-key-of-ours-0123456789"
      "crm/default/second" = "a-new-key-of-ours-0123456789"
    }
    names = {
      "crm"                = "readplane-crm"
      "crm/default/second" = "readplane-crm-default-second"
      "crm/billing/spring" = "readplane-crm-billing-spring"
    }
  }

  assert {
    condition     = { for id, key in aws_api_gateway_api_key.backend : id => key.name } == var.names
    error_message = "Each caller has keys of its own. The first key of the caller default keeps its place in the state."
  }

  assert {
    condition = alltrue([for id, value in var.backend_api_keys :
      nonsensitive(aws_api_gateway_api_key.backend[id].value) == nonsensitive(value)
    ])
    error_message = "A key can be given by its id."
  }

  assert {
    condition = toset(jsondecode(local.backend_auth_settings).keys) == toset([
      for hash in values(local.key_hashes) : "${hash}/crm"
    ])
    error_message = "The function knows that every key opens this backend."
  }

  assert {
    condition     = local.key_hashes["crm"] == sha256("an-old-key-of-ours-0123456789")
    error_message = "During a rotation, the old key opens the backend."
  }

  assert {
    condition     = local.key_hashes["crm/default/second"] == sha256("a-new-key-of-ours-0123456789")
    error_message = "During a rotation, the new key opens the backend too."
  }

  assert {
    condition     = local.usage_plans["crm"].key_ids == { for id in keys(var.names) : id => "key001" }
    error_message = "All keys of a backend share its usage plan."
  }
}

run "keys_that_callers_have" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    backend_api_keys = { crm = "a-key-of-ours-0123456789" }
  }

  assert {
    condition     = nonsensitive(aws_api_gateway_api_key.backend["crm"].value) == "a-key-of-ours-0123456789"
    error_message = "A given key is the backend's key."
  }

  assert {
    condition     = strcontains(local.backend_auth_settings, "${sha256("a-key-of-ours-0123456789")}/crm")
    error_message = "The function knows the hash of a given key."
  }
}
