# The whole stack on the emulator. Everything that differs from AWS is here, each with its reason.

name           = "readplane"
region         = "us-east-1"
replica_region = "eu-west-1"

# The emulator has one address for every bucket, knows no instance metadata, accepts any credentials, speaks plain HTTP (which its
# queues would refuse), and keeps a method's settings under its plain path.
emulator = {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  plain_http                  = true
  plain_method_paths          = true
}

# The emulator doesn't enforce key policies, so an own key would prove nothing and cost 15 seconds; the Terraform tests assert them.
customer_managed_key = false

# API Gateway's S3 integration is missing there (504): `read` serves the same bytes.
documents_integration = "lambda"

# The provider fails on the emulator's empty cache status, so no cache cluster and no cache_ttl below.
cache_size = null

# Firehose delivers at once: tests and the demonstration needn't wait. A small buffer, for the short time-out below.
write_log = { buffering_seconds = 0, buffering_megabytes = 1 }

# A message whose function died is seen again after six time-outs; production's half hour is too long for a test.
functions = {
  apply   = { timeout_seconds = 30 }
  publish = { timeout_seconds = 30 }
}

# Torn down with `make down`, data and all.
deletion_protection = false
log_retention_days  = 1

# Above what one machine can send, so that load tests measure the stack and not the throttle.
throttle = { rate = 5000, burst = 5000 }

cors_origins = ["http://localhost:8080"]

collections = {
  # Everybody reads, editors write: ISO 3166.
  countries = {
    read         = "public"
    write_groups = ["editors"]
    schema       = <<-JSON
      {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["alpha_2", "alpha_3", "name", "numeric"],
        "properties": {
          "alpha_2": { "type": "string", "pattern": "^[A-Z]{2}$" },
          "alpha_3": { "type": "string", "pattern": "^[A-Z]{3}$" },
          "numeric": { "type": "string", "pattern": "^[0-9]{3}$" },
          "name": { "type": "string", "minLength": 1, "maxLength": 200 },
          "official_name": { "type": "string", "minLength": 1, "maxLength": 300 },
          "common_name": { "type": "string", "minLength": 1, "maxLength": 200 },
          "flag": { "type": "string", "maxLength": 16 }
        }
      }
    JSON
  }

  # Whoever is signed in reads, editors and support write.
  notices = {
    read         = "authenticated"
    write_groups = ["editors", "support"]
    schema       = <<-JSON
      {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["title"],
        "properties": {
          "title": { "type": "string", "minLength": 1, "maxLength": 200 },
          "body": { "type": "string", "maxLength": 100000 },
          "priority": { "type": "integer", "minimum": 0, "maximum": 9 },
          "until": { "type": "string", "format": "date" },
          "hours": { "type": "number", "minimum": 0, "multipleOf": 0.25 }
        },
        "additionalProperties": false
      }
    JSON
  }

  # What a user keeps about themselves: nobody else reads or writes it.
  profiles = {
    read   = "owner"
    schema = <<-JSON
      {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
          "display_name": { "type": "string", "minLength": 1, "maxLength": 100 },
          "language": { "type": "string", "pattern": "^[a-z]{2}(-[A-Z]{2})?$" },
          "preferences": { "type": "object" }
        }
      }
    JSON
  }

  # Nobody writes it, and no source feeds it. A throttle of its own, low enough to be met.
  tariffs = {
    read     = "public"
    throttle = { rate = 1, burst = 2 }
  }

  # Three that the back office feeds: ISO 3166-2, ISO 639-1, ISO 4217.
  subdivisions = {
    read   = "public"
    schema = <<-JSON
      {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["code", "country", "name", "type"],
        "properties": {
          "code": { "type": "string", "minLength": 1, "maxLength": 64 },
          "country": { "type": "string", "pattern": "^[A-Z]{2}$" },
          "name": { "type": "string", "minLength": 1, "maxLength": 200 },
          "type": { "type": "string", "minLength": 1, "maxLength": 100 },
          "parent": { "type": ["string", "null"], "maxLength": 64 }
        }
      }
    JSON
  }

  languages = {
    read   = "authenticated"
    schema = <<-JSON
      {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["code", "name"],
        "properties": {
          "code": { "type": "string", "pattern": "^[a-z]{2}$" },
          "alpha_3": { "type": "string", "pattern": "^[a-z]{3}$" },
          "name": { "type": "string", "minLength": 1, "maxLength": 200 }
        }
      }
    JSON
  }

  currencies = {
    read   = "public"
    schema = <<-JSON
      {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": {
          "type": "object",
          "required": ["code", "name"],
          "properties": { "code": { "type": "string", "pattern": "^[A-Z]{3}$" } }
        }
      }
    JSON
  }
}

# The back office is Datasette over SQLite (ops/local/backoffice.py). Each run's has a port of its own, which is put in place of this one.
sources = {
  # What changed since the last time, in the order in which it changed. Rows are marked as removed, and some vanish: hence the sweep.
  subdivisions = {
    mode             = "changes"
    collection       = "subdivisions"
    schedule         = "rate(1 minute)"
    staleness_budget = 90
    url              = "http://localhost:8765/backoffice/subdivisions.json?_shape=objects&_nocount=1&_sort=modified&_size=500&modified__gte={cursor}"
    records          = "rows"
    id               = "code"
    version          = { expression = "modified", format = "rfc3339" }
    deleted          = "removed == `1`"
    translation      = "{code: code, country: country, name: name, type: type, parent: parent}"
    paging           = { style = "link", next = "next_url" }
    lag_seconds      = 5 # a row is there as soon as it is stamped
    timeout_seconds  = 5
    sweep = {
      schedule = "rate(1 day)"
      url      = "http://localhost:8765/backoffice/subdivisions.json?_shape=objects&_nocount=1&_size=1000"
    }
  }

  # A table without a modification time: each poll reads the whole of it, a change is what differs from the item, and what is missing
  # twice is deleted.
  languages = {
    mode             = "changes"
    collection       = "languages"
    schedule         = "rate(5 minutes)"
    staleness_budget = 600
    url              = "http://localhost:8765/backoffice/languages.json?_shape=objects&_nocount=1&_size=100"
    records          = "rows"
    id               = "code"
    translation      = "{code: code, alpha_3: alpha_3, name: name, scope: scope, type: type}"
    paging           = { style = "token", next = "next", parameter = "_next" }
    timeout_seconds  = 5
  }

  # One payload, which becomes one document as it is.
  currencies = {
    mode             = "snapshot"
    collection       = "currencies"
    schedule         = "rate(5 minutes)"
    staleness_budget = 600
    url              = "http://localhost:8765/backoffice/currencies.json?_shape=array&_size=max"
    timeout_seconds  = 5
  }
}

# The same back office, passed through as it is. The emulator sends it every header, credentials too, and waits for it for as long as it
# takes: tests/localstack shows what becomes of headers, the Terraform tests what AWS is told of time-outs.
backends = {
  # By key, and as much as it can take.
  backoffice = {
    url        = "http://localhost:8765/backoffice"
    methods    = ["GET", "HEAD"]
    timeout_ms = 2000
    throttle   = { rate = 1000, burst = 1000 }
  }

  # For whoever is signed in. The key only counts, with limits low enough to be met.
  staff = {
    url      = "http://localhost:8765/backoffice"
    methods  = ["GET"]
    throttle = { rate = 1, burst = 2 }
    quota    = { limit = 3 }
    scopes   = ["read"]
  }
}

# The emulator makes no keys: the provider sends an empty value for "make one", which it refuses. These open nothing else.
backend_api_keys = {
  backoffice = "local-key-of-the-backoffice"
  staff      = "local-key-of-the-staff"
}
