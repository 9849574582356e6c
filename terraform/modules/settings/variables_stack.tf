# Name, Regions, encryption, retention and deletion of the stack.

variable "name" {
  description = "Stack name. It is the prefix of AWS resource names and the value of the metrics' dimension `Stack`."
  type        = string
  default     = "readplane"
  nullable    = false

  # The name can have at most 20 characters, because it is part of a bucket name, and S3 allows 63 characters there. The
  # bucket of the write log is named <name>-write-log-<account-id>-<Region>.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = <<-EOT
      Choose a name of 2 to 20 lower-case letters, digits and hyphens. It must start with a letter and must not end in a
      hyphen.
    EOT
  }

  validation {
    condition     = !anytrue([for word in ["aws", "amazon", "cognito"] : strcontains(var.name, word)])
    error_message = <<-EOT
      Choose a name without "aws", "amazon" and "cognito", because Cognito reserves these words in sign-in domains.
    EOT
  }

  # Bucket names begin with the name and a hyphen.
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
  validation {
    condition     = !anytrue([for prefix in ["xn--", "sthree-", "amzn-s3-demo-"] : startswith("${var.name}-", prefix)])
    error_message = <<-EOT
      Choose a name that doesn't begin with "xn--", "sthree" or "amzn-s3-demo", because S3 reserves these beginnings of
      bucket names.
    EOT
  }

  validation {
    condition     = var.name != "default"
    error_message = <<-EOT
      Choose another name than "default", because each account has a schedule group of EventBridge Scheduler with this
      name already.
    EOT
  }

  # The stack `shop` has the schedule groups shop, shop-daily and shop-heartbeat.
  validation {
    condition     = !can(regex("-(daily|heartbeat)$", var.name))
    error_message = <<-EOT
      Choose a name that doesn't end in "-daily" or "-heartbeat", because another stack may have a schedule group with
      this name.
    EOT
  }
}

variable "region" {
  description = "Primary AWS Region of the stack. Only this Region polls back offices, unless poll.in_replica is set."
  type        = string
  nullable    = false
}

variable "replica" {
  description = <<-EOT
    The second AWS Region, which also accepts reads and writes. Without a region ({}, null or "") the stack has one
    Region. Keep region until the replica is gone: Terraform destroys it there. docs/lifecycle.md says how to add, move
    and remove a replica.
  EOT
  type = object({
    region  = optional(string)     # the replica's Region; null or "": no replica
    enabled = optional(bool, true) # false: no replica, but Terraform can still destroy what is left in the Region
    # Refuse to delete the replica. Set it to false and run `terraform apply` before you set enabled to false. null: as
    # the variable deletion_protection.
    deletion_protection = optional(bool)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.replica.region != var.region
    error_message = "Choose a replica.region other than region, or null for a single Region."
  }
}

locals {
  # The Region that the settings name for the replica, and the Region of the replica if there is one; else null. try(),
  # because coalesce() fails if nothing is left.
  named_replica_region = try(coalesce(var.replica.region), null)
  replica_region       = var.replica.enabled ? local.named_replica_region : null

  # Whether Terraform refuses to delete the replica.
  replica_protected = local.replica_region != null && coalesce(var.replica.deletion_protection, var.deletion_protection)
}

variable "replica_region" {
  description = "Deprecated: write replica = { region = … } instead. null and \"\" are accepted and mean nothing."
  type        = string
  default     = null

  validation {
    condition     = try(coalesce(var.replica_region), null) == null
    error_message = <<-EOT
      Write replica = { region = "${coalesce(var.replica_region, "…")}" } instead of replica_region, because the
      Region of a replica must stay known until Terraform has destroyed the replica.
    EOT
  }
}

variable "customer_managed_key" {
  description = <<-EOT
    Which keys encrypt the stack's data. It can be switched on as long as there is no replica, and never off, because
    the stack's data would stay encrypted with a key that is gone.
    true: a customer managed KMS key in each Region. A key costs about 1 $ a month, plus requests.
    false: keys that AWS owns.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "kms_keys" {
  description = <<-EOT
    Customer managed keys that exist already, which the stack uses instead of making its own. Output kms_key_statements
    holds what their policies must allow. Name all keys or none.
  EOT
  type = object({
    primary = optional(string) # ARN of a key in region
    replica = optional(string) # ARN of a key in replica.region
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.kms_keys.primary == null ? true : can(regex(local.primary_kms_key, var.kms_keys.primary))
    error_message = <<-EOT
      Give kms_keys.primary as the ARN of a key in region (…:key/…, not an alias), because a key works only in its
      Region.
    EOT
  }

  validation {
    condition     = var.kms_keys.replica == null ? true : can(regex(local.replica_kms_key, var.kms_keys.replica))
    error_message = <<-EOT
      Give kms_keys.replica as the ARN of a key in replica.region (…:key/…, not an alias), because a key works
      only in its Region. Leave it out without a replica.
    EOT
  }

  validation {
    condition     = local.replica_region == null || (var.kms_keys.primary == null) == (var.kms_keys.replica == null)
    error_message = <<-EOT
      Name a key for each Region in kms_keys, or none, because DynamoDB wants keys of one kind in all replicas of a
      table.
    EOT
  }

  validation {
    condition     = var.kms_keys.primary != null || var.kms_keys.replica == null
    error_message = "Name kms_keys.primary beside kms_keys.replica, or neither."
  }

  validation {
    condition     = var.customer_managed_key || var.kms_keys.primary == null
    error_message = "Set customer_managed_key to true or leave it out, because kms_keys are customer managed keys."
  }
}

locals {
  primary_kms_key = "^arn:aws[a-z-]*:kms:${var.region}:[0-9]{12}:key/[A-Za-z0-9-]+$"
  replica_kms_key = "^arn:aws[a-z-]*:kms:${coalesce(local.named_replica_region, "none")}:[0-9]{12}:key/[A-Za-z0-9-]+$"

  # Which key encrypts the data of each Region: `aws`, `own` or the ARN of an existing key.
  default_key = var.customer_managed_key ? "own" : "aws"
  keys = {
    primary = var.kms_keys.primary == null ? local.default_key : var.kms_keys.primary
    replica = (
      local.replica_region == null ? null : var.kms_keys.replica == null ? local.default_key : var.kms_keys.replica
    )
  }
}

variable "deletion_protection" {
  description = <<-EOT
    Refuse to delete the stack. `terraform destroy` then fails before it deletes anything. Set it to false and run
    `terraform apply` before you run `terraform destroy`. The user pool, the items table, the checkpoint table and
    buckets that hold objects refuse too.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the logs of the stack."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains(local.cloudwatch_retention_days, var.log_retention_days)
    error_message = <<-EOT
      Set log_retention_days to a number of days that CloudWatch offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365,
      400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653.
    EOT
  }
}

locals {
  cloudwatch_retention_days = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
  ]
}

variable "emulator" {
  description = "What an emulator does differently from AWS. Leave it out on AWS."
  type = object({
    # The emulator speaks no TLS, so buckets, queues and backends must not refuse plain HTTP.
    plain_http = optional(bool, false)
    # The emulator stores the settings of an API method under the method's plain path. API Gateway stores them under a
    # path in which every slash is escaped.
    plain_method_paths = optional(bool, false)
  })
  default  = {}
  nullable = false
}
