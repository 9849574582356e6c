# The functions and the zips with their code.

variable "functions" {
  description = <<-EOT
    Memory, timeout and concurrency of each function. A function with reserved_concurrency null shares the account's
    unreserved concurrency with the others.
  EOT
  type = object({
    # The function that accepts changes.
    write = optional(object({
      memory_mb            = optional(number, 512) # MB of memory, which also decides the share of a CPU
      timeout_seconds      = optional(number, 15)  # seconds after which Lambda stops the function
      reserved_concurrency = optional(number)      # executions that Lambda reserves for the function; null: none
      snap_start           = optional(bool, false) # start from a snapshot of the initialised state (SnapStart)
    }), {})
    # The function that folds changes of clients into items.
    apply = optional(object({
      memory_mb            = optional(number, 1024)
      timeout_seconds      = optional(number, 300)
      reserved_concurrency = optional(number)
      snap_start           = optional(bool, false)
    }), {})
    # The function that folds changes of back offices into items. It exists only if there is a source, and only in the
    # primary Region.
    apply_stream = optional(object({
      memory_mb            = optional(number, 1024)
      timeout_seconds      = optional(number, 300)
      reserved_concurrency = optional(number)
      snap_start           = optional(bool, false)
    }), {})
    # The function that writes documents.
    publish = optional(object({
      memory_mb            = optional(number, 1024)
      timeout_seconds      = optional(number, 120)
      reserved_concurrency = optional(number)
      snap_start           = optional(bool, false)
    }), {})
    # The function that serves reads.
    read = optional(object({
      memory_mb            = optional(number, 512)
      timeout_seconds      = optional(number, 15)
      reserved_concurrency = optional(number)
      snap_start           = optional(bool, false)
    }), {})
    # The function that lists relational collections. It exists only with relational, whose query_concurrency is the
    # number of executions that Lambda reserves for it.
    query = optional(object({
      memory_mb       = optional(number, 512)
      timeout_seconds = optional(number, 15)
      snap_start      = optional(bool, false)
    }), {})
    # The function that writes changes into the cache and the database. It exists only with a cache of Valkey or with
    # relational. A batch that fails comes again after six times the timeout.
    feed = optional(object({
      memory_mb            = optional(number, 1024)
      timeout_seconds      = optional(number, 60)
      reserved_concurrency = optional(number)
    }), {})
    # The function that polls back offices.
    poll = optional(object({
      memory_mb            = optional(number, 1024)
      timeout_seconds      = optional(number, 120)
      reserved_concurrency = optional(number)
    }), {})
  })
  default  = {}
  nullable = false

  # `write` needs at least 15 seconds. Its three attempts to reach the write log take up to 12.3 seconds. A POST with
  # Idempotency-Key first reads the item, which takes up to 2 seconds more. With less, Lambda could stop `write` between
  # these attempts, and the client wouldn't learn whether the change was accepted.
  #
  # More than 29 seconds would only cost money, because API Gateway stops waiting for `write` after 29 seconds.
  validation {
    condition     = var.functions.write.timeout_seconds >= 15 && var.functions.write.timeout_seconds <= 29
    error_message = <<-EOT
      Set functions.write.timeout_seconds to 15 to 29, because a read of the item and three attempts to reach the write
      log take up to 14.3 seconds, and API Gateway waits 29 seconds.
    EOT
  }

  # `read` needs at least 12 seconds. To list a collection, it queries one partition of the index after another. It
  # starts new queries for up to 4 seconds, and the last query can take 6 seconds more. That makes 10 seconds, and the
  # other two are a reserve.
  validation {
    condition     = var.functions.read.timeout_seconds >= 12 && var.functions.read.timeout_seconds <= 29
    error_message = <<-EOT
      Set functions.read.timeout_seconds to 12 to 29, because a list and its retries take up to 10 seconds, and API
      Gateway waits 29 seconds.
    EOT
  }

  # `query` serves plain lists as `read` does. A list from the database takes up to 2 seconds, and a connection as long.
  validation {
    condition     = var.functions.query.timeout_seconds >= 12 && var.functions.query.timeout_seconds <= 29
    error_message = <<-EOT
      Set functions.query.timeout_seconds to 12 to 29, because a list and its retries take up to 10 seconds, and API
      Gateway waits 29 seconds.
    EOT
  }

  # A cold start of `feed` with the PostgreSQL driver, and the attempts of its reads of DynamoDB, take some seconds.
  validation {
    condition     = var.functions.feed.timeout_seconds >= 10
    error_message = "Set functions.feed.timeout_seconds to at least 10, because a batch and its retries take that long."
  }

  # `apply` gets at least 15 seconds for each megabyte of an object. A megabyte can hold some 2,400 small changes, so
  # `apply` must write at least 160 changes a second. At best it writes thousands a second. Even with a third of a CPU
  # core, or while DynamoDB throttles, it still writes a few hundred, which is enough.
  validation {
    condition     = var.functions.apply.timeout_seconds >= 15 * var.write_log.buffering_megabytes
    error_message = <<-EOT
      Set functions.apply.timeout_seconds to at least 15 seconds for each megabyte of write_log.buffering_megabytes, or
      buffer less, because `apply` must finish an object within its timeout.
    EOT
  }

  validation {
    condition = alltrue([
      for settings in values(var.functions) : settings.memory_mb >= 128 && settings.memory_mb <= 10240
    ])
    error_message = "Give each function 128 to 10240 MB of memory, which Lambda allows."
  }

  validation {
    condition = alltrue([
      for settings in values(var.functions) : settings.timeout_seconds >= 1 && settings.timeout_seconds <= 900
    ])
    error_message = "Give each function a timeout of 1 to 900 seconds, which Lambda allows."
  }

  validation {
    condition = alltrue([
      for n in flatten([for f in var.functions : [for name, n in f : n if name != "snap_start"]]) : floor(n) == n
      if n != null
    ])
    error_message = <<-EOT
      Set memory_mb, timeout_seconds and reserved_concurrency of functions to whole numbers, because Lambda takes no
      others.
    EOT
  }

  validation {
    condition = alltrue([
      for settings in values(var.functions) : coalesce(try(settings.reserved_concurrency, null), 1) >= 1
    ])
    error_message = "Set reserved_concurrency to at least 1, or to null, because 0 stops the function."
  }

  # Reserve at least as many executions of `apply` as the apply queue may start. Otherwise Lambda throttles the rest.
  # SQS counts each throttled delivery as a failure and in the end moves the message to the dead-letter queue.
  validation {
    condition     = coalesce(var.functions.apply.reserved_concurrency, 1000) >= var.write_log.apply_concurrency
    error_message = "Set functions.apply.reserved_concurrency to at least write_log.apply_concurrency, or to null."
  }

  # AWS refuses reservations that leave less than 100 of the account's concurrency quota unreserved. Without any, every
  # quota is enough. Without account_concurrency_quota, module region compares with the quota that AWS reports.
  validation {
    condition = local.reservable_concurrency >= local.query_concurrency + sum([
      for f in values(var.functions) : coalesce(try(f.reserved_concurrency, null), 0)
    ])
    error_message = <<-EOT
      Reserve less concurrency. The sum over the functions may be at most account_concurrency_quota minus 100, because
      AWS keeps 100 unreserved. relational.query_concurrency counts too.
    EOT
  }
}

locals {
  # What `query` reserves. The variable functions says what the other functions do.
  query_concurrency = try(var.relational.query_concurrency, 0)

  # What all functions together may reserve; without account_concurrency_quota, more than any account has.
  reservable_concurrency = max(0, coalesce(var.account_concurrency_quota, 100000) - 100)
}

variable "account_concurrency_quota" {
  description = <<-EOT
    The AWS account's quota of concurrent Lambda executions per Region, which limits what functions can reserve. null:
    Terraform reads the quota of each Region from AWS if a function reserves something. A new account may have 10 or 50.
  EOT
  type        = number
  default     = null

  validation {
    condition     = floor(coalesce(var.account_concurrency_quota, 0)) == coalesce(var.account_concurrency_quota, 0)
    error_message = "Set account_concurrency_quota to a whole number of executions."
  }
}

variable "republish" {
  description = <<-EOT
    Raise this number to publish a new version of every function although nothing else changes: for example because AWS
    could not make the SnapStart snapshot of a version. Terraform never repairs such a version.
  EOT
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.republish >= 0 && floor(var.republish) == var.republish
    error_message = "Set republish to a whole number, and raise it by one each time."
  }
}

variable "code_buckets" {
  description = <<-EOT
    S3 buckets with the zips, instead of the local files: one bucket in each Region, because Lambda takes code only from
    its own Region. The objects have the file names of the zips, such as hot-arm64.zip. null: Terraform uploads local
    files.
  EOT
  type = object({
    # The zips of the primary Region.
    primary = object({
      bucket = string # name of the bucket
      # The folder of one release in that bucket, such as readplane/1.4.0. Terraform deploys new code only when this
      # name changes, because it doesn't look into the bucket. So give each release a folder of its own.
      prefix = string
    })
    # The zips of the replica Region, in a bucket there.
    replica = optional(object({
      bucket = string
      prefix = string
    }))
    # The zip of the edge's function, in a bucket in us-east-1.
    edge = optional(object({
      bucket = string
      prefix = string
    }))
  })
  default = null

  validation {
    condition = alltrue([
      for place in try(values(var.code_buckets), []) : can(regex(local.prefix_pattern, place.prefix))
      if place != null
    ])
    error_message = <<-EOT
      Set the prefix of each code bucket to the folder of one release, without a slash at either end, for example
      readplane/1.4.0.
    EOT
  }

  validation {
    condition = (
      var.code_buckets == null || local.replica_region == null || try(var.code_buckets.replica != null, false)
    )
    error_message = "Set code_buckets.replica too, because Lambda takes code only from a bucket in its own Region."
  }

  validation {
    condition     = var.code_buckets == null || var.edge == null || try(var.code_buckets.edge != null, false)
    error_message = "Set code_buckets.edge too, because Lambda takes code only from a bucket in its own Region."
  }
}

variable "dist" {
  description = <<-EOT
    Path of the folder with the zips of the functions and Lambda layers, which `make build` creates. null means the
    folder dist/ beside the folder terraform/. The next seven variables can name other zips.
  EOT
  type        = string
  default     = null
}

variable "hot_zip" {
  description = <<-EOT
    Path of the zip with the code of `read`, `write` and `apply`. It holds only the modules that these three functions
    import. null means hot-arm64.zip in the folder dist.
  EOT
  type        = string
  default     = null

  validation {
    condition     = local.from_s3 || fileexists(coalesce(var.hot_zip, local.built.hot))
    error_message = <<-EOT
      Run `make build` first, or set dist or hot_zip. There is no file
      ${coalesce(var.hot_zip, local.built.hot)}.
    EOT
  }
}

variable "functions_zip" {
  description = <<-EOT
    Path of the zip with the code of `publish`, `poll`, `query`, `feed` and `backend_auth`. null means
    functions-arm64.zip in the folder dist.
  EOT
  type        = string
  default     = null

  validation {
    condition     = local.from_s3 || fileexists(coalesce(var.functions_zip, local.built.functions))
    error_message = <<-EOT
      Run `make build` first, or set dist or functions_zip. There is no file
      ${coalesce(var.functions_zip, local.built.functions)}.
    EOT
  }
}

variable "layer_zip" {
  description = <<-EOT
    Path of the zip of the Lambda layer that several functions share. null means layer-arm64.zip in the folder dist.
  EOT
  type        = string
  default     = null

  validation {
    condition     = local.from_s3 || fileexists(coalesce(var.layer_zip, local.built.layer))
    error_message = <<-EOT
      Run `make build` first, or set dist or layer_zip. There is no file
      ${coalesce(var.layer_zip, local.built.layer)}.
    EOT
  }
}

variable "edge_auth_zip" {
  description = <<-EOT
    Path of the zip with the code of `edge_auth`, which CloudFront runs. null means edge_auth-x86_64.zip in the folder
    dist. A stack without an edge needs no such zip.
  EOT
  type        = string
  default     = null

  validation {
    condition = (
      local.from_s3 || var.edge == null || fileexists(coalesce(var.edge_auth_zip, local.built.edge_auth))
    )
    error_message = <<-EOT
      Run `make build` first, or set dist or edge_auth_zip. There is no file
      ${coalesce(var.edge_auth_zip, local.built.edge_auth)}.
    EOT
  }
}

variable "poll_layer_zip" {
  description = <<-EOT
    Path of the zip of the Lambda layer that only `poll` uses. null means poll-layer-arm64.zip in the folder dist. A
    stack without sources needs no such zip.
  EOT
  type        = string
  default     = null

  validation {
    condition = (
      local.from_s3 || length(var.sources) == 0 || fileexists(coalesce(var.poll_layer_zip, local.built.poll_layer))
    )
    error_message = <<-EOT
      Run `make build` first, or set dist or poll_layer_zip. There is no file
      ${coalesce(var.poll_layer_zip, local.built.poll_layer)}.
    EOT
  }
}

variable "database_layer_zip" {
  description = <<-EOT
    Path of the zip of the Lambda layer with the PostgreSQL driver, which `query` and `feed` use. null means
    database-layer-arm64.zip in the folder dist. A stack without relational needs no such zip.
  EOT
  type        = string
  default     = null

  validation {
    condition = local.from_s3 || var.relational == null || fileexists(
      coalesce(var.database_layer_zip, local.built.database_layer)
    )
    error_message = <<-EOT
      Run `make build` first, or set dist or database_layer_zip. There is no file
      ${coalesce(var.database_layer_zip, local.built.database_layer)}.
    EOT
  }
}

variable "dax_layer_zip" {
  description = <<-EOT
    Path of the zip of the Lambda layer with the client of DynamoDB Accelerator, which `read` uses with cache.dax. null
    means dax-layer-arm64.zip in the folder dist. A stack without cache.dax needs no such zip.
  EOT
  type        = string
  default     = null

  validation {
    condition = local.from_s3 || try(var.cache.dax == null, true) || fileexists(
      coalesce(var.dax_layer_zip, local.built.dax_layer)
    )
    error_message = <<-EOT
      Run `make build` first, or set dist or dax_layer_zip. There is no file
      ${coalesce(var.dax_layer_zip, local.built.dax_layer)}.
    EOT
  }
}

locals {
  dist = coalesce(var.dist, "${path.module}/../../../dist")
  built = {
    hot        = "${local.dist}/hot-arm64.zip"
    functions  = "${local.dist}/functions-arm64.zip"
    layer      = "${local.dist}/layer-arm64.zip"
    poll_layer = "${local.dist}/poll-layer-arm64.zip"
    edge_auth  = "${local.dist}/edge_auth-x86_64.zip"

    database_layer = "${local.dist}/database-layer-arm64.zip"
    dax_layer      = "${local.dist}/dax-layer-arm64.zip"
  }
  zips = {
    hot        = coalesce(var.hot_zip, local.built.hot)
    functions  = coalesce(var.functions_zip, local.built.functions)
    layer      = coalesce(var.layer_zip, local.built.layer)
    poll_layer = coalesce(var.poll_layer_zip, local.built.poll_layer)
    edge_auth  = coalesce(var.edge_auth_zip, local.built.edge_auth)

    database_layer = coalesce(var.database_layer_zip, local.built.database_layer)
    dax_layer      = coalesce(var.dax_layer_zip, local.built.dax_layer)
  }

  from_s3        = var.code_buckets != null
  prefix_pattern = "^[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*$"

  # `primary`, `replica` and `edge` -> the bucket with the zips, and for each zip's path the key of its object; null:
  # local zips.
  zip_objects = { for role in ["primary", "replica", "edge"] : role => try({
    bucket = var.code_buckets[role].bucket
    keys   = { for path in values(local.zips) : path => "${var.code_buckets[role].prefix}/${basename(path)}" }
  }, null) }
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
  nullable    = false

  validation {
    condition     = contains(["slim", "boto3"], var.aws_client)
    error_message = "Set aws_client to \"slim\" or \"boto3\"."
  }
}

variable "architecture" {
  description = "Processor architecture of the functions. The zips must be built for this architecture."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Set architecture to arm64 or x86_64."
  }
}
