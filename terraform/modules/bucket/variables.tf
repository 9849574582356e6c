variable "name" {
  description = <<-EOT
    Name of the bucket. It ends in account id and Region, because all AWS accounts share one namespace of bucket names.
  EOT
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = <<-EOT
      S3 refuses the bucket name "${var.name}": it needs 3 to 63 lower-case letters, digits and hyphens. Shorten the
      stack's name.
    EOT
  }
}

variable "kms_key_arn" {
  description = "ARN of the customer managed key that encrypts the objects; null means S3's own key (SSE-S3)."
  type        = string
  default     = null
}

variable "noncurrent_days" {
  description = "Days for which S3 keeps overwritten and deleted versions of objects, so that a mistake can be undone."
  type        = number
}

variable "noncurrent_prefixes" {
  description = <<-EOT
    Key prefixes under which S3 deletes overwritten and deleted versions after noncurrent_days. It keeps those under all
    other prefixes. null means that it deletes them everywhere.
  EOT
  type        = list(string)
  default     = null
}

variable "transitions" {
  description = <<-EOT
    Key prefix -> cheaper storage classes, and the age in days at which S3 moves the objects under the prefix there.
    Only classes whose objects can be read at once are allowed.
  EOT
  type        = map(list(object({ days = number, storage_class = string })))
  default     = {}

  validation {
    condition = alltrue([
      for transition in flatten(values(var.transitions)) :
      contains(["STANDARD_IA", "GLACIER_IR"], transition.storage_class)
    ])
    error_message = "Use STANDARD_IA or GLACIER_IR: a replay reads old objects and can't wait for a restore."
  }
}

variable "expirations" {
  description = "Key prefix -> age in days at which S3 deletes the objects under the prefix."
  type        = map(number)
  default     = {}
}

variable "access_log_bucket" {
  description = "Name of the bucket that gets S3's log of the requests to this bucket; null means that S3 writes none."
  type        = string
  default     = null

  # S3 would log its own deliveries, and each delivery would lead to another.
  validation {
    condition     = var.access_log_bucket != var.name
    error_message = "Choose a bucket outside the stack for access logs. Each delivery would be a request to log."
  }
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete a bucket that still holds objects."
  type        = bool
}

variable "tls_only" {
  description = "Refuse plain HTTP. Set it to false only for an emulator that speaks no TLS."
  type        = bool
}

variable "reader_arns" {
  description = "ARNs of the CloudFront distributions that may read the objects. How many there are is known at plan."
  type        = list(string)
  default     = []
}

variable "reader_prefixes" {
  description = "Key prefixes under which the distributions may read."
  type        = list(string)
  default     = [""]
}
