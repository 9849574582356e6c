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

  # Nobody writes it here: for what a back office delivers. A throttle of its own, low enough to be met.
  tariffs = {
    read     = "public"
    throttle = { rate = 1, burst = 2 }
  }
}
