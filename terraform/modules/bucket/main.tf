# The S3 bucket of this module. It is private, encrypted and versioned, and accepts only TLS. The stack creates all its
# buckets with this module.
resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144:Each Region has its own write log and documents; the global table connects the Regions.
  #checkov:skip=CKV2_AWS_62:Module write_log sets up notifications; nothing needs notifications of documents.

  bucket        = var.name
  force_destroy = var.force_destroy
}

# S3's log of the requests to this bucket, in a bucket of the team. S3 delivers it only to a bucket of the same account
# and Region whose default encryption is SSE-S3. That bucket's policy must allow logging.s3.amazonaws.com to put
# objects. Every bucket of the stack has a prefix of its own there.
resource "aws_s3_bucket_logging" "this" {
  count = var.access_log_bucket == null ? 0 : 1

  bucket        = aws_s3_bucket.this.id
  target_bucket = var.access_log_bucket
  target_prefix = "${var.name}/"
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
    # With a bucket key, S3 needn't call KMS for every object. Without one, the request quota of KMS would limit how
    # many objects the stack can write per second.
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

    dynamic "noncurrent_version_expiration" {
      for_each = var.noncurrent_prefixes == null ? [var.noncurrent_days] : []

      content {
        noncurrent_days = noncurrent_version_expiration.value
      }
    }

    # A delete in a versioned bucket leaves a delete marker. This rule removes old markers, because they would pile up
    # and slow listings down.
    expiration {
      expired_object_delete_marker = true
    }
  }

  # One rule for each prefix, because a rule of S3 can't leave a prefix out.
  dynamic "rule" {
    for_each = coalesce(var.noncurrent_prefixes, [])

    content {
      id     = "clean-up-${trim(replace(rule.value, "/", "-"), "-")}"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      noncurrent_version_expiration {
        noncurrent_days = var.noncurrent_days
      }
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

      # Without a size filter, S3 moves only objects of at least 128 KB. That is intended: AWS bills every move, and the
      # cheaper storage classes bill each object as at least 128 KB, so moving small objects wouldn't save money.
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

  # Versioning must be on first, because S3 refuses rules about noncurrent versions until then.
  depends_on = [aws_s3_bucket_versioning.this]
}

locals {
  # The bucket policy refuses plain HTTP for every principal. If this Deny statement exempted a principal, an IAM policy
  # elsewhere could allow that principal to use plain HTTP.
  tls_statements = [for statement in [{
    Sid       = "DenyPlainHttp"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:*"
    Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }] : statement if var.tls_only]

  # CloudFront reads as a service principal, without an IAM role. The ARN names the distribution, and with it the
  # account, so that no other distribution can read. Without s3:ListBucket, nobody can list keys at the edge. S3 then
  # answers 403 instead of 404 for a missing key.
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
  reader_statements = [for statement in [{
    Sid       = "EdgeReads"
    Effect    = "Allow"
    Principal = { Service = "cloudfront.amazonaws.com" }
    Action    = "s3:GetObject"
    Resource  = [for prefix in var.reader_prefixes : "${aws_s3_bucket.this.arn}/${prefix}*"]
    Condition = { StringEquals = { "aws:SourceArn" = var.reader_arns } }
  }] : statement if length(var.reader_arns) > 0]

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.tls_statements, local.reader_statements)
  })
}

resource "aws_s3_bucket_policy" "this" {
  count = var.tls_only || length(var.reader_arns) > 0 ? 1 : 0

  bucket = aws_s3_bucket.this.id
  policy = local.policy

  # Terraform changes the public access block first, because S3 responds 409 if the policy and the block change at the
  # same time.
  depends_on = [aws_s3_bucket_public_access_block.this]
}
