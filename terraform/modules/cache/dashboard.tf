# The cache's row of the dashboard in module monitoring.
locals {
  elasticache_widgets = { for name in [
    "CacheHits", "CacheMisses", "Evictions", "CurrConnections", "ElastiCacheProcessingUnits",
    "EngineCPUUtilization",
  ] : name => [for dimensions in values(local.elasticache_dimensions) : concat(["AWS/ElastiCache", name], dimensions)] }

  elasticache_dimensions = local.serverless != null ? { cache = ["clusterId", local.cache_name] } : {
    for n, id in local.node_ids : n => ["CacheClusterId", id, "CacheNodeId", "0001"]
  }

  dax_widgets = { for name in [
    "ItemCacheHits", "ItemCacheMisses", "EvictedSize", "CPUUtilization", "ClientConnections",
  ] : name => ["AWS/DAX", name, "ClusterId", local.id] }

  valkey_row = [
    {
      title   = "cache: hits and misses"
      metrics = concat(local.elasticache_widgets["CacheHits"], local.elasticache_widgets["CacheMisses"])
      stat    = "Sum"
    },
    { title = "cache: evictions", metrics = local.elasticache_widgets["Evictions"], stat = "Sum" },
    { title = "cache: connections", metrics = local.elasticache_widgets["CurrConnections"], stat = "Maximum" },
    local.serverless != null ? {
      title   = "cache: ECPUs"
      metrics = local.elasticache_widgets["ElastiCacheProcessingUnits"]
      stat    = "Sum"
      } : {
      title   = "cache: CPU in per cent"
      metrics = local.elasticache_widgets["EngineCPUUtilization"]
      stat    = "Average"
    },
  ]

  dax_row = [
    {
      title   = "cache: hits and misses"
      metrics = [local.dax_widgets["ItemCacheHits"], local.dax_widgets["ItemCacheMisses"]]
      stat    = "Sum"
    },
    { title = "cache: bytes evicted", metrics = [local.dax_widgets["EvictedSize"]], stat = "Maximum" },
    { title = "cache: connections", metrics = [local.dax_widgets["ClientConnections"]], stat = "Maximum" },
    { title = "cache: CPU in per cent", metrics = [local.dax_widgets["CPUUtilization"]], stat = "Average" },
  ]

  widgets = local.valkey ? local.valkey_row : local.dax_row
}
