# The whole stack on the emulator. This file holds every setting that differs from AWS, each with its reason.

name           = "readplane"
region         = "us-east-1"
replica_region = "eu-west-1"

# The emulator has one address for all buckets and no instance metadata, and it accepts any credentials. It speaks plain
# HTTP, which the policies of queues and buckets would otherwise refuse. It stores a method's settings under the
# method's unescaped path.
emulator = {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  plain_http                  = true
  plain_method_paths          = true
}

# The emulator doesn't enforce key policies, so customer managed keys would prove nothing here and take 15 seconds.
# The Terraform tests check the policies.
customer_managed_key = false

# The emulator lacks API Gateway's S3 integration and responds 504, so `read` serves the same bytes.
documents_integration = "lambda"

# The AWS provider fails on the emulator's empty cache status, so there is no cache cluster and no cache_ttl below.
cache_size = null

# Firehose delivers at once, so that tests and the demo needn't wait. The buffer is small,
# because `apply` has a short timeout below.
write_log = { buffering_seconds = 0, buffering_megabytes = 1 }

# If `apply` dies, SQS delivers the message again after six times the function's timeout. In production that takes half
# an hour, which is too long for a test.
functions = {
  apply   = { timeout_seconds = 30 }
  publish = { timeout_seconds = 30 }
}

# `make down` deletes the stack with all its data.
deletion_protection = false
log_retention_days  = 1

# The limit is above what one machine can send, so that load tests measure the stack and not the throttle.
throttle = { rate = 5000, burst = 5000 }

cors_origins = ["http://localhost:8080"]

collections = {
  # ISO 3166. Everybody reads this collection, and editors write it.
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

  # Signed-in users read this collection, and editors and support write it.
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

  # A user's own profile, which nobody else reads or writes.
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

  # No client writes this collection, and no source feeds it. Its throttle is low, so that a test can exceed it.
  tariffs = {
    read     = "public"
    throttle = { rate = 1, burst = 2 }
  }

  # The back office feeds the next three collections: ISO 3166-2, ISO 639-1 and ISO 4217.
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

# The back office is Datasette over SQLite (ops/local/back_office.py). Each run of the local stack starts one on its own
# port and replaces 8765 in these settings with that port.
sources = {
  # `poll` reads the rows that changed since the last poll, oldest change first. The back office marks some rows as
  # removed and deletes others without a trace. A sweep finds the deleted ones.
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
    lag_seconds      = 5 # a row is visible as soon as it has its timestamp
    timeout_seconds  = 5
    sweep = {
      schedule = "rate(1 day)"
      url      = "http://localhost:8765/backoffice/subdivisions.json?_shape=objects&_nocount=1&_size=1000"
    }
  }

  # This table has no modification times. Each poll reads the whole table and makes a change for every row that differs
  # from its item. `poll` deletes an item whose row is missing from two polls in a row.
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

  # A poll reads one payload and publishes it unchanged as one document.
  currencies = {
    mode             = "snapshot"
    collection       = "currencies"
    schedule         = "rate(5 minutes)"
    staleness_budget = 600
    url              = "http://localhost:8765/backoffice/currencies.json?_shape=array&_size=max"
    timeout_seconds  = 5
  }
}

# The same back office, which API Gateway also passes through. The emulator forwards every header, credentials too, and
# ignores timeouts. So tests/localstack tests the headers, and the Terraform tests check the timeouts.
backends = {
  # Callers need a key. The throttle is above what one machine can send.
  backoffice = {
    url        = "http://localhost:8765/backoffice"
    methods    = ["GET", "HEAD"]
    timeout_ms = 2000
    throttle   = { rate = 1000, burst = 1000 }
  }

  # Signed-in users may call this backend. The key only counts their requests. Its limits are low, so that a test can
  # exceed them.
  staff = {
    url      = "http://localhost:8765/backoffice"
    methods  = ["GET"]
    throttle = { rate = 1, burst = 2 }
    quota    = { limit = 3 }
    scopes   = ["read"]
  }
}

# The emulator can't generate keys. The AWS provider requests a generated key by sending an empty value, which the
# emulator refuses. So the keys are given here. They open only this local stack.
backend_api_keys = {
  backoffice = "local-key-of-the-backoffice"
  staff      = "local-key-of-the-staff"
}
