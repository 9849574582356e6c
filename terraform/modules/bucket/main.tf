# The module for every bucket of the stack. Its buckets are private, accept only TLS, and are encrypted and versioned.
resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144:Each Region has its own write log and documents; the global table connects the Regions.
  #checkov:skip=CKV2_AWS_62:Module write_log sets up notifications; nothing needs notifications of documents.
  #checkov:skip=CKV_AWS_18:Access logs are the account's decision; CloudTrail data events can record access as well.

  bucket        = var.name
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    # A bucket key saves a KMS call per object. Without it, the key's request quota would limit the write rate.
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "clean-up"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    # A delete in a versioned bucket leaves a delete marker. Without this rule, markers would pile up and slow listings
    # down.
    expiration {
      expired_object_delete_marker = true
    }
  }

  dynamic "rule" {
    for_each = var.transitions

    content {
      id     = "cheaper-${trim(replace(rule.key, "/", "-"), "-")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      # S3 doesn't move objects below 128 KB unless a size filter allows it. No filter does so here, because AWS bills
      # every move, and the cheaper classes bill each object as at least 128 KB.
      dynamic "transition" {
        for_each = rule.value

        content {
          days          = transition.value.days
          storage_class = transition.value.storage_class
        }
      }
    }
  }

  dynamic "rule" {
    for_each = var.expirations

    content {
      id     = "expire-${trim(replace(rule.key, "/", "-"), "-")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      expiration {
        days = rule.value
      }
    }
  }

  # S3 refuses rules about noncurrent versions until versioning is on.
  depends_on = [aws_s3_bucket_versioning.this]
}

locals {
  # The Deny applies to everybody, because an IAM policy elsewhere could allow plain HTTP to any principal that it left
  # out.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DenyPlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_s3_bucket_policy" "this" {
  count = var.tls_only ? 1 : 0

  bucket = aws_s3_bucket.this.id
  policy = local.policy

  # S3 responds 409 if the policy and the public access block are changed at the same time.
  depends_on = [aws_s3_bucket_public_access_block.this]
}
