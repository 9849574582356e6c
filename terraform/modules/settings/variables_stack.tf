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
}

variable "region" {
  description = "Primary AWS Region of the stack. Only this Region polls back offices."
  type        = string
  nullable    = false
}

variable "replica_region" {
  description = "Second AWS Region, which also accepts reads and writes; null means that the stack has one Region."
  type        = string
  default     = null

  validation {
    condition     = var.replica_region != var.region
    error_message = "Choose a replica_region other than region, or null for a single Region."
  }
}

variable "customer_managed_key" {
  description = <<-EOT
    Which keys encrypt the stack's data.
    true: a customer managed KMS key in each Region. A key costs about 1 $ a month, plus requests.
    false: keys that AWS owns.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "deletion_protection" {
  description = <<-EOT
    Refuse to delete the user pool, the items table, the checkpoint table and buckets that hold objects. Set it to false
    and run `terraform apply` before you run `terraform destroy`. Do the same before you remove the last source, because
    Terraform then deletes the checkpoint table.
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
