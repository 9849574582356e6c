variable "name" {
  description = "Stack name. It is the prefix of AWS resource names and the value of the metrics' dimension `Stack`."
  type        = string
  default     = "readplane"

  # The name can have at most 20 characters, because it is part of a bucket name, and S3 allows 63 characters there. The
  # bucket of the write log is named <name>-write-log-<account-id>-<Region>.
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
  description = "Primary AWS Region of the stack. Only this Region polls back offices."
  type        = string
}

variable "replica_region" {
  description = "Second AWS Region, which also accepts reads and writes; null means that the stack has one Region."
  type        = string
  default     = null

  validation {
    condition     = var.replica_region != var.region
    error_message = "Choose a replica_region other than region, or null for a single Region."
  }
}

variable "endpoint_type" {
  description = <<-EOT
    Endpoint type of the API. REGIONAL: clients connect to the Region. EDGE: clients connect to the nearest AWS edge
    location, which forwards requests to the Region.
  EOT
  type        = string
  default     = "REGIONAL"

  validation {
    condition     = contains(["REGIONAL", "EDGE"], var.endpoint_type)
    error_message = "Set endpoint_type to REGIONAL or EDGE."
  }

  # Refuse EDGE if there is a replica Region. Two edge-optimised APIs can't share a custom domain, so clients couldn't
  # fail over from one Region to the other.
  validation {
    condition     = var.endpoint_type != "EDGE" || var.replica_region == null
    error_message = "Set endpoint_type to REGIONAL, or replica_region to null: edge-optimised APIs can't fail over between Regions."
  }
}

variable "collections" {
  description = <<-EOT
    Collection name -> the settings of the collection.
    read: who may read the items: `public` (everybody), `authenticated` (every signed-in user) or `owner` (only the user
    whose item it is).
    write_groups: the user groups that may write the items.
    schema: the JSON Schema that an item's data must match, as JSON text.
    cache_ttl: seconds for which API Gateway may cache responses; 0 means that it caches none.
    throttle: requests per second (rate) and burst for each API method of the collection; null means the limits in the
    variable throttle.
  EOT
  type = map(object({
    read         = string
    write_groups = optional(list(string), [])
    schema       = optional(string)
    cache_ttl    = optional(number, 0)
    throttle     = optional(object({ rate = number, burst = number }))
  }))

  # API Gateway allows 300 resources per API. A collection uses up to six of them, so 40 collections use at most 240.
  # The rest is left for sources, backends and other paths.
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
    How users sign in with Cognito.
    mfa: multi-factor authentication: OFF, OPTIONAL or ON.
    self_sign_up: true lets anybody register; false means that only administrators create users.
    *_callback_urls, *_logout_urls: URLs to which Cognito's hosted page returns the user after sign-in and sign-out, for
    the web and the mobile application.
    access_minutes, id_minutes, refresh_days: lifetimes of the tokens.
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

  # Cognito allows lifetimes of 5 minutes to one day for access tokens and ID tokens.
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
    Web origins whose scripts may call the API from a browser.
    With no origin, the API answers no preflight and sends no CORS headers.
    With one origin, every response names that origin.
    With several origins, a function's response names the origin of the request. Responses that API Gateway makes itself
    name `*`. That is safe, because callers send bearer tokens and no cookies.
  EOT
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.cors_origins : can(regex("^(https://[a-z0-9.-]+(:[0-9]{1,5})?|http://localhost(:[0-9]{1,5})?)$", origin))])
    error_message = "Give cors_origins as https://host or https://host:port (http only for localhost), in lower case, without path or trailing slash: browsers send exactly that."
  }

  # Refuse duplicates. The modules assume several origins if this list has more than one entry, so a duplicate would
  # count as a second origin.
  validation {
    condition     = length(distinct(var.cors_origins)) == length(var.cors_origins)
    error_message = "Name each origin once in cors_origins."
  }
}

variable "cache_size" {
  description = <<-EOT
    Size of the API's cache cluster in GB, as text; null means no cluster, so that API Gateway caches nothing. AWS bills
    a cluster by the hour, used or not.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.cache_size == null || contains(["0.5", "1.6", "6.1", "13.5", "28.4", "58.2", "118", "237"], coalesce(var.cache_size, "none"))
    error_message = "Set cache_size to null or one of API Gateway's sizes: 0.5, 1.6, 6.1, 13.5, 28.4, 58.2, 118, 237."
  }
}

variable "throttle" {
  description = <<-EOT
    Requests per second (rate) and burst for each method of the API. A collection or backend can set its own.
  EOT
  type        = object({ rate = number, burst = number })
  default     = { rate = 500, burst = 1000 }

  validation {
    condition     = var.throttle.rate > 0 && var.throttle.burst >= 1
    error_message = "Set throttle.rate to more than 0 and throttle.burst to at least 1: API Gateway would answer 429 to every request."
  }
}

variable "write_log" {
  description = <<-EOT
    Buffering, storage and processing of the write log.
    buffering_seconds, buffering_megabytes: Firehose writes a log object to S3 when it reaches either limit.
    infrequent_access_days, glacier_instant_days: age in days at which S3 moves log objects to the storage class
    STANDARD_IA or GLACIER_IR.
    apply_concurrency: the largest number of `apply` executions that the apply queue starts at once.
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

  # Firehose allows a buffer of up to 128 MB. Readplane allows only 16 MB, because Firehose writes a full buffer to S3
  # as one object, and `apply` must apply all changes in an object within its timeout. Each megabyte can hold some 2,400
  # small changes.
  validation {
    condition     = var.write_log.buffering_megabytes >= 1 && var.write_log.buffering_megabytes <= 16
    error_message = "Set write_log.buffering_megabytes to 1 to 16: `apply` must finish an object within its time-out, or the object never gets done."
  }

  # S3 refuses to move an object to the storage class STANDARD_IA before the object is 30 days old. The object must then
  # stay in STANDARD_IA for 30 days before S3 can move it on to GLACIER_IR.
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
  description = "Days for which the tombstone of a deleted item is kept. `apply` quarantines older changes."
  type        = number
  default     = 30

  # A deleted item's tombstone is kept for horizon_days. They must exceed 14 days, because the dead-letter queue keeps a
  # message for 14 days. If an operator redrives an old change on the last of these days, the tombstone must still
  # exist. Otherwise the change would bring the deleted item back.
  validation {
    condition     = var.horizon_days >= 15 && floor(var.horizon_days) == var.horizon_days
    error_message = "Set horizon_days to 15 or more: longer than the 14 days of the dead-letter queue, or a redrive could bring deleted items back."
  }
}

variable "functions" {
  description = <<-EOT
    Memory, timeout and concurrency of each function.
    reserved_concurrency: executions that Lambda reserves for the function; null means that the function shares the
    account's unreserved concurrency.
    snap_start: true makes Lambda start the function from a snapshot of its initialised state (SnapStart).
  EOT
  type = object({
    write   = optional(object({ memory_mb = optional(number, 512), timeout_seconds = optional(number, 15), reserved_concurrency = optional(number), snap_start = optional(bool, false) }), {})
    apply   = optional(object({ memory_mb = optional(number, 1024), timeout_seconds = optional(number, 300), reserved_concurrency = optional(number), snap_start = optional(bool, false) }), {})
    publish = optional(object({ memory_mb = optional(number, 1024), timeout_seconds = optional(number, 120), reserved_concurrency = optional(number), snap_start = optional(bool, false) }), {})
    read    = optional(object({ memory_mb = optional(number, 512), timeout_seconds = optional(number, 15), reserved_concurrency = optional(number), snap_start = optional(bool, false) }), {})
    poll    = optional(object({ memory_mb = optional(number, 1024), timeout_seconds = optional(number, 120), reserved_concurrency = optional(number) }), {})
  })
  default = {}

  # `write` needs at least 13 seconds, because its three attempts to reach the write log take up to 12.3 seconds. With
  # less, Lambda could stop `write` between these attempts, and the client wouldn't learn whether the change was
  # accepted.
  #
  # More than 29 seconds would only cost money, because API Gateway stops waiting for `write` after 29 seconds.
  validation {
    condition     = var.functions.write.timeout_seconds >= 13 && var.functions.write.timeout_seconds <= 29
    error_message = "Set functions.write.timeout_seconds to 13 to 29: its three tries at the write log take up to 12.3 seconds, and API Gateway waits 29."
  }

  # `read` needs at least 12 seconds. To list a collection, it queries one partition of the index after another. It
  # starts new queries for up to 4 seconds, and the last query can take 6 seconds more. That makes 10 seconds, and the
  # other two are a reserve.
  validation {
    condition     = var.functions.read.timeout_seconds >= 12 && var.functions.read.timeout_seconds <= 29
    error_message = "Set functions.read.timeout_seconds to 12 to 29: a list and its retries take up to 10 seconds, and API Gateway waits 29."
  }

  # `apply` gets at least 15 seconds for each megabyte of an object. A megabyte can hold some 2,400 small changes, so
  # `apply` must write at least 160 changes a second. At best it writes thousands a second. Even with a third of a CPU
  # core, or while DynamoDB throttles, it still writes a few hundred, which is enough.
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

  # Reserve at least as many executions of `apply` as the apply queue may start. Otherwise Lambda throttles the rest.
  # SQS counts each throttled delivery as a failure and in the end moves the message to the dead-letter queue.
  validation {
    condition     = coalesce(var.functions.apply.reserved_concurrency, 1000) >= var.write_log.apply_concurrency
    error_message = "Set functions.apply.reserved_concurrency to at least write_log.apply_concurrency, or null."
  }

  # AWS refuses reservations that leave less than 100 of the account's concurrency quota unreserved.
  validation {
    condition     = sum([for f in values(var.functions) : coalesce(f.reserved_concurrency, 0)]) <= var.account_concurrency_quota - 100
    error_message = "Reserve less concurrency: the sum over the functions may be at most account_concurrency_quota minus the 100 that AWS keeps unreserved."
  }
}

variable "account_concurrency_quota" {
  description = <<-EOT
    The AWS account's quota of concurrent Lambda executions per Region. A new account may have less than 1000. The AWS
    console shows the quota under Service Quotas.
  EOT
  type        = number
  default     = 1000
}

variable "documents_integration" {
  description = <<-EOT
    How the API gets documents from the documents bucket.
    s3: API Gateway reads the bucket itself, without a function.
    lambda: the function `read` reads the bucket and returns the same bytes. Use this on emulators that lack API
    Gateway's S3 integration.
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
    true: encrypt with a customer managed KMS key in each Region. A key costs about 1 $ a month, plus requests. false:
    encrypt with keys that AWS owns.
  EOT
  type        = bool
  default     = true
}

variable "deletion_protection" {
  description = <<-EOT
    Refuse to delete the user pool, the items table, the checkpoint table and buckets that hold objects. Set it to false
    and run `terraform apply` before you run `terraform destroy`. Do the same before you remove the last source, because
    Terraform then deletes the checkpoint table.
  EOT
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the logs of the stack."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "Set log_retention_days to a number of days that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "manage_account_logging" {
  description = <<-EOT
    true: this stack manages the role with which API Gateway writes logs. An AWS account has only one such role per
    Region, so set it to false if another stack already manages the role.
  EOT
  type        = bool
  default     = true
}

variable "alarms" {
  description = "Create the alarms (0.10 $ a month each), the SNS topic that they notify, and a dashboard."
  type        = bool
  default     = true
}

variable "alarm_actions" {
  description = "ARNs of SNS topics that the primary Region's alarms notify, in addition to the stack's own topic."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.alarm_actions : can(regex("^arn:aws[a-z-]*:sns:${var.region}:[0-9]{12}:.+$", arn))])
    error_message = "Give alarm_actions as ARNs of SNS topics in region: an alarm can't notify a topic of another Region."
  }
}

variable "replica_alarm_actions" {
  description = "ARNs of SNS topics that the replica Region's alarms notify, in addition to the stack's own topic."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.replica_alarm_actions : can(regex("^arn:aws[a-z-]*:sns:${coalesce(var.replica_region, "none")}:[0-9]{12}:.+$", arn))])
    error_message = "Give replica_alarm_actions as ARNs of SNS topics in replica_region: an alarm can't notify a topic of another Region."
  }
}

variable "hot_zip" {
  description = <<-EOT
    Path of the zip with the code of `read`, `write` and `apply`. `make build` creates it. It holds only the modules
    that these three functions import.
  EOT
  type        = string
  default     = "../dist/hot-arm64.zip"

  validation {
    condition     = fileexists(var.hot_zip)
    error_message = "There is no file ${var.hot_zip}: run `make build` first, or set hot_zip."
  }
}

variable "functions_zip" {
  description = "Path of the zip with the code of `publish`, `poll` and `backend_auth`. `make build` creates it."
  type        = string
  default     = "../dist/functions-arm64.zip"

  validation {
    condition     = fileexists(var.functions_zip)
    error_message = "There is no file ${var.functions_zip}: run `make build` first, or set functions_zip."
  }
}

variable "layer_zip" {
  description = "Path of the zip of the Lambda layer that several functions share. `make build` creates it."
  type        = string
  default     = "../dist/layer-arm64.zip"

  validation {
    condition     = fileexists(var.layer_zip)
    error_message = "There is no file ${var.layer_zip}: run `make build` first, or set layer_zip."
  }
}

variable "poll_layer_zip" {
  description = "Path of the zip of the Lambda layer that only `poll` uses. `make build` creates it."
  type        = string
  default     = "../dist/poll-layer-arm64.zip"

  validation {
    condition     = length(var.sources) == 0 || fileexists(var.poll_layer_zip)
    error_message = "There is no file ${var.poll_layer_zip}: run `make build` first, or set poll_layer_zip."
  }
}

variable "aws_client" {
  description = <<-EOT
    Client library with which `read`, `write` and `apply` call AWS.
    slim: the project's own client, which starts several times faster than boto3.
    boto3: AWS's SDK for Python. If AWS ever sends a response that slim can't read, switch to boto3. The switch needs no
    new build.
  EOT
  type        = string
  default     = "slim"

  validation {
    condition     = contains(["slim", "boto3"], var.aws_client)
    error_message = "Set aws_client to \"slim\" or \"boto3\"."
  }
}

variable "architecture" {
  description = "Processor architecture of the functions. The zips must be built for this architecture."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Set architecture to arm64 or x86_64."
  }
}

variable "api_base_url" {
  description = "Base URL of the API on an emulator, with {api_id} in place of the API's id; null means AWS's own URL."
  type        = string
  default     = null

  validation {
    condition     = var.api_base_url == null || strcontains(coalesce(var.api_base_url, "-"), "{api_id}")
    error_message = "Put {api_id} into api_base_url, for example http://localhost:4566/_aws/execute-api/{api_id}."
  }
}

variable "emulator" {
  description = <<-EOT
    Settings for an emulator. Leave them all out on AWS.
    s3_use_path_style, skip_*: settings of the AWS provider with the same names.
    plain_http: the emulator speaks no TLS, so buckets and queues must not refuse plain HTTP.
    plain_method_paths: the emulator stores the settings of an API method under the method's plain path. API Gateway
    stores them under a path in which every slash is escaped.
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
  description = "Tags of every AWS resource, in addition to the tags Project and Stack."
  type        = map(string)
  default     = {}
}
