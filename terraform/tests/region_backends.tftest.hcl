# Tests of the routes that module region makes for sources and backends, and of what callers need for them.
# tests/backends.tftest.hcl tests what module api creates for such routes.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
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
      cache           = { ttl = 30, cache_query_parameters = ["page"], headers = ["X-Tenant"] }
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
  api                   = { endpoint_type = "REGIONAL", cors_origins = [], cache_size = "0.5", throttle = { rate = 500, burst = 1000 }, manage_account_logging = true }
  documents_integration = "s3"
  functions = {
    write   = { memory_mb = 512, timeout_seconds = 15, snap_start = false }
    apply   = { memory_mb = 1024, timeout_seconds = 300, snap_start = false }
    publish = { memory_mb = 1024, timeout_seconds = 120, snap_start = false }
    read    = { memory_mb = 512, timeout_seconds = 15, snap_start = false }
  }
  write_log          = { buffering_seconds = 60, buffering_megabytes = 4, infrequent_access_days = 30, glacier_instant_days = 90, apply_concurrency = 20 }
  horizon_days       = 30
  log_retention_days = 365
  force_destroy      = false
  tls_only           = true
  alarms             = true
  alarm_actions      = ["arn:aws:sns:eu-central-1:111122223333:operators"]
}

run "sources_and_backends" {
  command = plan

  module {
    source = "./modules/region"
  }

  # --- The routes of sources

  assert {
    condition = alltrue([for name, read in { shop = [], list = ["readplane/read", "aws.cognito.signin.user.admin"], books = ["readplane/read", "aws.cognito.signin.user.admin"] } : (
      output.route_table["GET /sources/${name}"].function == "read" && jsonencode(output.route_table["GET /sources/${name}"].scopes) == jsonencode(read)
      && jsonencode(output.route_table["GET /documents/sources/${name}"].scopes) == jsonencode(read)
    )])
    error_message = "Everybody may read the freshness of a public collection's source, signed-in users all others."
  }

  assert {
    condition = { for name in keys(var.sources) : name => output.route_table["GET /documents/sources/${name}"].document.key } == {
      books = "authenticated/sources/books.json", list = "authenticated/sources/list.json", shop = "public/sources/shop.json"
    }
    error_message = "A source's document is under the key that poll writes, and never under the owner prefix."
  }

  assert {
    condition     = alltrue([for path, route in output.route_table : try(route.cache, null) == null if strcontains(path, "/sources/")])
    error_message = "A source's freshness is never cached."
  }

  assert {
    condition     = toset([for path in keys(output.route_table) : path if !startswith(path, "GET ")]) == toset(["POST /items/profiles", "PUT /items/profiles/{item_id}", "DELETE /items/profiles/{item_id}", "POST /backends/crm/{proxy+}"])
    error_message = "No client writes a collection that a source feeds, not even an owner."
  }

  # --- The routes of back offices

  assert {
    condition = jsonencode(output.route_table["GET /backends/crm/{proxy+}"].backend) == jsonencode({
      forward_headers = [], name = "crm", timeout_ms = 1500, url = "https://crm.example.com/api", vpc_link_id = "link01"
    }) && jsonencode({ for name, link in aws_api_gateway_vpc_link.backend : name => link.target_arns }) == jsonencode({ crm = [var.backends.crm.vpc_link.nlb_arn] })
    error_message = "Only a backend with nlb_arn gets a new VPC link."
  }

  assert {
    condition     = output.route_table["GET /backends/staff/{proxy+}"].backend.vpc_link_id == "abc123" && output.route_table["GET /backends/open/{proxy+}"].backend.vpc_link_id == null
    error_message = "A backend with a VPC link's id uses that link, and one without vpc_link uses none."
  }

  assert {
    condition = (
      jsonencode(output.route_table["GET /backends/crm/{proxy+}"].cache) == jsonencode({ key = ["path.proxy", "querystring.page", "header.X-Tenant"], ttl = 30 })
      && output.route_table["POST /backends/crm/{proxy+}"].cache == null
      && jsonencode(output.route_table["POST /backends/crm/{proxy+}"].throttle) == jsonencode({ burst = 10, rate = 5 })
    )
    error_message = "Only the GET of a cached backend is cached. The throttle applies to every method."
  }

  assert {
    condition     = toset(keys(aws_api_gateway_api_key.backend)) == toset(["crm", "staff"]) && nonsensitive(output.backend_api_keys["crm"]) == "a-key-that-aws-has-generated-0123"
    error_message = "Each backend with api_key has a key."
  }

  assert {
    condition = jsondecode(local.backend_auth_settings) == jsondecode(jsonencode({
      name = "readplane"
      keys = ["${sha256("a-key-that-aws-has-generated-0123")}/crm"]
    }))
    error_message = "The function knows the hashes of the keys, except for backends with scopes."
  }

  assert {
    condition     = jsonencode([for s in jsondecode(module.backend_auth[0].policy).Statement : s.Sid]) == jsonencode(["WriteOwnLog", "SendTraces", "DecryptOwnSettings"]) && module.backend_auth[0].runs.zip == "tests/mocks/artefact.txt"
    error_message = "backend_auth may do nothing but log, trace and read its own settings."
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
    condition     = alltrue([for path, route in output.route_table : route.function == "read" && route.document == null if startswith(path, "GET /documents/sources/")])
    error_message = "With documents_integration = lambda, read serves a source's document."
  }

  assert {
    condition     = length(module.backend_auth) + length(aws_api_gateway_api_key.backend) + length(aws_api_gateway_vpc_link.backend) == 0
    error_message = "Without API keys there is no backend_auth."
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
    condition     = nonsensitive(aws_api_gateway_api_key.backend["crm"].value) == "a-key-of-ours-0123456789" && strcontains(local.backend_auth_settings, "${sha256("a-key-of-ours-0123456789")}/crm")
    error_message = "A given key is the backend's key."
  }
}
