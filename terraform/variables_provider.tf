# Settings of the AWS provider. Only terraform/ has them, because modules/readplane gets its providers from the module
# that calls it.

variable "tags" {
  description = "Tags of every AWS resource, in addition to the tags Project and Stack."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "allowed_account_ids" {
  description = <<-EOT
    Ids of the AWS accounts in which Terraform may plan and apply this stack. With credentials of any other account,
    Terraform stops before it reads or changes anything. Empty means every account.
  EOT
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.allowed_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "Give each of allowed_account_ids as 12 digits in quotes, because a number loses leading zeros."
  }
}

variable "emulator_provider" {
  description = <<-EOT
    Settings of the AWS provider for an emulator, under the provider's own names, each true or false. Leave them out on
    AWS.
    s3_use_path_style: name the bucket in the path, not in the host.
    skip_credentials_validation: don't ask STS whether the credentials are valid.
    skip_metadata_api_check: don't ask EC2's instance metadata for credentials.
    skip_region_validation: accept names of Regions that AWS doesn't have.
  EOT
  type        = map(bool)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.emulator_provider), local.emulator_settings)) == 0
    error_message = <<-EOT
      Set only s3_use_path_style, skip_credentials_validation, skip_metadata_api_check and skip_region_validation in
      emulator_provider.
    EOT
  }
}

locals {
  emulator_settings = [
    "s3_use_path_style", "skip_credentials_validation", "skip_metadata_api_check", "skip_region_validation",
  ]
}
