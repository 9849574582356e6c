# Settings for production: customer managed keys, a second Region that accepts reads and writes, protection against
# deletion, and alarms. An idle stack costs about 62 $ a month: 30 $ for the two cache clusters, the rest for
# SnapStart's snapshots, alarms, dashboards, probes, heartbeats and keys. README.md has the list. Set budget, so that
# AWS tells you in time.

name    = "readplane"
region  = "eu-central-1"
replica = { region = "eu-west-1" }

customer_managed_key = true
deletion_protection  = true
log_retention_days   = 365
alarms               = true

# With these settings the alarms notify nobody. Set notify (e-mail addresses and phone numbers) or alarm_actions (SNS
# topics of your own). AWS sends each e-mail address a confirmation link. While the account is in the SMS sandbox, AWS
# sends SMS only to verified numbers.

cache_size = "0.5"
throttle   = { rate = 500, burst = 1000 } # what anybody may call without a token has a lower limit: open_throttle

write_log    = { buffering_seconds = 60, apply_concurrency = 20 }
horizon_days = 30

# Concurrency is reserved, so that a flood of reads can't starve `apply`, and a backlog of changes can't starve `read`.
# The reservations add up to 267. An account with the usual quota of 1000 can reserve 900. A new account may have a
# quota of 10 or 50: leave the reservations out there until AWS has raised it. `apply` reserves what the apply queue may
# use (write_log.apply_concurrency), and `apply_stream` what the change stream of the source below may use (1 shard x
# parallelization_factor 2).
#
# With snap_start, every deployment leaves an old version of `write` and of `read` behind. AWS bills the SnapStart
# snapshot of a version for as long as the version exists. So delete the versions that you won't go back to.
functions = {
  write   = { memory_mb = 512, reserved_concurrency = 100, snap_start = true }
  apply   = { memory_mb = 1024, reserved_concurrency = 20 }
  publish = { memory_mb = 1024, reserved_concurrency = 40 }
  read    = { memory_mb = 512, reserved_concurrency = 100, snap_start = true }
  poll    = { memory_mb = 1024, reserved_concurrency = 5 }

  apply_stream = { memory_mb = 1024, reserved_concurrency = 2 }
}

# The origin of your web application, whose scripts may call the API.
cors_origins = ["https://app.example.com"]
sign_in = {
  mfa                  = "OPTIONAL"
  web_callback_urls    = ["https://app.example.com/callback"]
  web_logout_urls      = ["https://app.example.com/"]
  mobile_callback_urls = ["com.example.app://callback"]
  mobile_logout_urls   = ["com.example.app://signed-out"]
}

# Terraform deletes a group, and Cognito forgets its members, when the group is listed here no longer.
groups = ["editors", "pricing"]

collections = {
  products = {
    read         = "public"
    write_groups = ["editors"]
    cache_ttl    = 60
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

  prices = {
    read         = "authenticated"
    write_groups = ["editors", "pricing"]
    cache_ttl    = 10
  }

  profiles = {
    read = "owner"
  }
}

# An example of a source. Polled every minute, a source costs about 5 $ a month for `poll` and its metrics, busy or not.
# With the first source come 11 to 15 $ for one shard of the change stream.
# Also declare the source's collection under collections above, without write_groups:
#   stock = { read = "public", cache_ttl = 10 }
#
# sources = {
#   stock = {
#     mode             = "changes"
#     collection       = "stock"
#     schedule         = "rate(1 minute)"
#     staleness_budget = 300
#     url              = "https://erp.example.com/api/stock?changed_since={cursor}&sort=changed_at"
#     secret = {
#       arn    = "arn:aws:secretsmanager:eu-central-1:<account id>:secret:<name>-<six characters>"
#       header = "Authorization"
#       format = "Bearer {secret}"
#     }
#     records          = "results"
#     id               = "article_number"
#     version          = { expression = "changed_at", format = "rfc3339" }
#     deleted          = "discontinued"
#     translation      = "{name: title, available: quantity, warehouse: location.code}"
#     paging           = { style = "link", next = "links.next" }
#     sweep            = { schedule = "cron(0 3 * * ? *)", url = "https://erp.example.com/api/stock" }
#   }
# }
#
# change_stream = { shards = 1, parallelization_factor = 2 }
#
# If the back office is private, run `poll` in the VPC of the back office. From there, `poll` needs a NAT gateway (from
# 33 $ a month) to reach AWS's APIs and the documents bucket of the replica Region. Without a replica Region, VPC
# endpoints for AWS's APIs are enough.
# poll = { vpc = { subnet_ids = ["subnet-<id>", "subnet-<id>"], security_group_ids = ["sg-<id>"] } }
