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

# This provider is configured even without a replica. If the replica is removed from the settings, Terraform still needs
# the provider to destroy the replica's resources.
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
