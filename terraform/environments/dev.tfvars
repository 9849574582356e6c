# Settings for a stack to try Readplane out. An idle stack costs next to nothing, because DynamoDB on demand, Lambda,
# API Gateway, Cognito, SQS and S3 bill by use. Nothing is protected against deletion, so `terraform destroy` removes
# everything.

name   = "readplane-dev"
region = "eu-central-1"

# These four cost money even if the stack is idle, so they are off: the customer managed key (1 $ a month per Region),
# the cache cluster (15 $ a month and up), the replica Region, and the alarms (0.10 $ a month each).
customer_managed_key = false
cache_size           = null
replica              = null
alarms               = false

deletion_protection = false
log_retention_days  = 7

# Firehose buffers for only 10 seconds, so a client can read its own write after about ten seconds instead of a minute.
write_log = { buffering_seconds = 10 }

throttle     = { rate = 20, burst = 40 }
cors_origins = ["http://localhost:8080"]

# There is no source, because polling costs some 16 $ a month, busy or not: 11 to 15 $ for one shard of the change
# stream, and about 5 $ for `poll` and its metrics. environments/prod.tfvars shows how to declare a source.

groups = ["editors"]

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
