data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

module "bucket" {
  source = "../bucket"

  name          = "${var.name}-documents-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.name}"
  kms_key_arn   = var.kms_key_arn
  force_destroy = var.force_destroy
  tls_only      = var.tls_only

  # Documents are made from the items and can be made again: old versions only help to undo a mistake.
  noncurrent_days = 1
}

locals {
  visibilities = toset(["public", "authenticated", "owner"])

  # One role per visibility: a route of a public collection can't reach an owner's document, whatever its path parameter says.
  # No s3:ListBucket: with it S3 would tell a missing key from a forbidden one (404 instead of 403); the API answers 404 to both.
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
        Condition = { StringEquals = { "kms:ViaService" = ["s3.${data.aws_region.current.name}.amazonaws.com"] } }
      }],
    )
  }) }

  # Without aws:SourceAccount: AWS doesn't document that API Gateway sends it when it takes an integration's role, and a condition on what
  # isn't sent would refuse every document. iam:PassRole, checked when an integration names the role, keeps other principals from using it.
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

  # Roles aren't regional: the name says whose it is.
  name               = "${var.name}-${data.aws_region.current.name}-documents-${each.value}"
  assume_role_policy = local.trust_policy
}

resource "aws_iam_role_policy" "reader" {
  for_each = local.visibilities

  name   = "read-documents"
  role   = aws_iam_role.reader[each.value].id
  policy = local.role_policies[each.value]
}
