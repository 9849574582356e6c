# For trying things out: nothing here costs money while nothing happens, and everything can be deleted.
# Left at 0 $ when idle: DynamoDB on demand, Lambda, API Gateway, Cognito, SQS and S3 bill by use.

name   = "readplane-dev"
region = "eu-central-1"

# No own key (1 $ a month per Region), no cache cluster (15 $ a month and up), no replica, no alarms (0.10 $ a month each).
customer_managed_key = false
cache_size           = null
replica_region       = null
alarms               = false

deletion_protection = false
log_retention_days  = 7

# Ten seconds instead of a minute until a write can be read.
write_log = { buffering_seconds = 10 }

throttle     = { rate = 20, burst = 40 }
cors_origins = ["http://localhost:8080"]

# A back office to poll would cost some 15 $ a month, busy or not: one shard of the stream between `poll` and `apply`, and about 1 $ for
# `poll` and what it tells, every minute. So it is left out here; environments/prod.tfvars shows one.

collections = {
  products = {
    read         = "public"
    write_groups = ["editors"]
    schema       = <<-JSON
      {
        "type": "object",
        "required": ["name"],
        "properties": {
          "name": { "type": "string", "minLength": 1, "maxLength": 200 },
          "price": { "type": "number", "minimum": 0 }
        }
      }
    JSON
  }

  profiles = {
    read = "owner"
  }
}
