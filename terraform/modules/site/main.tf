# The web client in one Region: a bucket, the files of web/ and config.json. Only the distribution reads the bucket.
#
# Terraform writes the same files to the bucket of each Region. S3's replication would copy only new files, and a Region
# that joins later would lack the old ones.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

module "bucket" {
  source = "../bucket"

  name              = "${var.name}-site-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.name}"
  kms_key_arn       = var.kms_key_arn
  force_destroy     = var.force_destroy
  access_log_bucket = var.access_log_bucket
  tls_only          = var.tls_only
  reader_arns       = var.reader_arns

  # Old versions are kept for only a day, because Terraform can write the files again.
  noncurrent_days = 1
}

locals {
  folder = coalesce(var.folder, "${path.module}/../../../web")
  assets = fileset(local.folder, "assets/**")

  # The assets lie in a folder that is named after the hash of all of them, so browsers and the edge may keep them for a
  # year. One hash for all, because the modules import each other by relative paths: with a hash in each file's name,
  # somebody would have to rewrite the imports, and so the hashes, in the right order.
  hashes = [for name in local.assets : "${name}=${filesha256("${local.folder}/${name}")}"]
  prefix = "assets/${substr(sha256(join("\n", local.hashes)), 0, 16)}/"

  content_types = {
    css  = "text/css; charset=utf-8"
    html = "text/html; charset=utf-8"
    js   = "text/javascript; charset=utf-8"
    svg  = "image/svg+xml"
  }

  extension = { for name in local.assets : name => reverse(split(".", name))[0] }

  # The page and config.json keep their names, so a browser asks each time whether they have changed.
  revalidate = "no-cache"
  immutable  = "public, max-age=31536000, immutable"

  # The policy names the sign-in page, because the site asks it for tokens.
  policy_template         = trimspace(file("${local.folder}/content-security-policy.txt"))
  sign_in_origin          = var.sign_in_url == null ? "" : " ${var.sign_in_url}"
  content_security_policy = replace(local.policy_template, " {sign_in}", local.sign_in_origin)
}

resource "aws_s3_object" "asset" {
  for_each = local.assets

  bucket        = module.bucket.name
  key           = replace(each.value, "assets/", local.prefix)
  content       = file("${local.folder}/${each.value}")
  content_type  = local.content_types[local.extension[each.value]]
  cache_control = local.immutable

  # S3 allows 10 tags per object, and an organisation may set more by the provider's default_tags.
  override_provider {
    default_tags {
      tags = {}
    }
  }

  lifecycle {
    # The new files are there before the page names them, and the old ones go after it no longer does.
    create_before_destroy = true

    precondition {
      condition     = contains(keys(local.content_types), local.extension[each.value])
      error_message = <<-EOT
        Remove ${each.value} from the folder of the site, or add the content type of its extension to content_types in
        modules/site/main.tf. A browser doesn't use a script or a stylesheet of another type.
      EOT
    }
  }
}

resource "aws_s3_object" "config" {
  bucket        = module.bucket.name
  key           = "config.json"
  content       = local.config
  content_type  = "application/json"
  cache_control = local.revalidate

  override_provider {
    default_tags {
      tags = {}
    }
  }
}

resource "aws_s3_object" "page" {
  bucket        = module.bucket.name
  key           = "index.html"
  content       = replace(file("${local.folder}/index.html"), "assets/", local.prefix)
  content_type  = local.content_types.html
  cache_control = local.revalidate

  override_provider {
    default_tags {
      tags = {}
    }
  }

  depends_on = [aws_s3_object.asset, aws_s3_object.config]
}
