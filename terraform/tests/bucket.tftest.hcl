mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name            = "readplane-write-log-111122223333-eu-central-1"
  kms_key_arn     = "arn:aws:kms:eu-central-1:111122223333:key/k"
  noncurrent_days = 30
  transitions = { "log/" = [
    { days = 30, storage_class = "STANDARD_IA" },
    { days = 90, storage_class = "GLACIER_IR" },
  ] }
  expirations   = { "tmp/" = 7 }
  force_destroy = false
  tls_only      = true
}

run "keyed_and_protected" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    expected_moves = toset([[30, "STANDARD_IA"], [90, "GLACIER_IR"]])

    expected_statement = {
      Sid       = "DenyPlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::a-bucket", "arn:aws:s3:::a-bucket/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
  }

  assert {
    condition = (
      aws_s3_bucket_public_access_block.this.block_public_policy
      && aws_s3_bucket_public_access_block.this.restrict_public_buckets
    )
    error_message = "No policy can make the bucket public."
  }

  assert {
    condition = (
      aws_s3_bucket_public_access_block.this.block_public_acls
      && aws_s3_bucket_public_access_block.this.ignore_public_acls
    )
    error_message = "No ACL can make an object public."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "The bucket has no ACLs."
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this[0].policy).Statement == [var.expected_statement]
    error_message = "Plain HTTP is refused to everybody, for the bucket and its objects."
  }

  assert {
    condition = output.encryption == {
      algorithm = "aws:kms", kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k", bucket_key = true
    }
    error_message = "The stack's key encrypts the objects, with a bucket key, which saves a KMS call per object."
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "An overwritten object can be restored."
  }

  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "Terraform doesn't delete a bucket with objects."
  }

  assert {
    condition = (
      aws_s3_bucket_lifecycle_configuration.this.rule[*].id == tolist(["clean-up", "cheaper-log", "expire-tmp"])
    )
    error_message = "Each prefix has its own rule."
  }

  assert {
    condition = (
      aws_s3_bucket_lifecycle_configuration.this.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation
      == 1
    )
    error_message = "S3 deletes incomplete uploads after a day."
  }

  assert {
    condition = (
      aws_s3_bucket_lifecycle_configuration.this.rule[0].noncurrent_version_expiration[0].noncurrent_days == 30
    )
    error_message = "S3 deletes old versions after noncurrent_days."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].expiration[0].expired_object_delete_marker
    error_message = "S3 deletes expired delete markers."
  }

  assert {
    condition = toset([
      for move in aws_s3_bucket_lifecycle_configuration.this.rule[1].transition : [move.days, move.storage_class]
    ]) == var.expected_moves
    error_message = "Objects get cheaper with age and stay readable at once."
  }
}

run "access_logs" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    access_log_bucket = "example-access-logs"
  }

  assert {
    condition = (
      aws_s3_bucket_logging.this[0].target_bucket == "example-access-logs"
      && aws_s3_bucket_logging.this[0].target_prefix == "${var.name}/"
    )
    error_message = "S3 logs requests to the team's bucket, under a prefix that no other bucket uses."
  }
}

run "access_logs_of_itself" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    access_log_bucket = "readplane-write-log-111122223333-eu-central-1"
  }

  expect_failures = [var.access_log_bucket]
}

run "unkeyed_on_an_emulator" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    kms_key_arn   = null
    force_destroy = true
    tls_only      = false
    transitions   = {}
    expirations   = {}
  }

  assert {
    condition     = output.encryption.algorithm == "AES256" && !output.encryption.bucket_key
    error_message = "Without a key, S3's own key encrypts."
  }

  assert {
    condition     = length(aws_s3_bucket_policy.this) + length(aws_s3_bucket_logging.this) == 0
    error_message = "The variables allow plain HTTP and ask for no access logs."
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy
    error_message = "The variables allow deletion."
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this.rule) == 1
    error_message = "Only the clean-up rule remains."
  }
}

run "what_s3_refuses" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    name        = "readplane-stack-with-a-long-name-write-log-111122223333-ap-southeast-2"
    transitions = { "log/" = [{ days = 90, storage_class = "DEEP_ARCHIVE" }] }
  }

  expect_failures = [var.name, var.transitions]
}

run "objects_whose_old_versions_stay" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    noncurrent_prefixes = ["log/", "stream/"]
  }

  assert {
    condition = alltrue([
      for r in aws_s3_bucket_lifecycle_configuration.this.rule :
      length(r.noncurrent_version_expiration) == 0 if !startswith(r.id, "clean-up-")
    ])
    error_message = "No rule without a prefix deletes old versions, because it would delete them everywhere."
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.filter[0].prefix
      if startswith(rule.id, "clean-up-")
    ] == ["log/", "stream/"]
    error_message = "Each prefix has a rule of its own."
  }

  assert {
    condition = flatten(
      aws_s3_bucket_lifecycle_configuration.this.rule[*].noncurrent_version_expiration
    )[*].noncurrent_days == [30, 30]
    error_message = "The rule of each prefix deletes its old versions."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].id == "clean-up"
    error_message = "The first rule cleans up everywhere."
  }

  assert {
    condition = (
      aws_s3_bucket_lifecycle_configuration.this.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 1
    )
    error_message = "Everything else is cleaned up everywhere, as before."
  }
}

run "read_by_a_distribution" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    reader_arns     = ["arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE"]
    reader_prefixes = ["public/documents/"]

    expected_reader = {
      Sid       = "EdgeReads"
      Effect    = "Allow"
      Principal = { Service = "cloudfront.amazonaws.com" }
      Action    = "s3:GetObject"
      Resource  = ["arn:aws:s3:::a-bucket/public/documents/*"]
      Condition = { StringEquals = {
        "aws:SourceArn" = ["arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE"]
      } }
    }
  }

  assert {
    condition     = strcontains(output.policy, jsonencode(var.expected_reader))
    error_message = "The distribution reads below its prefixes, and lists nothing."
  }

  assert {
    condition     = strcontains(output.policy, "DenyPlainHttp")
    error_message = "The bucket still refuses plain HTTP."
  }
}

run "read_by_a_distribution_on_an_emulator" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    tls_only    = false
    reader_arns = ["arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE"]
  }

  assert {
    condition     = length(aws_s3_bucket_policy.this) == 1 && !strcontains(output.policy, "DenyPlainHttp")
    error_message = "An emulator without TLS needs the policy for the distribution alone."
  }
}
