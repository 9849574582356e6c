# What the edge answers: CloudFront takes the first behaviour whose path pattern matches, in the order of this list.
#
# A document's key below its visibility is the path under which clients ask for it, and each visibility is an origin of
# its own, whose origin path is that visibility. So no function rewrites the path of a shared document. A rewrite would
# let two behaviours meet under one cache key, because CloudFront's key holds the path and not the behaviour: a request
# for the rewritten path, sent directly, would get a private document from the cache without any check.
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-the-cache-key.html
locals {
  public = sort([for name, read in var.collections : name if read == "public"])
  owner  = sort([for name, read in var.collections : name if read == "owner"])
  shared = sort([for name, read in var.collections : name if read == "authenticated"])

  public_sources  = sort([for name, read in var.sources : name if read == "public"])
  private_sources = sort([for name, read in var.sources : name if read != "public"])

  # The API decides by itself who may do what, so the edge passes everything on and keeps nothing.
  api_behaviour = {
    path            = "/v1/*"
    origin          = "api"
    visibility      = "none"
    writes          = true
    cached          = false
    passes_all      = true
    viewer_request  = false
    origin_response = false
    headers         = "api"
    plain_http      = "https-only"
    preflights      = true
  }

  # Documents that everybody may read. The function only turns S3's errors into problem documents.
  public_behaviour = merge(local.api_behaviour, {
    origin          = local.group_ids["public"]
    visibility      = "public"
    writes          = false
    cached          = true
    passes_all      = false
    origin_response = true
    headers         = "documents-public"
  })

  # Documents of owners are never cached, for two reasons: this behaviour caches nothing, and the documents themselves
  # say `private, no-cache`. The first alone would let CloudFront answer several waiting requests with one response.
  owner_behaviour = merge(local.public_behaviour, {
    origin         = local.group_ids["owner"]
    visibility     = "owner"
    cached         = false
    viewer_request = true
    headers        = "documents-private"
  })

  # Documents for every signed-in user. `edge_auth` checks each request before CloudFront looks into its cache.
  shared_behaviour = merge(local.public_behaviour, {
    origin         = local.group_ids["authenticated"]
    visibility     = "authenticated"
    viewer_request = true
    headers        = "documents-private"
  })

  # Paths that the edge doesn't serve. No key begins as the paths of this origin do, so S3 refuses every request, and
  # the function makes a 404 of that.
  nothing_behaviour = merge(local.public_behaviour, {
    origin     = "nothing"
    visibility = "none"
    headers    = "documents-private"
    cached     = false
  })

  site_behaviour = merge(local.api_behaviour, {
    path            = "*"
    origin          = var.site == null ? "nothing" : local.site_group_id
    writes          = false
    cached          = var.site != null
    passes_all      = false
    origin_response = true
    headers         = var.site == null ? "documents-private" : "site"
    plain_http      = "redirect-to-https"
    preflights      = false
  })

  served = {
    public  = var.serve.documents
    private = var.serve.documents && var.serve.sign_in
  }

  # `/documents/*` comes last. It catches every collection and source that no behaviour above names, and asks for a
  # token, so a collection that isn't declared is never open.
  behaviours = concat(
    [local.api_behaviour],
    [for name in local.public_sources : merge(local.public_behaviour, { path = "/documents/sources/${name}" })
    if local.served.public],
    [for name in local.public : merge(local.public_behaviour, { path = "/documents/${name}/*" })
    if local.served.public],
    [for name in local.owner : merge(local.owner_behaviour, { path = "/documents/${name}/*" })
    if local.served.private],
    [merge(local.served.private ? local.shared_behaviour : local.nothing_behaviour, { path = "/documents/*" })],
  )

  # CloudFront counts the default behaviour too. It also allows 100 functions in a distribution, counted once for each
  # event of each behaviour. A stack has at most 40 collections, so that it can't need more than 83.
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
  behaviour_count = length(local.behaviours) + 1
  max_behaviours  = 75
}

output "behaviours" {
  description = "The behaviours in CloudFront's order, the default one (path *) last, for tests."
  value       = concat(local.behaviours, [local.site_behaviour])
}
