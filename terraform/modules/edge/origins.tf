# Where the edge gets what it serves: the documents of each visibility and the web client from S3, the rest from the
# API.
locals {
  roles = var.documents.replica == null ? ["primary"] : ["primary", "replica"]

  # The visibilities whose documents the edge serves.
  visibilities = concat(
    [for visibility in ["public"] : visibility if local.served.public],
    [for visibility in ["authenticated", "owner"] : visibility if local.served.private],
  )

  # During a drill, the primary Region's buckets have a name that no DNS server knows (RFC 6761). CloudFront answers 502
  # itself then, for which it asks the replica. A deny in the bucket's policy would give 403, for which it doesn't.
  # CloudFront takes such a name only for an origin that isn't a bucket.
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/http-502-bad-gateway.html
  lost_roles = var.drill == null ? [] : ["primary"]
  lost_host  = "primary.drill.invalid"

  document_origins = flatten([for visibility in local.visibilities : [for role in local.roles : {
    id   = "documents-${visibility}-${role}"
    host = contains(local.lost_roles, role) ? local.lost_host : var.documents[role]
    path = "/${visibility}"
  }]])

  # No replica takes over here, so it stays reachable during a drill.
  nothing_origin = { id = "nothing", host = var.documents.primary, path = "/nothing" }

  site_roles = var.site == null ? [] : [for role in local.roles : role if var.site[role] != null]
  site_origins = [for role in local.site_roles : {
    id   = "site-${role}"
    host = contains(local.lost_roles, role) ? local.lost_host : var.site[role]
    path = ""
  }]

  bucket_origins = concat(local.document_origins, [local.nothing_origin], local.site_origins)

  # The primary Region gets a short time to answer if the replica can answer instead.
  has_replica = length(local.roles) > 1
  connection  = local.has_replica ? var.failover : { attempts = 3, timeout = 10 } # without one, CloudFront's defaults

  # What a behaviour names: the group of both Regions, or without a replica the only origin.
  group_ids = { for visibility in ["public", "authenticated", "owner"] :
    visibility => local.has_replica ? "documents-${visibility}" : "documents-${visibility}-primary"
  }
  site_group_id = length(local.site_roles) > 1 ? "site" : "site-primary"

  document_groups = local.has_replica ? { for visibility in local.visibilities :
    "documents-${visibility}" => [for role in local.roles : "documents-${visibility}-${role}"]
  } : {}
  site_groups = length(local.site_roles) > 1 ? { site = local.site_origins[*].id } : {}

  # Group -> its origins, the primary Region's first.
  groups = merge(local.document_groups, local.site_groups)

  # The answers for which CloudFront asks the replica. A 403 or 404 isn't among them, because that is what S3 says of a
  # missing document, and a replica that lags behind would bring deleted documents back.
  failover_statuses = [500, 502, 503, 504]
}

# CloudFront signs every request to a bucket, and drops a client's own header Authorization.
resource "aws_cloudfront_origin_access_control" "this" {
  name                              = "${var.account_name}-edge"
  description                       = "The edge of ${var.name} reads its buckets"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# Every plan and apply says that a drill is on, so that nobody forgets to end it.
check "drill" {
  assert {
    condition     = var.drill == null
    error_message = "A drill is on: the edge serves from the replica Region only. Remove edge.drill to end it."
  }
}
