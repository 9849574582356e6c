# The edge: a CloudFront distribution that serves the documents of both Regions, the API and the web client.
locals {
  edge     = module.settings.edge
  has_edge = local.edge != null
  has_site = try(local.edge.site, false)

  # `[0].arn` waits only for that output. The splat module.edge[*].arn would wait for the whole module, which would be a
  # cycle: the settings of `edge_auth` wait for the sign-in clients, and these for the edge's address. The same holds
  # for the modules of the replica Region.
  edge_arns    = local.has_edge ? [module.edge[0].arn] : []
  own_edge_url = local.has_edge ? module.edge[0].url : null
  has_replica  = module.settings.regions.replica != null

  # An emulator serves the API and the sign-in pages below its own address, which the settings name as a part of the
  # API's URL. On AWS, all of them are null.
  emulator_parts  = "^(https?://([^/:]+)(?::([0-9]+))?)(.*)/*$"
  emulated_api    = local.emulated_url == null ? null : replace(local.emulated_url, "{api_id}", module.primary.api_id)
  emulator_url    = try(regex(local.emulator_parts, local.emulated_url)[0], null)
  emulated_origin = try(regex(local.emulator_parts, local.emulated_api), null)

  edge_api = local.emulated_origin == null ? { host = module.primary.api_host, path = "", http_port = null } : {
    host      = local.emulated_origin[1]
    path      = local.emulated_origin[3]
    http_port = tonumber(coalesce(local.emulated_origin[2], "80"))
  }

  # The edge is where the web client is, so users return there after sign-in and sign-out.
  edge_url   = module.settings.edge_base_url != null ? module.settings.edge_base_url : local.own_edge_url
  edge_pages = local.has_site ? ["${local.edge_url}/"] : []

  issuer_host = "cognito-idp.${module.settings.region}.${data.aws_partition.current.dns_suffix}"
  issuer      = "https://${local.issuer_host}/${module.identity.user_pool_id}"
  key_host    = local.emulator_url == null ? "https://${local.issuer_host}" : local.emulator_url
  key_set     = "${local.key_host}/${module.identity.user_pool_id}/.well-known/jwks.json"

  # Every signed-in user may read the freshness of a source that feeds an owner collection, because a source belongs to
  # no owner.
  edge_sources = { for name, source in module.settings.sources :
    name => module.settings.collections[source.collection].read == "public" ? "public" : "authenticated"
  }
}

# The caller passes the provider, so nothing but this check would notice one for a wrong Region.
data "aws_region" "edge" {
  count    = local.has_edge ? 1 : 0
  provider = aws.edge

  lifecycle {
    postcondition {
      condition     = self.name == "us-east-1"
      error_message = <<-EOT
        Set region of the provider that the module gets as aws.edge to us-east-1, because CloudFront takes functions,
        certificates and logs from there only.
      EOT
    }
  }
}

module "edge" {
  source    = "../edge"
  count     = local.has_edge ? 1 : 0
  providers = { aws = aws.edge }

  name         = module.record.name
  account_name = local.edge_name
  documents = {
    primary = module.primary.documents_domain_name
    replica = local.has_replica ? module.replica[0].documents_domain_name : null
  }
  serve       = { documents = local.edge.documents, sign_in = local.edge.sign_in }
  collections = { for name, collection in module.settings.live_collections : name => collection.read }
  sources     = local.edge_sources
  api         = local.edge_api
  site = !local.has_site ? null : {
    primary                 = module.site[0].bucket_regional_domain_name
    replica                 = local.has_replica ? module.replica_site[0].bucket_regional_domain_name : null
    content_security_policy = module.site[0].content_security_policy
  }
  code = {
    zip = module.settings.zips.edge_auth
    s3 = module.settings.zip_objects.edge == null ? null : {
      bucket = module.settings.zip_objects.edge.bucket
      key    = module.settings.zip_objects.edge.keys[module.settings.zips.edge_auth]
    }
  }
  republish     = module.settings.republish
  origin_secret = local.sent_secret
  web_acl_arn   = local.has_firewall ? module.firewall[0].arn : null
  pools = [{
    issuer     = local.issuer
    jwks_uri   = local.key_set
    client_ids = module.identity.client_ids
  }]
  scopes             = module.identity.scopes.read
  cors               = { origins = local.cors_origins, headers = module.settings.cors_headers }
  domain             = local.edge.domain
  price_class        = local.edge.price_class
  hsts               = local.edge.hsts
  failover           = local.edge.failover
  drill              = local.edge.drill
  access_logs        = local.edge.access_logs
  wait               = local.edge.wait
  log_retention_days = module.settings.log_retention_days
  log_key_arn        = local.edge_key_arn
  roles              = module.settings.roles
  alarms             = module.settings.alarms
  alarm_actions      = local.edge_alarm_actions
}

locals {
  site_settings = {
    sign_in_url    = local.emulator_url == null ? module.identity.sign_in_url : local.emulator_url
    scopes         = concat(["openid", "email"], [for verb in ["read", "write"] : "${module.record.name}/${verb}"])
    documents_path = try(local.edge.documents && local.edge.sign_in, false) ? "/documents" : null
    sources = { for name, source in module.settings.sources : name => {
      mode = source.mode, collection = source.collection, staleness_budget = source.staleness_budget
    } }
  }
}

# The web client, once in each Region, so that it goes on as the documents do if one Region fails.
module "site" {
  source = "../site"
  count  = local.has_site ? 1 : 0

  name              = module.record.name
  kms_key_arn       = local.primary_key_arn
  access_log_bucket = module.settings.access_log_buckets.primary
  force_destroy     = !module.settings.protected.stack
  tls_only          = !module.settings.emulator.plain_http
  reader_arns       = local.edge_arns
  sign_in_url       = local.site_settings.sign_in_url
  client_id         = module.identity.web_client_id
  scopes            = local.site_settings.scopes
  collections       = module.settings.collections
  sources           = local.site_settings.sources
  documents_path    = local.site_settings.documents_path
}

module "replica_site" {
  source    = "../site"
  count     = local.has_site && module.settings.regions.replica != null ? 1 : 0
  providers = { aws = aws.replica }

  name              = module.record.name
  kms_key_arn       = local.replica_key_arn
  access_log_bucket = module.settings.access_log_buckets.replica
  force_destroy     = !module.settings.protected.replica
  tls_only          = !module.settings.emulator.plain_http
  reader_arns       = local.edge_arns
  sign_in_url       = local.site_settings.sign_in_url
  client_id         = module.identity.web_client_id
  scopes            = local.site_settings.scopes
  collections       = module.settings.collections
  sources           = local.site_settings.sources
  documents_path    = local.site_settings.documents_path
}
