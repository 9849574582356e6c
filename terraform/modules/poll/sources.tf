# The settings of the sources, and the JSON Schemas of the collections that they feed, as an S3 object that `poll` reads
# when it starts. The schemas of all other collections are in another object, which `write` reads (module region).
#
# No event holds settings: an event only names a source. So whoever may invoke `poll` can't choose where `poll` sends a
# secret. The settings of `poll` name the version of the object, so a change of a source makes Terraform publish a new
# version of `poll`. Module function invokes that version and asks it for every problem with the sources, before the
# alias `live` moves to it. The schedules always invoke the alias, so they don't change.
#
# A poll that runs while the alias moves goes on with its old settings. It holds the source's lease, so the new version
# polls the source only after it. An older version of `poll` still reads its own sources, because the bucket keeps every
# version of the objects under config/.
locals {
  config = jsonencode({
    sources = { for name, source in var.sources : name => jsondecode(source.settings) }
    schemas = {
      for c, collection in var.collections : c => jsondecode(collection.schema) if collection.schema != null
    }
  })
}

resource "aws_s3_object" "sources" {
  bucket       = var.log_bucket.name
  key          = "config/sources.json"
  content      = local.config
  content_type = "application/json"

  # The bucket's default encryption applies, as for the schemas of `write` (modules/region/functions.tf).

  # S3 allows 10 tags per object, and the provider's default_tags may be more.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}

# Before, the schemas had an object of their own, config/poll-schemas/<hash>.json. Terraform forgets the last of them
# and leaves it in the bucket, because the versions of `poll` from that time read it. It can be deleted with them.
removed {
  from = aws_s3_object.schemas

  lifecycle {
    destroy = false
  }
}

# Before, this module had the check of the sources, which now stands in module function. Nothing of it exists in AWS.
removed {
  from = aws_lambda_invocation.validate

  lifecycle {
    destroy = false
  }
}
