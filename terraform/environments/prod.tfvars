# The safe shape: own keys, a second Region that reads and writes, protection against deletion, alarms. Idle it costs about 45 $ a
# month: 30 for the two cache clusters, the rest for SnapStart's snapshots, alarms and keys.

name           = "readplane"
region         = "eu-central-1"
replica_region = "eu-west-1"

customer_managed_key = true
deletion_protection  = true
log_retention_days   = 365
alarms               = true

# Somebody must hear the alarms: people, who get a link to confirm by e-mail (SMS first needs the account out of its sandbox), or SNS topics
# of yours.
# notify                = { emails = ["operations@example.com"], phone_numbers = ["+4915112345678"] }
# alarm_actions         = ["arn:aws:sns:eu-central-1:<account id>:<topic>"]
# replica_alarm_actions = ["arn:aws:sns:eu-west-1:<account id>:<topic>"]

cache_size = "0.5"
throttle   = { rate = 500, burst = 1000 }

write_log    = { buffering_seconds = 60, apply_concurrency = 20 }
horizon_days = 30

# Reserved, so that neither a flood of reads nor a backlog of changes can starve the other. Together 260 of the 900 that an account
# with the usual quota of 1000 can reserve. Every deployment leaves a version of `write` and `read` behind, whose snapshot is billed while
# it exists: delete the versions that you won't go back to.
functions = {
  write   = { memory_mb = 512, reserved_concurrency = 100, snap_start = true }
  apply   = { memory_mb = 1024, reserved_concurrency = 20 }
  publish = { memory_mb = 1024, reserved_concurrency = 40 }
  read    = { memory_mb = 512, reserved_concurrency = 100, snap_start = true }
}

# Where your web application lives.
cors_origins = ["https://app.example.com"]
sign_in = {
  mfa                  = "OPTIONAL"
  web_callback_urls    = ["https://app.example.com/callback"]
  web_logout_urls      = ["https://app.example.com/"]
  mobile_callback_urls = ["com.example.app://callback"]
  mobile_logout_urls   = ["com.example.app://signed-out"]
}

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
