provider "aws" {
  region = var.region

  s3_use_path_style           = var.emulator.s3_use_path_style
  skip_credentials_validation = var.emulator.skip_credentials_validation
  skip_metadata_api_check     = var.emulator.skip_metadata_api_check
  skip_region_validation      = var.emulator.skip_region_validation

  default_tags {
    tags = local.tags
  }
}

# The provider for the replica Region. It exists even if the settings name no replica Region, because Terraform needs it
# to destroy the resources of a replica that was removed from the settings.
provider "aws" {
  alias  = "replica"
  region = coalesce(var.replica_region, var.region)

  s3_use_path_style           = var.emulator.s3_use_path_style
  skip_credentials_validation = var.emulator.skip_credentials_validation
  skip_metadata_api_check     = var.emulator.skip_metadata_api_check
  skip_region_validation      = var.emulator.skip_region_validation

  default_tags {
    tags = local.tags
  }
}

locals {
  tags = merge({ Project = "readplane", Stack = var.name }, var.tags)
}
