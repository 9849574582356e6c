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

# Always configured, so that a replica can be removed again: destroying its resources needs the provider they were made with.
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
