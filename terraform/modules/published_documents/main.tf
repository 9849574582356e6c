# Documents that tools and people read, as S3 objects under contract/ in a bucket of the stack.
resource "aws_s3_object" "this" {
  for_each = var.documents

  bucket       = var.bucket
  key          = "contract/${each.key}"
  content      = each.value
  content_type = "application/json"

  # S3 allows 10 tags per object, and an organisation may set more by the provider's default_tags.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}
