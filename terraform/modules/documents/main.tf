data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  dns_suffix = data.aws_partition.current.dns_suffix
}

module "bucket" {
  source = "../bucket"

  name          = "${var.name}-documents-${local.account_id}-${local.region}"
  kms_key_arn   = var.kms_key_arn
  force_destroy = var.force_destroy

  access_log_bucket = var.access_log_bucket

  tls_only = var.tls_only

  # The edge reads what lies below a visibility and `documents`, and nothing else.
  reader_arns     = var.reader_arns
  reader_prefixes = [for visibility in local.visibilities : "${visibility}/documents/"]

  # Old versions of documents are kept for only a day, because documents can be published again from the items.
  noncurrent_days = 1
}

locals {
  visibilities = toset(["public", "authenticated", "owner"])

  # Visibility -> the IAM policy of the role that reads its documents. Each visibility has a role of its own, so that a
  # route of a public collection can't reach an owner's document, whatever the path of a request contains. The roles
  # don't have s3:ListBucket, so S3 responds 403 instead of 404 for a missing key. The API responds 404 in both cases.
  role_policies = { for visibility in local.visibilities : visibility => jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "ReadDocuments"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${module.bucket.arn}/${visibility}/*"]
      }],
      var.kms_key_arn == null ? [] : [{
        Sid       = "DecryptDocuments"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.region}.${local.dns_suffix}"] } }
      }],
    )
  }) }

  # The trust policy of these roles has no condition on aws:SourceAccount. AWS doesn't document that API Gateway sends
  # that key when it assumes an integration's role, and a condition on a key that isn't sent would refuse every read.
  # Even without the condition, only principals with the permission iam:PassRole for one of the roles can name that role
  # in an integration.
  trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ApiGatewayReads"
      Effect    = "Allow"
      Principal = { Service = "apigateway.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }]
  })
}

resource "aws_iam_role" "reader" {
  for_each = local.visibilities

  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-documents-${each.value}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.trust_policy
}

resource "aws_iam_role_policy" "reader" {
  for_each = local.visibilities

  name   = "read-documents"
  role   = aws_iam_role.reader[each.value].id
  policy = local.role_policies[each.value]
}
