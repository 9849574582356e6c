# The public contract of the API. Both Regions serve the same routes, so there is one contract with a server for each.
locals {
  replica_servers = local.replica_api_url == null ? [] : [{
    url         = "${local.replica_api_url}/v1"
    description = "Region ${module.settings.regions.replica}"
  }]
  region_servers = concat(
    [{ url = "${local.api_url}/v1", description = "Region ${module.settings.region}" }],
    local.replica_servers,
  )

  # Behind a lock, clients reach the API through the edge only.
  edge_servers = [{ url = "${coalesce(local.edge_url, "https://")}/v1", description = "CloudFront" }]
}

module "contract" {
  source = "../contract"

  title        = "${module.record.name} HTTP API"
  servers      = local.lock == "none" ? local.region_servers : local.edge_servers
  routes       = module.primary.route_table
  collections  = module.settings.live_collections
  sources      = module.settings.sources
  backends     = module.settings.backends
  cors_origins = local.cors_origins
  throttle     = module.settings.throttle

  # The client of DynamoDB Accelerator doesn't say what its cache did.
  cached_collections = local.cache_engine == "valkey" ? module.settings.cached_collections : []
}

output "openapi" {
  description = <<-EOT
    The public contract of the API: an OpenAPI 3.1 document as JSON text, with the JSON Schemas of the collections.
  EOT
  value       = module.contract.openapi
}
