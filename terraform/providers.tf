provider "aws" {
  region = var.region

  allowed_account_ids = var.allowed_account_ids

  s3_use_path_style           = lookup(var.emulator_provider, "s3_use_path_style", false)
  skip_credentials_validation = lookup(var.emulator_provider, "skip_credentials_validation", false)
  skip_metadata_api_check     = lookup(var.emulator_provider, "skip_metadata_api_check", false)
  skip_region_validation      = lookup(var.emulator_provider, "skip_region_validation", false)

  default_tags {
    tags = local.tags
  }
}

# The provider for the replica Region. Terraform needs it to destroy a replica that is enabled no longer. Without a
# Region for the replica, it is a provider for some other Region, never for the primary one. With the primary Region,
# Terraform would look there for a replica that is still in the state, and destroy primary resources of the same names.
provider "aws" {
  alias  = "replica"
  region = local.replica_region

  allowed_account_ids = var.allowed_account_ids

  s3_use_path_style           = lookup(var.emulator_provider, "s3_use_path_style", false)
  skip_credentials_validation = lookup(var.emulator_provider, "skip_credentials_validation", false)
  skip_metadata_api_check     = lookup(var.emulator_provider, "skip_metadata_api_check", false)
  skip_region_validation      = lookup(var.emulator_provider, "skip_region_validation", false)

  default_tags {
    tags = local.tags
  }
}

# The provider for the edge. CloudFront takes functions and certificates, and delivers logs, from us-east-1 only.
# Like the provider for the replica, it is here without an edge too, because Terraform needs it to destroy one.
provider "aws" {
  alias  = "edge"
  region = local.edge_region

  allowed_account_ids = var.allowed_account_ids

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

locals {
  # The other partitions have no us-east-1, and the variable edge is refused there.
  edge_region = local.partition == "aws" ? "us-east-1" : var.region

  replica_region = coalesce(try(var.replica.region, null), try(local.other_region[0], null), var.region)

  # A Region of the same partition, other than the primary one. Accounts needn't opt in to it.
  pairs = {
    aws    = ["us-east-1", "us-west-2"]
    cn     = ["cn-north-1", "cn-northwest-1"]
    us-gov = ["us-gov-west-1", "us-gov-east-1"]
  }
  prefix       = join("-", slice(split("-", var.region), 0, max(length(split("-", var.region)) - 2, 0)))
  partition    = contains(["cn", "us-gov"], local.prefix) ? local.prefix : length(local.prefix) == 2 ? "aws" : "other"
  other_region = [for region in lookup(local.pairs, local.partition, []) : region if region != var.region]
}
