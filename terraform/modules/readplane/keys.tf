data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# Each Region has a customer managed key of its own, because a KMS key can't be used outside its Region.
locals {
  stack_regions = { primary = module.settings.region, replica = module.settings.replica_region }
  key_regions = { for role, region in local.stack_regions : role => region
    if module.settings.customer_managed_key && region != null
  }

  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # The ARN of the write-log bucket, and a pattern of the log groups' ARNs, for each key's policy.
  write_log_arns = { for role, region in local.key_regions : role => join("-", [
    "arn:${local.partition}:s3:::${module.settings.name}-write-log", local.account_id, region
  ]) }
  log_group_arns = { for role, region in local.key_regions : role => join(":", [
    "arn", local.partition, "logs", region, local.account_id, "log-group", "*"
  ]) }

  # The policy of each key. In a key policy, the resource "*" means the key itself. AWS offers no other way to name the
  # key.
  key_policies = { for role, region in local.key_regions : role => jsonencode({
    Version = "2012-10-17"
    Statement = [
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
        Principal = { Service = "logs.${region}.amazonaws.com" }
        Action    = local.log_key_actions
        Resource  = "*"
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = local.log_group_arns[role] } }
      },
    ]
  }) }

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
  count = module.settings.customer_managed_key ? 1 : 0

  description             = "${module.settings.name}: items, write log, documents, queues, logs"
  policy                  = local.key_policies["primary"]
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "primary" {
  count = module.settings.customer_managed_key ? 1 : 0

  name          = "alias/${module.settings.name}"
  target_key_id = aws_kms_key.primary[0].id
}

resource "aws_kms_key" "replica" {
  count    = module.settings.customer_managed_key && module.settings.replica_region != null ? 1 : 0
  provider = aws.replica

  description             = "${module.settings.name}: items, write log, documents, queues, logs"
  policy                  = local.key_policies["replica"]
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "replica" {
  count    = module.settings.customer_managed_key && module.settings.replica_region != null ? 1 : 0
  provider = aws.replica

  name          = "alias/${module.settings.name}"
  target_key_id = aws_kms_key.replica[0].id
}
