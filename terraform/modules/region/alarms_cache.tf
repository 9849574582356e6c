# The alarms on what `read` sees of the item cache. Module cache has those on the cache itself. `read` emits these
# metrics only for a fault, so missing data is calm.
locals {
  cache_alarms = { for name, alarm in local.all_cache_alarms : name => alarm if var.cache != null }

  all_cache_alarms = {
    # A fault now and then is a failover or a connection that was cut. `read` then reads DynamoDB.
    cache_failing = {
      name     = "cache-failing"
      severity = "ticket"
      effect   = "reads are slower."
      first    = "aws logs tail /aws/lambda/${var.name}-read --since 1h --filter-pattern cache_failed"
      description = join(" ", [
        "Read can't use the item cache, so reads go to DynamoDB and are slower. Look for cache_failed and its",
        "error_code in /aws/lambda/${var.name}-read, and at the other alarms of the cache. Look for throttles of",
        "DynamoDB.",
      ])

      metric = {
        namespace   = "Readplane"
        metric_name = "CacheFaults"
        dimensions  = { Stack = var.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 5 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires at once, because nothing gets better by itself: the cache refuses the function's user or the command, or
    # leads to another server.
    cache_misconfigured = {
      name     = "cache-misconfigured"
      severity = "ticket"
      effect   = "reads are slower."
      first    = "aws logs tail /aws/lambda/${var.name}-read --since 1h --filter-pattern cache_failed"
      description = join(" ", [
        "The item cache refuses read: its user, its password or a command, or it is a cluster of several shards.",
        "Look for cache_failed and its error_code in /aws/lambda/${var.name}-read, and compare with the settings of",
        "the cache.",
      ])

      metric = {
        namespace   = "Readplane"
        metric_name = "CacheMisconfigured"
        dimensions  = { Stack = var.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 300, evaluated = 3, breaching = 1 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }
}
