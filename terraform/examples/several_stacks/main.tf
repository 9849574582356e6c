# Two stacks from one call of the module, for example one for each brand of a shop. They share the account, the
# providers and the organisation's rules, and nothing else: each has its own API, users, items and buckets.
#
# To use it in a repository of your own, copy this folder, give the module's source as
# "git::https://…/readplane.git//terraform/modules/readplane?ref=<tag>", and add a backend for the state
# (terraform/backend.tf.example). One state holds all stacks of the call. Stacks that different people apply, or that
# must not fail together, belong in roots of their own.
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

  # Stack name -> what is its own. A name is a part of every resource's name, so two stacks never share one.
  stacks = {
    blue  = { domain = "api.blue.example.com", certificate = var.certificate_arns["blue"] }
    green = { domain = "api.green.example.com", certificate = var.certificate_arns["green"] }
  }
}

provider "aws" {
  region              = local.region
  allowed_account_ids = var.allowed_account_ids

  default_tags {
    tags = { Project = "readplane" }
  }
}

provider "aws" {
  alias               = "replica"
  region              = local.replica_region
  allowed_account_ids = var.allowed_account_ids

  default_tags {
    tags = { Project = "readplane" }
  }
}

variable "dist" {
  description = "Folder with the zips that `make build` creates."
  type        = string
  default     = "../../../dist"
}

variable "allowed_account_ids" {
  description = "Ids of the AWS accounts in which Terraform may apply these stacks."
  type        = list(string)
}

variable "certificate_arns" {
  description = "Stack name -> ARN of the certificate of its domain name, in the primary Region."
  type        = map(string)
}

module "readplane" {
  source    = "../../modules/readplane"
  for_each  = local.stacks
  providers = { aws = aws, aws.replica = aws.replica, aws.edge = aws } # every stack of a call gets the same providers

  name   = each.key
  region = local.region
  dist   = var.dist

  collections = {
    products = { read = "public", write_groups = ["editors"] }
  }
  groups = ["editors"]

  roles              = { path = "/readplane/" }
  access_log_buckets = { primary = "example-access-logs" }

  domains = { primary = {
    name            = each.value.domain
    certificate_arn = each.value.certificate
  } }
}

output "api_urls" {
  description = "Stack name -> base URL of its API."
  value       = { for name, stack in module.readplane : name => stack.api_url }
}

output "dns" {
  description = "Stack name -> its domain name, and the target of the DNS record that you create for it."
  value       = { for name, stack in module.readplane : name => stack.primary.api.domain }
}
