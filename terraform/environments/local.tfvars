# Settings for the whole stack on the local emulator. Each setting that differs from a stack on AWS has a comment with
# the reason.

name    = "readplane"
region  = "us-east-1"
replica = { region = "eu-west-1" }

# The emulator serves all buckets at one address, so S3 requests must name the bucket in the path. The emulator has no
# instance metadata and accepts any credentials, so the AWS provider checks neither.
emulator_provider = {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

# The emulator speaks plain HTTP, which the policies of queues and buckets would otherwise refuse. The emulator stores
# the settings of an API method under the method's plain path, whereas API Gateway on AWS requires every slash in that
# path to be escaped.
emulator = {
  plain_http         = true
  plain_method_paths = true
}

# There are no customer managed keys, because creating them takes 15 seconds and the emulator doesn't enforce their
# policies. The Terraform tests check the key policies.
customer_managed_key = false

# The function `read` serves the documents, because the emulator lacks API Gateway's S3 integration and would respond
# 504. `read` returns the same bytes.
documents_integration = "lambda"

# There is no cache cluster, because the AWS provider fails on the empty cache status that the emulator returns. So no
# collection below sets cache_ttl.
cache_size = null

# Firehose writes every change to S3 at once, so that tests and the demo needn't wait. An object has at most 1 MB,
# because `apply` must finish an object within its short timeout (see functions below).
write_log = { buffering_seconds = 0, buffering_megabytes = 1 }

# The timeouts are short for the tests. If `apply` dies, SQS redelivers the message that `apply` was handling only after
# six times the timeout of `apply`. With the default timeout that takes half an hour, which is too long for a test.
functions = {
  apply   = { timeout_seconds = 30 }
  publish = { timeout_seconds = 30 }

  apply_stream = { timeout_seconds = 30 }

  # A batch that `feed` couldn't write, because a test had frozen a store, comes again after six times this timeout.
  feed = { timeout_seconds = 12 }
}

# The number of concurrent executions that AWS gives a new account. It stands here, because the emulator doesn't know
# quotas. Without it, Terraform would ask for the quota, because the function `query` reserves concurrency.
account_concurrency_quota = 1000

# Nothing is protected against deletion, because `make down` deletes the stack with all its data.
deletion_protection = false
log_retention_days  = 1

# The throttles are above what one machine can send, so that load tests measure the stack and not the throttle.
throttle      = { rate = 5000, burst = 5000 }
open_throttle = { rate = 5000, burst = 5000 }

# The edge is on, because a stand-in serves the emulator's CloudFront distribution (ops/local/edge.py). There is no
# domain, because the AWS provider waits 30 seconds for each of the emulator's DNS records. There are no access logs,
# because the emulator has no log delivery. An apply doesn't wait for edge locations, because there are none. The API
# has no lock, because the emulator evaluates its resource policy without the request's headers, and so would refuse
# every call.
edge          = { access_logs = false, wait = false, origin_lock = "none" }
edge_base_url = "http://localhost:8080"

# The cache and the database are real servers on this machine (ops/local/stores.py), because the emulator's ElastiCache
# and Aurora have no server behind them. So there is no network either. The servers have no TLS. Each run of the local
# stack starts its own servers on its own ports, replaces these ports, and makes the passwords.
cache = {
  external = {
    primary = { host = "127.0.0.1", port = 16379, tls = false, user = "readplane" }
    replica = { host = "127.0.0.1", port = 16380, tls = false, user = "readplane" }
  }
}
relational = {
  external = {
    primary = { writer = "127.0.0.1", reader = "127.0.0.1", port = 15432, reader_port = 15433, tls = false }
    replica = { writer = "127.0.0.1", reader = "127.0.0.1", port = 15434, reader_port = 15435, tls = false }
  }
}

# Users of the mobile client read their own documents straight from the emulator's S3.
identity_pool = true

cors_origins = ["http://localhost:8080"]
cors_headers = ["traceparent"] # the header of W3C Trace Context, which tracing libraries for browsers add

groups = ["editors", "support"]

collections = {
  # The countries of ISO 3166. Everybody may read this collection, and the user group `editors` may write it. Clients
  # may list it with filters, a sort order and full-text search.
  countries = {
    read         = "public"
    edge_ttl     = 60
    write_groups = ["editors"]
    relational = {
      fields = {
        name     = { type = "text", pointer = "/name" }
        alpha_3  = { type = "text", pointer = "/alpha_3" }
        numeric  = { type = "text", pointer = "/numeric" }
        official = { type = "text", pointer = "/official_name" }
      }
      sort   = ["name", "numeric", "official"]
      search = { fields = ["/name", "/official_name", "/common_name"] }
    }
    schema = <<-JSON
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

  # Every signed-in user may read this collection, and the user groups `editors` and `support` may write it. The cache
  # doesn't hold it, so its documents come from S3: the tests of `publish` read them.
  notices = {
    read         = "authenticated"
    cache        = false
    edge_ttl     = 60
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

  # The profile of each user. Only that user may read, list and write it.
  profiles = {
    read = "owner"
    relational = {
      fields = { language = { type = "text", pointer = "/language" } }
      sort   = ["language"]
    }
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

  # This collection is for a test of throttling. Its throttle is low, so that the test can exceed it. No client may
  # write the collection, and no source feeds it.
  tariffs = {
    read     = "public"
    throttle = { rate = 1, burst = 2 }
  }

  # The local back office feeds the next three collections: subdivisions (ISO 3166-2), languages (ISO 639-1) and
  # currencies (ISO 4217). Nobody reads most of the 5,000 subdivisions, so the cache doesn't hold them.
  subdivisions = {
    read   = "public"
    cache  = false
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

# All three sources poll one local back office, a Datasette server over SQLite (ops/local/back_office.py). Each run of
# the local stack starts its own server on its own port and replaces 8765 in these settings with that port.
sources = {
  # `poll` reads the rows that changed since the last poll, oldest change first. The back office marks some rows as
  # removed and deletes others without a trace. A daily sweep finds the rows that were deleted without a trace.
  subdivisions = {
    mode             = "changes"
    collection       = "subdivisions"
    schedule         = "rate(1 minute)"
    staleness_budget = 130
    url              = "http://localhost:8765/backoffice/subdivisions.json?_shape=objects&_nocount=1&_sort=modified&_size=500&modified__gte={cursor}"
    records          = "rows"
    id               = "code"
    version          = { expression = "modified", format = "rfc3339" }
    deleted          = "removed == `1`"
    translation      = "{code: code, country: country, name: name, type: type, parent: parent}"
    paging           = { style = "link", next = "next_url" }
    lag_seconds      = 5 # short, because a row is visible as soon as it has its timestamp
    timeout_seconds  = 5
    sweep = {
      schedule = "rate(1 day)"
      url      = "http://localhost:8765/backoffice/subdivisions.json?_shape=objects&_nocount=1&_size=1000"
    }
  }

  # The table `languages` has no modification times. So each poll reads the whole table and makes a change for every row
  # that differs from its item. `poll` deletes an item whose row is missing in two consecutive polls.
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

  # Each poll of `currencies` reads one payload and publishes it unchanged as one document.
  currencies = {
    mode             = "snapshot"
    collection       = "currencies"
    schedule         = "rate(5 minutes)"
    staleness_budget = 600
    url              = "http://localhost:8765/backoffice/currencies.json?_shape=array&_size=max"
    timeout_seconds  = 5
  }
}

# Clients can also call the local back office through the API: API Gateway passes the requests for these backends on to
# it. The emulator forwards every header to the back office, credentials included, and ignores timeout_ms. So the
# headers are tested with LocalStack (tests/localstack), and the timeouts by the Terraform tests.
backends = {
  # Callers need this backend's API key. The throttle is above what one machine can send, so that load tests don't
  # exceed it.
  backoffice = {
    url        = "http://localhost:8765/backoffice"
    methods    = ["GET", "HEAD"]
    timeout_ms = 2000
    throttle   = { rate = 1000, burst = 1000 }
    callers    = { default = { keys = ["first", "second"] }, partner = {} }
  }

  # Callers need an access token and an API key. The token decides who may call, and API Gateway only counts the
  # requests made with the key. The throttle and quota are low, so that a test can exceed them.
  staff = {
    url      = "http://localhost:8765/backoffice"
    methods  = ["GET"]
    throttle = { rate = 1, burst = 2 }
    quota    = { limit = 3 }
    scopes   = ["read"]
  }
}

# This file sets the API keys, because the emulator can't generate keys. (The AWS provider requests a generated key by
# sending an empty value, which the emulator refuses.) The keys open only this local stack.
backend_api_keys = {
  "backoffice"                = "local-key-of-the-backoffice"
  "backoffice/default/second" = "local-second-key-of-the-backoffice"
  "backoffice/partner/first"  = "local-key-of-the-partner-of-the-backoffice"
  "staff"                     = "local-key-of-the-staff"
}
