# The backends in the form that module `region` needs, once for the primary Region and once for the replica Region. Each
# backend gets the VPC link of that Region and the full names of its OAuth scopes. A caller's token must contain at
# least one of the backend's scopes.
locals {
  backend_scopes = { for name, backend in module.settings.backends : name => distinct(flatten(
    [for scope in backend.scopes : module.identity.scopes[scope]]
  )) }
  backends = { for name, backend in module.settings.backends : name => merge(backend, {
    scopes = local.backend_scopes[name]
  }) }
  replica_backends = { for name, backend in local.backends : name => merge(backend, {
    vpc_link = backend.replica_vpc_link
  }) }
}
