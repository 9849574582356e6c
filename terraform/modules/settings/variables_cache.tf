# The item cache, which `read` asks for single items before DynamoDB.

variable "cache" {
  description = <<-EOT
    A cache of items in each Region, which `read` asks before DynamoDB. null means none. Set exactly one of serverless,
    nodes, dax and external. A cache may be lost at any time: reads then go to DynamoDB, and the cache fills again.
    docs/stores.md says when it is worth its price.
  EOT
  type = object({
    # ElastiCache Serverless for Valkey. It costs from 6 $ a month. It needs network.
    serverless = optional(object({
      max_gb              = optional(number, 1)    # most data in GB; a full cache drops the entries unread for longest
      max_ecpu_per_second = optional(number, 5000) # most requests a second; a request of up to 1 KB is one ECPU
    }))
    # ElastiCache for Valkey with nodes of your choice: one shard with a primary node and replicas. It needs network.
    nodes = optional(object({
      type     = optional(string, "cache.t4g.micro") # type of each node
      replicas = optional(number, 1)                 # nodes that take over if the primary node fails, 1 or more
    }))
    # DynamoDB Accelerator. It can't be fed, so its answers are up to ttl_seconds old, and versions may go back. Never
    # run by the project, because no emulator has it. It needs network.
    dax = optional(object({
      node_type   = optional(string, "dax.t3.small") # type of each node
      nodes       = optional(number, 3)              # number of nodes
      ttl_seconds = optional(number, 30)             # seconds for which the cluster keeps an item
    }))
    # A Valkey server (7.2 or later) or a service that speaks its protocol, which exists already, in each Region. One
    # shard, no cluster. Its password stands in store_passwords.
    external = optional(object({
      # The cache in the primary Region.
      primary = object({
        host = string                 # host name or address
        port = optional(number, 6379) # port
        tls  = optional(bool, true)   # connect with TLS and check the server's certificate
        user = optional(string)       # name of the user; null: the server's default user
        # Certificates that sign the server's, as PEM text; null: public ones. A function's settings hold some 4 KB.
        ca_pem = optional(string)
      })
      # The cache in the replica Region.
      replica = optional(object({
        host   = string
        port   = optional(number, 6379)
        tls    = optional(bool, true)
        user   = optional(string)
        ca_pem = optional(string)
      }))
    }))
    # Seconds for which an entry answers reads before `read` loads it again. Changes usually arrive within two seconds.
    # If an update of the entry is late, `read` finds the change after this time.
    fresh_seconds = optional(number, 30)
    # Seconds more for which the entry may answer while DynamoDB fails. While another execution loads the item, it may
    # answer for two seconds more.
    stale_seconds    = optional(number, 300)
    negative_seconds = optional(number, 5)     # seconds for which the cache remembers that an item doesn't exist
    max_item_bytes   = optional(number, 65536) # bytes of the largest item in the cache; larger ones come from DynamoDB
    # Raise it by one to empty the cache: no function looks for the old entries, which then expire.
    generation       = optional(number, 1)
    feed_concurrency = optional(number, 4) # how many batches of changes `feed` writes into the cache at once, 2 or more
  })
  default = null

  validation {
    condition = var.cache == null || length([
      for engine in local.cache_engines : engine if try(var.cache[engine], null) != null
    ]) == 1
    error_message = "Set exactly one of cache.serverless, cache.nodes, cache.dax and cache.external."
  }

  validation {
    condition     = var.cache == null || var.network != null || try(var.cache.external != null, false)
    error_message = <<-EOT
      Set network, because a cache of AWS has private addresses only, or set cache.external instead of serverless, nodes
      or dax.
    EOT
  }

  validation {
    condition     = var.cache == null || length(local.cached_collections) > 0
    error_message = <<-EOT
      Remove cache = false from at least one collection, or remove the variable cache, because no read would use it.
    EOT
  }

  # https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Scaling.html
  validation {
    condition = try(
      var.cache.serverless.max_gb == min(max(floor(var.cache.serverless.max_gb), 1), 5000), true
    )
    error_message = "Set cache.serverless.max_gb to a whole number from 1 to 5000, which ElastiCache allows."
  }

  validation {
    condition = try(
      var.cache.serverless.max_ecpu_per_second
      == min(max(floor(var.cache.serverless.max_ecpu_per_second), 1000), 15000000), true
    )
    error_message = <<-EOT
      Set cache.serverless.max_ecpu_per_second to a whole number from 1000 to 15000000, which ElastiCache allows.
    EOT
  }

  validation {
    condition     = try(var.cache.serverless == null, true) || alltrue([for count in local.subnet_counts : count <= 3])
    error_message = <<-EOT
      Name two or three zones or subnets in network, because ElastiCache Serverless takes no more, or use cache.nodes.
    EOT
  }

  # ElastiCache doesn't fail over between nodes of the oldest types, and those with local disks need other settings.
  # https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/AutoFailover.html
  validation {
    condition     = try(var.cache.nodes == null, true) || can(regex(local.node_types, var.cache.nodes.type))
    error_message = "Set cache.nodes.type to a current type of ElastiCache, such as cache.t4g.micro or cache.m7g.large."
  }

  # A node alone would take all entries with it. Serverless is the smaller cache: it costs less than one node.
  # https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/AutoFailover.html
  validation {
    condition     = contains(range(1, 6), try(coalesce(var.cache.nodes.replicas), 1))
    error_message = <<-EOT
      Set cache.nodes.replicas to a whole number from 1 to 5, which ElastiCache allows and failover needs. For a smaller
      cache, use cache.serverless.
    EOT
  }

  validation {
    condition     = can(regex("^dax[.][a-z0-9]+[.][a-z0-9]+$", try(coalesce(var.cache.dax.node_type), "dax.t3.small")))
    error_message = "Set cache.dax.node_type to a node type of DAX, for example dax.t3.small."
  }

  validation {
    condition     = contains(range(1, 12), try(coalesce(var.cache.dax.nodes), 3))
    error_message = "Set cache.dax.nodes to a whole number from 1 to 11, which DAX allows."
  }

  # The default of DAX, five minutes, is long for a client that reads what it has just changed.
  validation {
    condition     = contains(range(1, 301), try(coalesce(var.cache.dax.ttl_seconds), 30))
    error_message = "Set cache.dax.ttl_seconds to whole seconds from 1 to 300."
  }

  validation {
    condition     = local.replica_region == null || try(var.cache.external.replica != null, true)
    error_message = "Set cache.external.replica too, because each Region has a cache of its own."
  }

  validation {
    condition = alltrue([
      for each in try(values(var.cache.external), []) : can(regex("^[A-Za-z0-9:._-]+$", each.host)) if each != null
    ])
    error_message = "Give host of cache.external as a host name or an address, without scheme, port and path."
  }

  validation {
    condition = alltrue([
      for each in try(values(var.cache.external), []) : can(regex(local.tcp_port, each.port)) if each != null
    ])
    error_message = "Set port of cache.external to a whole number from 1 to 65535."
  }

  validation {
    condition = alltrue([
      for each in try(values(var.cache.external), []) : each.ca_pem == null || each.tls if each != null
    ])
    error_message = "Remove ca_pem from cache.external, or set tls to true, because only TLS has certificates."
  }

  validation {
    condition = alltrue([
      for each in try(values(var.cache.external), []) : strcontains(coalesce(each.ca_pem, local.pem), local.pem)
      if each != null
    ])
    error_message = "Give ca_pem of cache.external as the text of certificates, for example with file(\"ca.pem\")."
  }

  # The lease with which one reader loads an entry for all lasts two seconds.
  validation {
    condition     = try(var.cache.fresh_seconds == min(max(floor(var.cache.fresh_seconds), 2), 3600), true)
    error_message = "Set cache.fresh_seconds to whole seconds from 2 to 3600."
  }

  validation {
    condition     = try(var.cache.stale_seconds == min(max(floor(var.cache.stale_seconds), 0), 86400), true)
    error_message = "Set cache.stale_seconds to whole seconds from 0 to 86400 (a day)."
  }

  validation {
    condition     = contains(range(2, 301), try(var.cache.negative_seconds, 5))
    error_message = "Set cache.negative_seconds to whole seconds from 2 to 300."
  }

  # An item has at most 256 KiB.
  validation {
    condition = try(
      var.cache.max_item_bytes == min(max(floor(var.cache.max_item_bytes), 1024), 262144), true
    )
    error_message = "Set cache.max_item_bytes to a whole number from 1024 to 262144 (256 KiB)."
  }

  validation {
    condition     = try(var.cache.generation >= 1 && floor(var.cache.generation) == var.cache.generation, true)
    error_message = "Set cache.generation to a whole number of 1 or more, and raise it by one to empty the cache."
  }

  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
  validation {
    condition     = contains(range(2, 1001), try(var.cache.feed_concurrency, 4))
    error_message = "Set cache.feed_concurrency to a whole number from 2 to 1000, which Lambda allows."
  }
}

locals {
  cache_engines = ["serverless", "nodes", "dax", "external"]
  node_types    = "^cache[.](t[3-9]|m[3-9]|r[3-9]|c[6-9])[a-z]{0,2}[.][a-z0-9]+$"

  # The collections whose items the cache may hold. A retired collection has no routes, but the cache must learn of its
  # deletes, so that it forgets them.
  cached_collections = { for name, collection in var.collections : name => collection if collection.cache }
}
