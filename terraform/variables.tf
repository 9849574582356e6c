variable "name" {
  description = "Stack name. It prefixes the names of AWS resources and is the `Stack` dimension of the metrics."
  type        = string
  default     = "readplane"

  # At most 20 characters, because S3 allows 63 characters in a bucket name, and the name of the write log's bucket adds
  # "-write-log-", the account id and the Region.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "Choose a name of 2 to 20 lower-case letters, digits and hyphens that starts with a letter and doesn't end in a hyphen."
  }

  validation {
    condition     = !anytrue([for word in ["aws", "amazon", "cognito"] : strcontains(var.name, word)])
    error_message = "Choose a name without \"aws\", \"amazon\" and \"cognito\": Cognito reserves these words in sign-in domains."
  }
}

variable "region" {
  description = "Primary Region."
  type        = string
}

variable "replica_region" {
  description = "Second Region, which also accepts reads and writes; null means no second Region."
  type        = string
  default     = null

  validation {
    condition     = var.replica_region != var.region
    error_message = "Choose a replica_region other than region, or null for a single Region."
  }
}

variable "endpoint_type" {
  description = "Type of the API's endpoint: REGIONAL, or EDGE to enter AWS's network at the nearest edge location."
  type        = string
  default     = "REGIONAL"

  validation {
    condition     = contains(["REGIONAL", "EDGE"], var.endpoint_type)
    error_message = "Set endpoint_type to REGIONAL or EDGE."
  }

  # Two edge-optimised APIs can't share a custom domain, so clients couldn't fail over to the other Region.
  validation {
    condition     = var.endpoint_type != "EDGE" || var.replica_region == null
    error_message = "Set endpoint_type to REGIONAL, or replica_region to null: edge-optimised APIs can't fail over between Regions."
  }
}

variable "collections" {
  description = <<-EOT
    The collections of items, by name.
    read: who may read the items: `public` (everybody), `authenticated` (every signed-in user) or `owner` (only each
    item's own user).
    write_groups: the user groups that may write the items.
    schema: the JSON Schema that an item's data must match, as text.
    cache_ttl: seconds for which the API may cache responses; 0 means not cached.
    throttle: requests per second and burst for each API method of the collection; null means the stack's throttle.
  EOT
  type = map(object({
    read         = string
    write_groups = optional(list(string), [])
    schema       = optional(string)
    cache_ttl    = optional(number, 0)
    throttle     = optional(object({ rate = number, burst = number }))
  }))

  # API Gateway allows 300 resources per API, and a collection uses up to six.
  validation {
    condition     = length(var.collections) >= 1 && length(var.collections) <= 40
    error_message = "Declare 1 to 40 collections; split the rest into a second stack."
  }

  validation {
    condition     = alltrue([for c in keys(var.collections) : can(regex("^[a-z][a-z0-9-]{0,62}$", c))])
    error_message = "Name collections with 1 to 63 lower-case letters, digits and hyphens, the first a letter: the name is part of paths and keys."
  }

  validation {
    condition     = !contains(keys(var.collections), "sources")
    error_message = "Rename the collection \"sources\": its documents would lie where the freshness of the sources is published."
  }

  validation {
    condition     = alltrue([for c in values(var.collections) : contains(["public", "authenticated", "owner"], c.read)])
    error_message = "Set each collection's read to \"public\", \"authenticated\" or \"owner\"."
  }

  validation {
    condition     = alltrue([for group in flatten([for c in values(var.collections) : c.write_groups]) : can(regex("^[A-Za-z0-9_-]{1,64}$", group))])
    error_message = "Name groups in write_groups with 1 to 64 letters, digits, underscores and hyphens: the token's list of groups is split at anything else."
  }

  validation {
    condition     = alltrue([for c in values(var.collections) : c.read != "owner" || length(c.write_groups) == 0])
    error_message = "Remove write_groups from owner collections: they are written by their owners."
  }

  validation {
    condition     = alltrue([for c in values(var.collections) : c.read != "owner" || c.cache_ttl == 0])
    error_message = "Remove cache_ttl from owner collections: a cached answer would reach other callers."
  }

  # API Gateway caches a response for at most 3600 seconds.
  validation {
    condition     = alltrue([for c in values(var.collections) : c.cache_ttl >= 0 && c.cache_ttl <= 3600 && floor(c.cache_ttl) == c.cache_ttl])
    error_message = "Set cache_ttl to whole seconds from 0 (not cached) to 3600."
  }

  validation {
    condition     = var.cache_size != null || alltrue([for c in values(var.collections) : c.cache_ttl == 0])
    error_message = "Set cache_size (for example \"0.5\") or remove cache_ttl from the collections: without a cache cluster nothing is cached."
  }

  validation {
    condition     = alltrue([for c in values(var.collections) : c.schema == null || can(keys(jsondecode(c.schema)))])
    error_message = "Give each schema as the text of one JSON object, for example with jsonencode() or file()."
  }

  validation {
    condition     = alltrue([for c in values(var.collections) : c.throttle == null || try(c.throttle.rate > 0 && c.throttle.burst >= 1, false)])
    error_message = "Set a collection's throttle.rate to more than 0 and its throttle.burst to at least 1, or leave throttle out: API Gateway would answer 429 to every request."
  }
}

variable "sign_in" {
  description = <<-EOT
    Cognito sign-in: MFA, self-registration, URLs to which the hosted page returns users, and token lifetimes.
  EOT
  type = object({
    mfa                  = optional(string, "OPTIONAL")
    self_sign_up         = optional(bool, false)
    web_callback_urls    = optional(list(string), ["http://localhost:8080/callback"])
    web_logout_urls      = optional(list(string), ["http://localhost:8080/"])
    mobile_callback_urls = optional(list(string), ["readplane://callback"])
    mobile_logout_urls   = optional(list(string), ["readplane://signed-out"])
    access_minutes       = optional(number, 30)
    id_minutes           = optional(number, 30)
    refresh_days         = optional(number, 30)
  })
  default = {}

  validation {
    condition     = contains(["OFF", "OPTIONAL", "ON"], var.sign_in.mfa)
    error_message = "Set sign_in.mfa to OFF, OPTIONAL or ON."
  }

  validation {
    condition     = alltrue([for url in concat(var.sign_in.web_callback_urls, var.sign_in.web_logout_urls) : can(regex("^(https://[^*#]+|http://localhost(:[0-9]+)?(/[^*#]*)?)$", url))])
    error_message = "Give the web client's URLs as https://… or http://localhost…: over plain HTTP the code could be read on the way."
  }

  validation {
    condition     = alltrue([for url in concat(var.sign_in.mobile_callback_urls, var.sign_in.mobile_logout_urls) : can(regex("^[a-z][a-z0-9+.-]*://[^*#]+$", url)) && !startswith(url, "http://")])
    error_message = "Give the mobile client's URLs as an application scheme (app://callback) or https://…."
  }

  # Cognito allows 5 minutes to one day for access and ID tokens.
  validation {
    condition     = alltrue([for minutes in [var.sign_in.access_minutes, var.sign_in.id_minutes] : minutes >= 5 && minutes <= 1440])
    error_message = "Set sign_in.access_minutes and sign_in.id_minutes to 5 to 1440 minutes."
  }

  validation {
    condition     = var.sign_in.refresh_days >= 1 && var.sign_in.refresh_days <= 3650
    error_message = "Set sign_in.refresh_days to 1 to 3650 days."
  }
}

variable "cors_origins" {
  description = <<-EOT
    Browser origins that may call the API.
    With no origin, the API answers no preflight and sends no CORS headers.
    With one origin, every response names that origin.
    With several origins, the functions return the origin of the request. Responses that API Gateway itself makes return
    `*`, which is safe because callers send bearer tokens and no cookies.
  EOT
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.cors_origins : can(regex("^(https://[a-z0-9.-]+(:[0-9]{1,5})?|http://localhost(:[0-9]{1,5})?)$", origin))])
    error_message = "Give cors_origins as https://host or https://host:port (http only for localhost), in lower case, without path or trailing slash: browsers send exactly that."
  }

  # An origin that is listed twice would be treated as several origins.
  validation {
    condition     = length(distinct(var.cors_origins)) == length(var.cors_origins)
    error_message = "Name each origin once in cors_origins."
  }
}

variable "cache_size" {
  description = <<-EOT
    Size of the API's cache cluster in GB, as text; null means no cluster. AWS bills a cluster by the hour, used or not.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.cache_size == null || contains(["0.5", "1.6", "6.1", "13.5", "28.4", "58.2", "118", "237"], coalesce(var.cache_size, "none"))
    error_message = "Set cache_size to null or one of API Gateway's sizes: 0.5, 1.6, 6.1, 13.5, 28.4, 58.2, 118, 237."
  }
}

variable "throttle" {
  description = "Requests per second and burst for each method of the API. A collection or backend can set its own."
  type        = object({ rate = number, burst = number })
  default     = { rate = 500, burst = 1000 }

  validation {
    condition     = var.throttle.rate > 0 && var.throttle.burst >= 1
    error_message = "Set throttle.rate to more than 0 and throttle.burst to at least 1: API Gateway would answer 429 to every request."
  }
}

variable "write_log" {
  description = <<-EOT
    How long and how much Firehose buffers, the age at which log objects move to cheaper storage classes, and how many
    executions of `apply` the queue may start at once.
  EOT
  type = object({
    buffering_seconds      = optional(number, 60)
    buffering_megabytes    = optional(number, 4)
    infrequent_access_days = optional(number, 30)
    glacier_instant_days   = optional(number, 90)
    apply_concurrency      = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.write_log.buffering_seconds >= 0 && var.write_log.buffering_seconds <= 900
    error_message = "Set write_log.buffering_seconds to 0 to 900: what Firehose allows for S3."
  }

  # Firehose allows up to 128 MB. The limit here is lower, because an object can be as large as the buffer and `apply`
  # must finish an object within its timeout. A megabyte can hold some 2,400 small changes.
  validation {
    condition     = var.write_log.buffering_megabytes >= 1 && var.write_log.buffering_megabytes <= 16
    error_message = "Set write_log.buffering_megabytes to 1 to 16: `apply` must finish an object within its time-out, or the object never gets done."
  }

  # S3 moves an object to STANDARD_IA after 30 days at the earliest, and to a cheaper class at least 30 days later.
  validation {
    condition     = var.write_log.infrequent_access_days >= 30 && var.write_log.glacier_instant_days >= var.write_log.infrequent_access_days + 30
    error_message = "Set write_log.infrequent_access_days to at least 30 and glacier_instant_days at least 30 days later."
  }

  validation {
    condition     = var.write_log.apply_concurrency >= 2 && var.write_log.apply_concurrency <= 1000
    error_message = "Set write_log.apply_concurrency to 2 to 1000: what Lambda allows for a queue."
  }
}

variable "horizon_days" {
  description = "Days for which a tombstone is kept. `apply` quarantines a change that is older than that."
  type        = number
  default     = 30

  # The dead-letter queue keeps a message for 14 days. If an operator redrives a change on the last of those days, the
  # item's tombstone must still exist. Otherwise the change would bring a deleted item back.
  validation {
    condition     = var.horizon_days >= 15 && floor(var.horizon_days) == var.horizon_days
    error_message = "Set horizon_days to 15 or more: longer than the 14 days of the dead-letter queue, or a redrive could bring deleted items back."
  }
}

variable "functions" {
  description = <<-EOT
    Memory, timeout and concurrency of each function. If reserved_concurrency is null, the function shares the account's
    unreserved concurrency.
  EOT
  type = object({
    write   = optional(object({ memory_mb = optional(number, 512), timeout_seconds = optional(number, 15), reserved_concurrency = optional(number), snap_start = optional(bool, false) }), {})
    apply   = optional(object({ memory_mb = optional(number, 1024), timeout_seconds = optional(number, 300), reserved_concurrency = optional(number), snap_start = optional(bool, false) }), {})
    publish = optional(object({ memory_mb = optional(number, 1024), timeout_seconds = optional(number, 120), reserved_concurrency = optional(number), snap_start = optional(bool, false) }), {})
    read    = optional(object({ memory_mb = optional(number, 512), timeout_seconds = optional(number, 15), reserved_concurrency = optional(number), snap_start = optional(bool, false) }), {})
    poll    = optional(object({ memory_mb = optional(number, 1024), timeout_seconds = optional(number, 120), reserved_concurrency = optional(number) }), {})
  })
  default = {}

  # API Gateway stops waiting after 29 seconds, so a longer timeout would only cost money. With less than 13
  # seconds, Lambda could stop `write` between its attempts to reach the write log, and the client wouldn't
  # learn whether the change was accepted.
  validation {
    condition     = var.functions.write.timeout_seconds >= 13 && var.functions.write.timeout_seconds <= 29
    error_message = "Set functions.write.timeout_seconds to 13 to 29: its three tries at the write log take up to 12.3 seconds, and API Gateway waits 29."
  }

  # For a list, `read` queries one partition of the index after another. It starts new queries for up to 4 seconds, and
  # the last query may take 6 seconds more.
  validation {
    condition     = var.functions.read.timeout_seconds >= 12 && var.functions.read.timeout_seconds <= 29
    error_message = "Set functions.read.timeout_seconds to 12 to 29: a list and its retries take up to 10 seconds, and API Gateway waits 29."
  }

  # A megabyte of buffer can hold some 2,400 small changes. `apply` writes thousands of changes a second at best, but
  # only a few hundred with a third of a CPU core or while DynamoDB throttles.
  validation {
    condition     = var.functions.apply.timeout_seconds >= 15 * var.write_log.buffering_megabytes
    error_message = "Set functions.apply.timeout_seconds to at least 15 seconds for each megabyte of write_log.buffering_megabytes, or buffer less: `apply` must finish an object within its time-out."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.memory_mb >= 128 && f.memory_mb <= 10240 && f.timeout_seconds >= 1 && f.timeout_seconds <= 900])
    error_message = "Give each function 128 to 10240 MB and 1 to 900 seconds: Lambda's limits."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : coalesce(f.reserved_concurrency, 1) >= 1])
    error_message = "Set reserved_concurrency to at least 1, or null: 0 stops the function."
  }

  # If the queue may start more executions than are reserved, Lambda throttles the rest. SQS counts each throttled
  # delivery as a failure and in the end moves the message to the dead-letter queue.
  validation {
    condition     = coalesce(var.functions.apply.reserved_concurrency, 1000) >= var.write_log.apply_concurrency
    error_message = "Set functions.apply.reserved_concurrency to at least write_log.apply_concurrency, or null."
  }

  # AWS lets an account reserve its whole quota except 100.
  validation {
    condition     = sum([for f in values(var.functions) : coalesce(f.reserved_concurrency, 0)]) <= var.account_concurrency_quota - 100
    error_message = "Reserve less concurrency: the sum over the functions may be at most account_concurrency_quota minus the 100 that AWS keeps unreserved."
  }
}

variable "account_concurrency_quota" {
  description = <<-EOT
    The account's quota of concurrent executions per Region. New accounts may have less than 1000; Service Quotas shows
    the number.
  EOT
  type        = number
  default     = 1000
}

variable "documents_integration" {
  description = <<-EOT
    Who reads documents from their bucket.
    s3: API Gateway itself, without a function.
    lambda: `read`, which serves the same bytes, for emulators that lack API Gateway's S3 integration.
  EOT
  type        = string
  default     = "s3"

  validation {
    condition     = contains(["s3", "lambda"], var.documents_integration)
    error_message = "Set documents_integration to \"s3\", or \"lambda\" on an emulator without API Gateway's S3 integration."
  }
}

variable "customer_managed_key" {
  description = <<-EOT
    Encrypt with a customer managed KMS key in each Region (about 1 $ a month each, plus requests); false means keys
    that AWS owns.
  EOT
  type        = bool
  default     = true
}

variable "deletion_protection" {
  description = <<-EOT
    Refuse to delete users, items, checkpoints and buckets that hold objects. Set it to false and run `terraform apply`
    before you run `terraform destroy`, and also before you remove the last source, because its checkpoints are deleted
    then.
  EOT
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "Set log_retention_days to a number of days that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "manage_account_logging" {
  description = <<-EOT
    Manage the role with which API Gateway writes logs. An account has only one such role per Region, so set it to false
    if another stack manages it.
  EOT
  type        = bool
  default     = true
}

variable "alarms" {
  description = "Create the alarms (0.10 $ a month each), a topic that they notify, and a dashboard."
  type        = bool
  default     = true
}

variable "alarm_actions" {
  description = "SNS topics that the primary Region's alarms notify, in addition to the stack's own topic."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.alarm_actions : can(regex("^arn:aws[a-z-]*:sns:${var.region}:[0-9]{12}:.+$", arn))])
    error_message = "Give alarm_actions as ARNs of SNS topics in region: an alarm can't notify a topic of another Region."
  }
}

variable "replica_alarm_actions" {
  description = "SNS topics that the replica Region's alarms notify, in addition to the stack's own topic."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.replica_alarm_actions : can(regex("^arn:aws[a-z-]*:sns:${coalesce(var.replica_region, "none")}:[0-9]{12}:.+$", arn))])
    error_message = "Give replica_alarm_actions as ARNs of SNS topics in replica_region: an alarm can't notify a topic of another Region."
  }
}

variable "hot_zip" {
  description = "Zip of `read`, `write` and `apply`, built by `make build`. It holds only what these three import."
  type        = string
  default     = "../dist/hot-arm64.zip"

  validation {
    condition     = fileexists(var.hot_zip)
    error_message = "There is no file ${var.hot_zip}: run `make build` first, or set hot_zip."
  }
}

variable "functions_zip" {
  description = "Zip of the other functions, built by `make build`."
  type        = string
  default     = "../dist/functions-arm64.zip"

  validation {
    condition     = fileexists(var.functions_zip)
    error_message = "There is no file ${var.functions_zip}: run `make build` first, or set functions_zip."
  }
}

variable "layer_zip" {
  description = "Zip of the functions' shared layer, built by `make build`."
  type        = string
  default     = "../dist/layer-arm64.zip"

  validation {
    condition     = fileexists(var.layer_zip)
    error_message = "There is no file ${var.layer_zip}: run `make build` first, or set layer_zip."
  }
}

variable "poll_layer_zip" {
  description = "Zip of the layer that only `poll` uses, built by `make build`."
  type        = string
  default     = "../dist/poll-layer-arm64.zip"

  validation {
    condition     = length(var.sources) == 0 || fileexists(var.poll_layer_zip)
    error_message = "There is no file ${var.poll_layer_zip}: run `make build` first, or set poll_layer_zip."
  }
}

variable "aws_client" {
  description = <<-EOT
    How `read`, `write` and `apply` call AWS.
    slim: the project's own client, which starts several times faster.
    boto3: AWS's SDK. If AWS ever sends a response that slim can't read, switch to boto3; that needs no new build.
  EOT
  type        = string
  default     = "slim"

  validation {
    condition     = contains(["slim", "boto3"], var.aws_client)
    error_message = "Set aws_client to \"slim\" or \"boto3\"."
  }
}

variable "architecture" {
  description = "Processor architecture of the functions. The zips must be built for it."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Set architecture to arm64 or x86_64."
  }
}

variable "api_base_url" {
  description = "Base URL of an emulator's API, with {api_id} as a placeholder; null means AWS's own URL."
  type        = string
  default     = null

  validation {
    condition     = var.api_base_url == null || strcontains(coalesce(var.api_base_url, "-"), "{api_id}")
    error_message = "Put {api_id} into api_base_url, for example http://localhost:4566/_aws/execute-api/{api_id}."
  }
}

variable "emulator" {
  description = <<-EOT
    Provider settings for an emulator. Leave them out on AWS.
    plain_http: the emulator speaks no TLS, so buckets and queues must not refuse plain HTTP.
    plain_method_paths: the emulator stores a method's settings under the method's unescaped path.
  EOT
  type = object({
    s3_use_path_style           = optional(bool, false)
    skip_credentials_validation = optional(bool, false)
    skip_metadata_api_check     = optional(bool, false)
    skip_region_validation      = optional(bool, false)
    plain_http                  = optional(bool, false)
    plain_method_paths          = optional(bool, false)
  })
  default = {}
}

variable "tags" {
  description = "Tags of every resource, in addition to Project and Stack."
  type        = map(string)
  default     = {}
}
