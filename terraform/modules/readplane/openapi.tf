# The public contract of the API. Both Regions serve the same routes, so there is one contract with a server for each.
locals {
  replica_api_urls = [for region in module.replica : (
    var.api_base_url == null ? region.api_url : replace(var.api_base_url, "{api_id}", region.api_id)
  )]
  replica_servers = [for url in local.replica_api_urls : {
    url         = "${url}/v1"
    description = "Region ${var.replica_region}"
  }]
}

module "contract" {
  source = "../contract"

  title = "${var.name} HTTP API"
  servers = concat(
    [{ url = "${local.api_url}/v1", description = "Region ${var.region}" }],
    local.replica_servers,
  )
  routes       = module.primary.route_table
  collections  = var.collections
  sources      = var.sources
  backends     = var.backends
  cors_origins = var.cors_origins
  throttle     = var.throttle
}

output "openapi" {
  description = <<-EOT
    The public contract of the API: an OpenAPI 3.1 document as JSON text, with the JSON Schemas of the collections.
  EOT
  value       = module.contract.openapi
}
