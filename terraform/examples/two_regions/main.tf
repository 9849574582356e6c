# A stack in two Regions, both of which accept reads and writes. If one fails, clients go on with the other.
#
# To use it in a repository of your own, copy this folder, give the module's source as
# "git::https://…/readplane.git//terraform/modules/readplane?ref=<tag>", and add a backend for the state
# (terraform/backend.tf.example). docs/operate.md says how to fail over.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

locals {
  region         = "eu-central-1"
  replica_region = "eu-west-1"
}

provider "aws" {
  region = local.region
}

# Keep this provider until Terraform has destroyed the replica, which `enabled = false` below does. The steps are in
# docs/lifecycle.md. Never let this provider fall back to the primary Region.
provider "aws" {
  alias  = "replica"
  region = local.replica_region
}

variable "dist" {
  description = "Folder with the zips that `make build` creates."
  type        = string
  default     = "../../../dist"
}

module "readplane" {
  source    = "../../modules/readplane"
  providers = { aws = aws, aws.replica = aws.replica, aws.edge = aws } # without an edge, the last one isn't used

  name    = "profiles"
  region  = local.region
  replica = { region = local.replica_region }
  dist    = var.dist

  groups = ["editors"]
  collections = {
    profiles = { read = "owner" } # each user reads and writes only their own item
    news     = { read = "authenticated", write_groups = ["editors"], cache_ttl = 30 }
  }

  cache_size = "0.5" # GB of API Gateway's cache in each Region; AWS bills it by the hour
  notify     = { emails = ["operations@example.com"] }
}

output "api_urls" {
  description = "Region -> base URL of its API. Every path begins with /v1, for example /v1/items/news."
  value = {
    (local.region)         = module.readplane.api_url
    (local.replica_region) = module.readplane.replica_api_url
  }
}

output "sign_in_url" {
  description = "URL of Cognito's hosted sign-in page. The tokens open the APIs of both Regions."
  value       = module.readplane.sign_in_url
}
