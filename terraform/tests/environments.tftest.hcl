# Tests of the variable files in environments/: they obey the rules of the variables, and they have the settings that
# their comments promise.

variables {
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"

  poll_layer_zip = "tests/mocks/artefact.txt"
  edge_auth_zip  = "tests/mocks/artefact.txt"

  database_layer_zip = "tests/mocks/artefact.txt"
}

run "files" {
  command = plan

  module {
    source = "./tests/environments"
  }

  assert {
    condition     = alltrue([for file in output.files : length(file.collections) > 0])
    error_message = "Every environment declares collections."
  }
}

run "local" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name                  = run.files.files.local.name
    region                = run.files.files.local.region
    replica               = run.files.files.local.replica
    groups                = run.files.files.local.groups
    emulator              = run.files.files.local.emulator
    documents_integration = run.files.files.local.documents_integration
    cache_size            = run.files.files.local.cache_size
    cache                 = run.files.files.local.cache
    relational            = run.files.files.local.relational
    write_log             = run.files.files.local.write_log
    functions             = run.files.files.local.functions
    log_retention_days    = run.files.files.local.log_retention_days
    throttle              = run.files.files.local.throttle
    cors_origins          = run.files.files.local.cors_origins
    cors_headers          = run.files.files.local.cors_headers
    edge                  = run.files.files.local.edge
    edge_base_url         = run.files.files.local.edge_base_url
    backends              = run.files.files.local.backends
    backend_api_keys      = run.files.files.local.backend_api_keys
    collections           = run.files.files.local.collections
    sources               = run.files.files.local.sources

    account_concurrency_quota = run.files.files.local.account_concurrency_quota
  }

  assert {
    condition     = toset(values(var.collections)[*].read) == toset(["public", "authenticated", "owner"])
    error_message = "The local run shows a public, an authenticated and an owner collection."
  }

  assert {
    condition = (
      var.collections["countries"].read == "public"
      && contains(var.collections["countries"].write_groups, "editors")
    )
    error_message = "The demo can write countries as an editor."
  }

  assert {
    condition     = var.collections["profiles"].read == "owner"
    error_message = "The demo can write a profile as its owner."
  }

  assert {
    condition     = var.cache.external.replica != null && var.relational.external.replica != null && var.network == null
    error_message = "Each Region of the local run has a cache and a database on this machine, without a network."
  }

  assert {
    condition     = toset(keys(local.relational_collections)) == toset(["countries", "profiles"])
    error_message = "The demo filters and searches a public collection, and an owner collection of each user."
  }

  assert {
    condition     = toset([for b in values(var.backends) : length(b.scopes) > 0]) == toset([true, false])
    error_message = "The local run passes a back office through by key and by token."
  }

  assert {
    condition     = toset(keys(var.backend_api_keys)) == toset(local.backend_key_ids)
    error_message = "The file for the local run gives the API keys, because the emulator can't generate them."
  }

  assert {
    condition     = var.replica.region != null && var.write_log.buffering_seconds == 0
    error_message = "The emulator runs two Regions at once, without buffering."
  }

  assert {
    condition     = var.documents_integration == "lambda" && var.cache_size == null
    error_message = "The emulator has neither the S3 integration nor a cache cluster."
  }

  assert {
    condition     = toset(values(var.sources)[*].mode) == toset(["changes", "snapshot"])
    error_message = "The local sources are of both modes."
  }

  assert {
    condition     = var.edge.documents && var.edge.sign_in && var.edge.site && !var.edge.access_logs
    error_message = "The local run shows the whole edge, without the log that the emulator can't deliver."
  }

  assert {
    condition     = alltrue([for name in ["countries", "notices"] : var.collections[name].edge_ttl > 0])
    error_message = "The edge keeps documents of both shared kinds."
  }

  assert {
    condition     = strcontains(var.sources["subdivisions"].url, "{cursor}") && var.sources["languages"].version == null
    error_message = "One local source has a cursor, and one is read whole."
  }

  assert {
    condition     = alltrue([for url in values(var.sources)[*].url : startswith(url, "http://localhost:8765/")])
    error_message = "The local sources are at port 8765."
  }
}

run "dev" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name                 = run.files.files.dev.name
    region               = run.files.files.dev.region
    replica              = run.files.files.dev.replica
    groups               = run.files.files.dev.groups
    customer_managed_key = run.files.files.dev.customer_managed_key
    cache_size           = run.files.files.dev.cache_size
    alarms               = run.files.files.dev.alarms
    deletion_protection  = run.files.files.dev.deletion_protection
    log_retention_days   = run.files.files.dev.log_retention_days
    write_log            = run.files.files.dev.write_log
    throttle             = run.files.files.dev.throttle
    cors_origins         = run.files.files.dev.cors_origins
    collections          = run.files.files.dev.collections
  }

  assert {
    condition     = !var.customer_managed_key && !var.alarms && var.cache_size == null
    error_message = "Development has no key, alarms and cache cluster, because they cost when idle."
  }

  assert {
    condition     = output.regions.replica == null && length(var.sources) == 0
    error_message = "Development has no replica and no stream, because they cost when idle."
  }

  assert {
    condition = alltrue([
      for settings in values(var.functions) :
      try(settings.reserved_concurrency, null) == null && !try(settings.snap_start, false)
    ])
    error_message = "Development reserves no concurrency and uses no SnapStart."
  }

  assert {
    condition     = !var.deletion_protection && var.log_retention_days <= 7
    error_message = "A development stack can be deleted."
  }

  assert {
    condition     = !anytrue(values(var.emulator))
    error_message = "Nothing that the emulator needs is on by default."
  }
}

run "prod" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    name                 = run.files.files.prod.name
    region               = run.files.files.prod.region
    replica              = run.files.files.prod.replica
    groups               = run.files.files.prod.groups
    customer_managed_key = run.files.files.prod.customer_managed_key
    deletion_protection  = run.files.files.prod.deletion_protection
    log_retention_days   = run.files.files.prod.log_retention_days
    alarms               = run.files.files.prod.alarms
    cache_size           = run.files.files.prod.cache_size
    throttle             = run.files.files.prod.throttle
    write_log            = run.files.files.prod.write_log
    horizon_days         = run.files.files.prod.horizon_days
    functions            = run.files.files.prod.functions
    cors_origins         = run.files.files.prod.cors_origins
    sign_in              = run.files.files.prod.sign_in
    collections          = run.files.files.prod.collections
  }

  assert {
    condition     = var.customer_managed_key && var.deletion_protection && var.alarms
    error_message = "Production has its own keys, protection against deletion and alarms."
  }

  assert {
    condition     = var.replica.region != null && var.log_retention_days >= 365
    error_message = "Production has a second Region and a year of logs."
  }

  assert {
    condition = alltrue([
      for name, f in var.functions : f.reserved_concurrency != null if !contains(["query", "feed"], name)
    ])
    error_message = "In production, every function has reserved concurrency, so none can starve another."
  }

  assert {
    condition = length(setintersection(
      keys(run.files.files.prod), ["emulator", "emulator_provider", "api_base_url"]
    )) == 0
    error_message = "Production runs on AWS, so it has no emulator settings."
  }

  assert {
    condition     = var.documents_integration == "s3"
    error_message = "In production, API Gateway reads documents straight from S3."
  }
}
