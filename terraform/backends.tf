# Each Region's view of the back offices: its own VPC link, and what a token must have.
locals {
  backends = { for role in ["primary", "replica"] : role => { for name, backend in var.backends : name => merge(backend, {
    scopes   = distinct(flatten([for scope in backend.scopes : module.identity.scopes[scope]]))
    vpc_link = role == "primary" ? backend.vpc_link : backend.replica_vpc_link
  }) } }
}

output "backends" {
  description = "Back office -> the URL below which it is reached, and whether it takes a key (see backend_api_keys)."
  value       = { for name, backend in var.backends : name => { url = "${local.api_url}/v1/backends/${name}", api_key = backend.api_key } }
}

output "backend_api_keys" {
  description = "Back office -> its API key, the same in both Regions."
  value       = module.region.backend_api_keys
  sensitive   = true
}
