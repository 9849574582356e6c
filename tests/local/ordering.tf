# An API before and after changes that depend on the order in which Terraform carries them out. test_ordering.py applies
# both to the emulator.
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "changed" {
  description = "Whether to declare the API after the changes."
  type        = bool
}

variable "user_pool_arn" {
  description = "ARN of a user pool, for the route that needs a token after the changes."
  type        = string
}

provider "aws" {
  region = "us-east-1"

  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

locals {
  routes = {
    before = {
      "GET /kept"                = { fixed = { status = 200, body = "{}" } }
      "GET /removed"             = { fixed = { status = 200, body = "{}" } }
      "GET /other-integration"   = { fixed = { status = 200, body = "{}" } }
      "GET /documents/{item_id}" = { document = { key = "public/{item_id}.json", role_arn = local.roles.public } }
      "GET /backends/private/{proxy+}" = {
        backend = {
          name            = "private"
          url             = "http://private.internal"
          timeout_ms      = 50
          forward_headers = []
          vpc_link_id     = one(aws_api_gateway_vpc_link.private[*].id)
        }
      }
    }

    after = {
      "GET /kept"              = { fixed = { status = 200, body = "{}" } }
      "GET /added"             = { fixed = { status = 200, body = "{}" } }
      "GET /other-integration" = { document = { key = "public/one.json", role_arn = local.roles.public } }
      "GET /documents/{item_id}" = {
        document = { key = "authenticated/{item_id}.json", role_arn = local.roles.authenticated }
        scopes   = ["readplane/read"]
      }
    }
  }

  roles = {
    public        = "arn:aws:iam::000000000000:role/ordering-public"
    authenticated = "arn:aws:iam::000000000000:role/ordering-authenticated"
  }
}

resource "aws_api_gateway_vpc_link" "private" {
  count = var.changed ? 0 : 1

  name        = "ordering"
  target_arns = ["arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/private/0123456789abcdef"]
}

module "api" {
  source = "./api"

  name                = "ordering"
  user_pool_arn       = var.user_pool_arn
  documents_bucket    = "ordering"
  routes              = local.routes[var.changed ? "after" : "before"]
  throttle            = { rate = 100, burst = 100 }
  log_retention_days  = 1
  escape_method_paths = false
}

output "api_id" {
  value = module.api.id
}

output "vpc_link_id" {
  value = one(aws_api_gateway_vpc_link.private[*].id)
}
