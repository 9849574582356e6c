# The product's modules for documents and the API. LocalStack 4.14.0 lacks Cognito, WAF, CloudFront and Lambda, so the
# stack leaves them out.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "name" {
  description = "Name of the stack. Every run has its own, so runs against the same LocalStack don't collide."
  type        = string
}

variable "back_office" {
  description = "URL of the back office behind the backends."
  type        = string
}

variable "api_key" {
  description = "Value of the API key for the backend named keyed."
  type        = string
}

provider "aws" {
  region                      = "eu-central-1"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

module "documents" {
  source = "../../../terraform/modules/documents"

  name          = var.name
  kms_key_arn   = null
  force_destroy = true

  # Everything calls LocalStack over plain HTTP, even its own API Gateway.
  tls_only = false
}

locals {
  keyed = {
    backend = { name = "keyed", url = "${var.back_office}/base", timeout_ms = 1500, forward_headers = [] }
    scopes  = ["aws.cognito.signin.user.admin"]
  }
}

resource "aws_api_gateway_api_key" "this" {
  name  = var.name
  value = var.api_key
}

module "api" {
  source = "../../../terraform/modules/api"

  name             = var.name
  documents_bucket = module.documents.bucket

  # This pool doesn't exist, and LocalStack 4.14.0 checks no tokens. So a request to the owner route has no caller. The
  # tests check that such a request reaches no document.
  user_pool_arn = "arn:aws:cognito-idp:eu-central-1:000000000000:userpool/eu-central-1_none"

  routes = {
    "GET /health" = { fixed = { status = 200, body = jsonencode({ status = "ok" }) } }
    "GET /documents/products/{item_id}" = {
      document = { key = "public/products/{item_id}.json", role_arn = module.documents.role_arns["public"] }
      reads    = ["path.item_id"]
    }
    "GET /documents/sources/shop" = { document = { key = "public/sources/shop.json", role_arn = module.documents.role_arns["public"] } }
    # In the product this route requires scopes. It has none here, so that the tests can read its documents.
    "GET /documents/staff/{item_id}" = {
      document = { key = "authenticated/staff/{item_id}.json", role_arn = module.documents.role_arns["authenticated"] }
      reads    = ["path.item_id"]
    }
    "GET /documents/profiles/{item_id}" = {
      document   = { key = "owner/profiles/{sub}/{item_id}.json", role_arn = module.documents.role_arns["owner"] }
      scopes     = ["aws.cognito.signin.user.admin"]
      per_caller = true
      reads      = ["path.item_id"]
    }
    # LocalStack 4.14.0 has no Lambda, so these routes have scopes in the place of a Lambda authorizer. The tests check
    # only what API Gateway does.
    "GET /backends/keyed/{proxy+}"  = merge(local.keyed, { api_key = true })
    "POST /backends/keyed/{proxy+}" = merge(local.keyed, { api_key = true })
    "GET /backends/named/{proxy+}" = merge(local.keyed, {
      backend = merge(local.keyed.backend, { name = "named", forward_headers = ["Authorization", "cookie", "X-API-KEY"] })
    })
    "GET /backends/gone/{proxy+}" = merge(local.keyed, { backend = merge(local.keyed.backend, { name = "gone", url = "http://localhost:1" }) })
  }

  usage_plans = { keyed = { key_id = aws_api_gateway_api_key.this.id, throttle = { rate = 100, burst = 100 } } }

  cors_origins       = ["https://app.example.com"]
  throttle           = { rate = 1000, burst = 1000 }
  log_retention_days = 1
}

output "api_id" {
  description = "Id of the REST API."
  value       = module.api.id
}

output "stage" {
  description = "Name of the stage."
  value       = module.api.stage_name
}

output "documents_bucket" {
  description = "Name of the documents bucket."
  value       = module.documents.bucket
}
