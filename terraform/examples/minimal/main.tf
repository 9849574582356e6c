# The smallest stack: one Region and one collection, which everybody reads and the user group `editors` writes.
#
# To use it in a repository of your own, copy this folder, give the module's source as
# "git::https://…/readplane.git//terraform/modules/readplane?ref=<tag>", and add a backend for the state
# (terraform/backend.tf.example). docs/variables.md lists what else you can set.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

variable "dist" {
  description = "Folder with the zips that `make build` creates."
  type        = string
  default     = "../../../dist"
}

module "readplane" {
  source    = "../../modules/readplane"
  providers = { aws = aws, aws.replica = aws, aws.edge = aws } # without a replica and an edge, only the first is used

  name   = "notes"
  region = "eu-central-1"
  dist   = var.dist

  groups = ["editors"]
  collections = {
    notes = { read = "public", write_groups = ["editors"] }
  }
}

output "api_url" {
  description = "Base URL of the API. Every path begins with /v1, for example /v1/items/notes."
  value       = module.readplane.api_url
}

output "sign_in_url" {
  description = "URL of Cognito's hosted sign-in page."
  value       = module.readplane.sign_in_url
}
