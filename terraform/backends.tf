# The backends of var.backends in the form that module `region` needs, once for the primary Region and once for the
# replica Region. Each backend gets the VPC link of that Region and the full names of its OAuth scopes. A caller's token
# must contain at least one of the backend's scopes.
locals {
  backends = { for role in ["primary", "replica"] : role => { for name, backend in var.backends : name => merge(backend, {
    scopes   = distinct(flatten([for scope in backend.scopes : module.identity.scopes[scope]]))
    vpc_link = role == "primary" ? backend.vpc_link : backend.replica_vpc_link
  }) } }
}

output "backends" {
  description = <<-EOT
    Backend name -> its base URL, and whether callers need an API key (output backend_api_keys has the keys).
  EOT
  value       = { for name, backend in var.backends : name => { url = "${local.api_url}/v1/backends/${name}", api_key = backend.api_key } }
}

output "backend_api_keys" {
  description = "Backend name -> its API key, which is the same in both Regions."
  value       = module.region.backend_api_keys
  sensitive   = true
}
