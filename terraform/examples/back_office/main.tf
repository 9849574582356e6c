# A stack in front of a back office: `poll` reads its products every minute, so that clients never wait for it, and
# clients call the rest of it through the API with an API key.
#
# The back office's access token is in Secrets Manager, in the stack's Region. Terraform sees only the secret's ARN. To
# use the example in a repository of your own, copy this folder, give the module's source as
# "git::https://…/readplane.git//terraform/modules/readplane?ref=<tag>", and add a backend for the state
# (terraform/backend.tf.example). docs/poll.md explains the settings of a source.
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

variable "token_arn" {
  description = "ARN of the Secrets Manager secret with the back office's access token."
  type        = string
}

module "readplane" {
  source    = "../../modules/readplane"
  providers = { aws = aws, aws.replica = aws, aws.edge = aws } # without a replica and an edge, only the first is used

  name   = "shop"
  region = "eu-central-1"
  dist   = var.dist

  collections = {
    # Fed by the source below, so it has no write_groups.
    products = {
      read   = "public"
      schema = <<-JSON
        {
          "type": "object",
          "required": ["name", "price"],
          "properties": {
            "name": { "type": "string", "minLength": 1 },
            "price": { "type": "number", "minimum": 0 }
          }
        }
      JSON
    }
  }

  sources = {
    products = {
      mode             = "changes"
      collection       = "products"
      schedule         = "rate(1 minute)"
      staleness_budget = 180 # seconds; if the data is older, responses say so and an alarm fires

      # {cursor} becomes the time from which `poll` asks for changes.
      url    = "https://erp.example.com/api/products?changed_since={cursor}&sort=changed"
      secret = { arn = var.token_arn, header = "Authorization", format = "Bearer {secret}" }

      # JMESPath expressions, for a response like {"rows": [{"sku": …, "changed": …, …}], "next_url": …}.
      records     = "rows"
      id          = "sku"
      version     = { expression = "changed", format = "rfc3339" }
      deleted     = "status == 'deleted'"
      translation = "{name: title, price: price}"
      paging      = { style = "link", next = "next_url" }
    }
  }

  backends = {
    # Clients call https://…/v1/backends/erp/<path> with the header X-Api-Key.
    erp = {
      url      = "https://erp.example.com/api"
      methods  = ["GET", "POST"]
      throttle = { rate = 5, burst = 10 }
      quota    = { limit = 10000 }
    }
  }

  notify = { emails = ["operations@example.com"] }
}

output "api_url" {
  description = "Base URL of the API. Every path begins with /v1, for example /v1/items/products."
  value       = module.readplane.api_url
}

output "backends" {
  description = "Backend name -> its base URL, and whether callers need an API key."
  value       = module.readplane.backends
}

output "backend_api_keys" {
  description = "Backend name -> its API key. `terraform output -json backend_api_keys` prints it."
  value       = module.readplane.backend_api_keys
  sensitive   = true
}
