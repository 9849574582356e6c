# The alarms on the cache itself. Module region has those on what `read` sees of it. A cache that is full, slow or gone
# fails no read. So most of these alarms say that DynamoDB has to do the cache's work.
#
# Valkey emits its metrics every minute, and DAX a metric only while it isn't zero. So missing data is calm.
# https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/serverless-metrics-events-redis.html
# https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.Redis.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/dax-metrics-dimensions-dax.html
locals {
  # Which setting makes room in a full cache.
  room = (
    local.serverless != null ? "Raise cache.serverless.max_gb" :
    local.nodes != null ? "Choose a larger cache.nodes.type" : "Choose a larger cache.dax.node_type"
  )

  # A cache takes 65,000 connections.
  # https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/RedisConfiguration.html
  connections = 52000

  mostly    = { seconds = 60, evaluated = 15, breaching = 12 }
  sometimes = { seconds = 60, evaluated = 15, breaching = 3 }

  # Alarm -> its metric and threshold, and what it says.
  rules = merge(
    local.valkey ? local.valkey_rules : local.dax_rules,
    local.serverless == null ? {} : local.serverless_rules,
    local.nodes == null ? {} : local.node_rules,
  )

  valkey_rules = {
    evictions = {
      metric    = "Evictions"
      statistic = "Sum"
      threshold = 0
      periods   = local.mostly
      effect    = "reads are slower."
      description = join(" ", [
        "The item cache evicts entries, because it is full, so more reads go to DynamoDB. ${local.room}, or set",
        "cache = false in collections that are read seldom.",
      ])
    }

    # Each execution of `read` and of `feed` has one connection.
    connections = {
      metric    = "CurrConnections"
      statistic = "Maximum"
      threshold = local.connections
      periods   = local.mostly
      effect    = "none yet."
      description = join(" ", [
        "The item cache has more than ${local.connections} connections, one for each running execution of read, and",
        "it takes 65,000. Set or lower functions.read.reserved_concurrency.",
      ])
    }

    sign-in = {
      metric    = "AuthenticationFailures"
      statistic = "Sum"
      threshold = 0
      periods   = local.sometimes
      effect    = "reads are slower."
      description = join(" ", [
        "The item cache refuses to let functions sign in, so reads go to DynamoDB. Compare the policies of read and",
        "feed (elasticache:Connect) with the cache and its users.",
      ])
    }

    sign-in-throttled = {
      metric    = "IamAuthenticationThrottling"
      statistic = "Sum"
      threshold = 0
      periods   = local.sometimes
      effect    = "some reads are slower."
      description = join(" ", [
        "ElastiCache throttles sign-ins to the item cache, because too many executions start at once. These reads go",
        "to DynamoDB. Look for what makes Lambda start so many executions of read.",
      ])
    }
  }

  serverless_rules = {
    memory = {
      metric    = "BytesUsedForCache"
      statistic = "Maximum"
      threshold = 900000000 * try(local.serverless.max_gb, 0) # 90 %
      periods   = local.mostly
      effect    = "none yet."
      description = join(" ", [
        "The item cache is filled to 90 % of cache.serverless.max_gb. When it is full, it evicts the entries that",
        "nobody has read for longest. Raise the limit, or lower cache.stale_seconds.",
      ])
    }

    ecpu = {
      metric    = "ElastiCacheProcessingUnits"
      statistic = "Sum"
      threshold = 48 * try(local.serverless.max_ecpu_per_second, 0) # 80 % of a minute
      periods   = local.mostly
      effect    = "none yet."
      description = join(" ", [
        "The item cache uses more than 80 % of cache.serverless.max_ecpu_per_second. Raise the limit before",
        "ElastiCache throttles requests.",
      ])
    }

    throttled = {
      metric    = "ThrottledCmds"
      statistic = "Sum"
      threshold = 0
      periods   = local.sometimes
      effect    = "some reads are slower."
      description = join(" ", [
        "ElastiCache throttles requests to the item cache, so these reads go to DynamoDB. The load grows faster than",
        "the cache, or it has reached cache.serverless.max_ecpu_per_second.",
      ])
    }
  }

  node_rules = {
    memory = {
      metric    = "DatabaseMemoryUsagePercentage"
      statistic = "Maximum"
      threshold = 90
      periods   = local.mostly
      effect    = "none yet."
      description = join(" ", [
        "A node of the item cache uses more than 90 % of its memory. When it is full, it evicts the entries that",
        "nobody has read for longest. Choose a larger cache.nodes.type, or lower cache.stale_seconds.",
      ])
    }

    # Valkey executes commands one by one, so one core is its limit.
    cpu = {
      metric    = "EngineCPUUtilization"
      statistic = "Average"
      threshold = 80
      periods   = local.mostly
      effect    = "reads are slower."
      description = join(" ", [
        "A node of the item cache is busy for more than 80 % of the time, so reads wait for it. Choose a larger",
        "cache.nodes.type.",
      ])
    }

    # Only replicas emit it.
    replication-lag = {
      metric    = "ReplicationLag"
      statistic = "Maximum"
      threshold = 10
      periods   = local.mostly
      effect    = "none yet."
      description = join(" ", [
        "A replica of the item cache is more than ten seconds behind the primary node. If it took over now, entries",
        "would go back to older versions for up to cache.fresh_seconds. Look at the nodes' CPU and network.",
      ])
    }
  }

  dax_rules = {
    evictions = {
      metric    = "EvictedSize"
      statistic = "Maximum"
      threshold = 0
      periods   = local.mostly
      effect    = "reads are slower."
      description = join(" ", [
        "The item cache evicts items, because it is full, so more reads go to DynamoDB. ${local.room}, or set cache",
        "= false in collections that are read seldom.",
      ])
    }

    cpu = {
      metric    = "CPUUtilization"
      statistic = "Average"
      threshold = 80
      periods   = local.mostly
      effect    = "reads are slower."
      description = join(" ", [
        "The item cache is busy for more than 80 % of the time. Raise cache.dax.nodes, or choose a larger",
        "cache.dax.node_type.",
      ])
    }

    faults = {
      metric    = "FaultRequestCount"
      statistic = "Sum"
      threshold = 0
      periods   = local.sometimes
      effect    = "some reads are slower."
      description = join(" ", [
        "The item cache fails requests, so these reads go to DynamoDB. Look at the events of the DAX cluster",
        "${local.id} and at its role.",
      ])
    }
  }
}

locals {
  namespace = local.valkey ? "AWS/ElastiCache" : "AWS/DAX"

  # ElastiCache numbers the nodes of a replication group. Each metric has a series for each node.
  node_ids = { for n in range(1, 2 + try(local.nodes.replicas, 0)) : "n${n}" => format("%s-%03d", local.cache_name, n) }

  # The dimensions of the metrics of a whole cache. AWS doesn't document that of a serverless cache. It is in the output
  # of `aws cloudwatch list-metrics`: https://github.com/open-constructs/aws-cdk-library/pull/68
  whole = local.valkey ? { clusterId = local.cache_name } : { ClusterId = local.id }

  # Alarm -> what it watches: the metric of the whole cache, or that of the node where it is greatest.
  watched = { for alarm, rule in local.rules : alarm => local.nodes == null ? {
    metric = {
      namespace   = local.namespace
      metric_name = rule.metric
      dimensions  = local.whole
      statistic   = rule.statistic
    }
    expression = null
    } : {
    metric = null
    expression = {
      id    = "greatest"
      label = "${rule.metric} of the node where it is greatest"
      text  = "MAX([${join(", ", keys(local.node_ids))}])"
      metrics = { for n, id in local.node_ids : n => {
        namespace   = local.namespace
        metric_name = rule.metric
        dimensions  = { CacheClusterId = id, CacheNodeId = "0001" }
        statistic   = rule.statistic
      } }
    }
  } }

  alarms = { for alarm, rule in local.rules : alarm => merge(local.watched[alarm], {
    name         = "cache-${alarm}"
    severity     = "ticket" # without the cache, DynamoDB serves the reads
    effect       = rule.effect
    first        = "ops/readplane status"
    description  = rule.description
    periods      = rule.periods
    threshold    = rule.threshold
    missing_data = "notBreaching"
  }) }
}

module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions
  alarms  = local.alarms
}
