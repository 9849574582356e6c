# Credentials with which users of the mobile client read their own documents straight from S3, in both Regions.
locals {
  has_identity_pool = module.settings.identity_pool

  own_buckets = merge(
    { primary = module.primary.documents },
    { for region in module.replica : "replica" => region.documents },
  )
}

module "identity_pool" {
  source = "../identity_pool"
  count  = local.has_identity_pool ? 1 : 0

  name        = module.record.name
  issuer      = local.issuer
  client_id   = module.identity.mobile_client_id
  documents   = local.own_buckets
  collections = toset([for name, collection in module.settings.live_collections : name if collection.read == "owner"])
  roles       = module.settings.roles
}

output "identity_pool_id" {
  description = "Id of the Cognito identity pool; null without one."
  value       = one(module.identity_pool[*].id)
}
