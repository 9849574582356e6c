provider "aws" {
  region = var.region

  s3_use_path_style           = lookup(var.emulator_provider, "s3_use_path_style", false)
  skip_credentials_validation = lookup(var.emulator_provider, "skip_credentials_validation", false)
  skip_metadata_api_check     = lookup(var.emulator_provider, "skip_metadata_api_check", false)
  skip_region_validation      = lookup(var.emulator_provider, "skip_region_validation", false)

  default_tags {
    tags = local.tags
  }
}

# The provider for the replica Region. It exists even if the settings name no replica Region, because Terraform needs it
# to destroy the resources of a replica that was removed from the settings.
provider "aws" {
  alias  = "replica"
  region = coalesce(var.replica_region, var.region)

  s3_use_path_style           = lookup(var.emulator_provider, "s3_use_path_style", false)
  skip_credentials_validation = lookup(var.emulator_provider, "skip_credentials_validation", false)
  skip_metadata_api_check     = lookup(var.emulator_provider, "skip_metadata_api_check", false)
  skip_region_validation      = lookup(var.emulator_provider, "skip_region_validation", false)

  default_tags {
    tags = local.tags
  }
}

locals {
  tags = merge({ Project = "readplane", Stack = coalesce(var.name, "readplane") }, var.tags)
}
