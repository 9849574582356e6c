data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# Each Region has a customer managed key, because a KMS key can't be used outside its Region. The stack makes the keys,
# unless kms_keys names existing ones.
locals {
  key_regions = { for role, region in module.settings.regions : role => region
    if region != null && module.settings.keys[role] != "aws"
  }
  own_keys = { for role, key in module.settings.keys : role => key == "own" ? 1 : 0 }

  # The ARN of the key of each Region; null if AWS owns the keys.
  existing_keys   = { for role, key in module.settings.keys : role => key == "own" || key == "aws" ? null : key }
  primary_key_arn = local.own_keys.primary == 1 ? one(aws_kms_key.primary[*].arn) : local.existing_keys.primary
  replica_key_arn = local.own_keys.replica == 1 ? one(aws_kms_key.replica[*].arn) : local.existing_keys.replica

  # `primary` and `replica` -> whether the Region has a key, which is known before the stack's own key exists.
  has_key = { for role, key in module.settings.keys : role => key != "aws" }

  # `primary` and `replica` -> the same.
  key_arns = { primary = local.primary_key_arn, replica = local.replica_key_arn }

  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # The ARN of the write-log bucket, and a pattern of the log groups' ARNs, for each key's policy.
  write_log_arns = { for role, region in local.key_regions : role => join("-", [
    "arn:${local.partition}:s3:::${module.record.name}-write-log", local.account_id, region
  ]) }
  log_group_arns = { for role, region in local.key_regions : role => join(":", [
    "arn", local.partition, "logs", region, local.account_id, "log-group", "*"
  ]) }

  # The statements in the policy of each key. In a key policy, the resource "*" means the key itself. AWS offers no
  # other way to name the key. The policy of an existing key needs the same statements.
  key_policies = { for role, statements in local.key_statements : role => jsonencode({
    Version   = "2012-10-17"
    Statement = statements
  }) }
  key_statements = { for role, region in local.key_regions : role => concat([
    {
      # Lets the account's IAM policies decide who may use the key, as AWS's default key policy does. Without this
      # statement, nobody could manage the key. By itself, the statement gives nobody access, because an IAM policy
      # must allow the access too. The IAM policy of each function says which key actions the function may use, and
      # through which AWS service.
      Sid       = "AccountDecides"
      Effect    = "Allow"
      Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
      Action    = local.key_actions
      Resource  = "*"
    },
    {
      # Lets S3 send notifications of new write-log objects to the encrypted apply queue. S3 sends them as a service
      # principal, without an IAM role, so the key policy must allow it.
      Sid       = "WriteLogNotifiesQueue"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
      Resource  = "*"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = local.write_log_arns[role] }
      }
    },
    {
      # Lets CloudWatch publish alarms to the encrypted SNS topic. CloudWatch publishes them as a service principal,
      # without an IAM role, so the key policy must allow it.
      Sid       = "AlarmsPublish"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
      Resource  = "*"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${region}:${local.account_id}:alarm:*" }
      }
    },
    {
      # Lets CloudWatch Logs encrypt the log groups of this account. It does so as a service principal, without an IAM
      # role, so the key policy must allow it. It puts the log group's ARN into the encryption context, and the
      # condition checks that ARN.
      Sid       = "LogsEncrypt"
      Effect    = "Allow"
      Principal = { Service = "logs.${region}.${data.aws_partition.current.dns_suffix}" }
      Action    = local.log_key_actions
      Resource  = "*"
      Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = local.log_group_arns[role] } }
    },
  ], local.edge_key_statements) }

  # Lets CloudFront read the encrypted documents and the web client. It does so as a service principal, without an IAM
  # role. The key trusts every distribution of the account, because the ARN of the stack's own one isn't known before
  # the buckets, which need the key. The buckets' policies name that one. The ARN holds the account, so a condition on
  # aws:SourceAccount would add nothing, and AWS's example for CloudFront doesn't have one.
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
  edge_key_statements = [for statement in [{
    Sid       = "EdgeReads"
    Effect    = "Allow"
    Principal = { Service = "cloudfront.amazonaws.com" }
    Action    = ["kms:Decrypt"]
    Resource  = "*"
    Condition = { ArnLike = {
      "aws:SourceArn" = "arn:${local.partition}:cloudfront::${local.account_id}:distribution/*"
    } }
  }] : statement if local.has_edge]

  # All KMS actions that exist for a symmetric encryption key. They are listed one by one, because a wildcard would also
  # allow actions that AWS adds later.
  key_actions = [
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:CreateGrant", "kms:Decrypt", "kms:DeleteAlias",
    "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation", "kms:EnableKey", "kms:EnableKeyRotation",
    "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListKeyRotations",
    "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:RetireGrant",
    "kms:RevokeGrant", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource",
    "kms:UpdateAlias", "kms:UpdateKeyDescription",
  ]

  # The KMS actions that CloudWatch Logs needs to encrypt log groups.
  log_key_actions = [
    "kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey",
  ]
}

resource "aws_kms_key" "primary" {
  count = local.own_keys.primary

  description             = "${module.record.name}: items, write log, documents, queues, logs"
  policy                  = local.key_policies["primary"]
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "primary" {
  count = local.own_keys.primary

  name          = "alias/${module.record.name}"
  target_key_id = aws_kms_key.primary[0].id
}

resource "aws_kms_key" "replica" {
  count    = local.own_keys.replica
  provider = aws.replica

  description             = "${module.record.name}: items, write log, documents, queues, logs"
  policy                  = local.key_policies["replica"]
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "replica" {
  count    = local.own_keys.replica
  provider = aws.replica

  name          = "alias/${module.record.name}"
  target_key_id = aws_kms_key.replica[0].id
}

output "kms_key_statements" {
  description = <<-EOT
    Region -> the statements that the policy of its customer managed key contains, as JSON text. Add them to the policy
    of a key that you name in kms_keys.
  EOT
  value       = { for role, region in local.key_regions : region => jsonencode(local.key_statements[role]) }
}
