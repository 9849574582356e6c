# The stack that the tests apply to LocalStack. It uses only Readplane's modules for documents and for the API.
# LocalStack 4.14.0 lacks Cognito, WAF, CloudFront and Lambda, so the stack leaves them out.
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
  description = "Name of the stack. Every test run uses another name, so that runs can share one LocalStack."
  type        = string
}

variable "back_office" {
  description = "URL of the back office that the backends call."
  type        = string
}

variable "api_key" {
  description = "Value of the API key that the backend \"keyed\" requires."
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

  # Allow plain HTTP, because the tests and LocalStack's API Gateway call LocalStack's S3 over plain HTTP.
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

  # This user pool doesn't exist. LocalStack 4.14.0 checks no tokens, so it never looks for the pool, and no request has
  # a caller. The tests check that a request without a caller reaches no owner document.
  user_pool_arn = "arn:aws:cognito-idp:eu-central-1:000000000000:userpool/eu-central-1_none"

  routes = {
    "GET /health" = { fixed = { status = 200, body = jsonencode({ status = "ok" }) } }
    "GET /documents/products/{item_id}" = {
      document = { key = "public/documents/products/{item_id}", role_arn = module.documents.role_arns["public"] }
      reads    = ["path.item_id"]
    }
    "GET /documents/sources/shop" = {
      document = { key = "public/documents/sources/shop", role_arn = module.documents.role_arns["public"] }
    }
    # In a real stack this route requires scopes. Here it requires none, so that the tests can read its documents.
    "GET /documents/staff/{item_id}" = {
      document = {
        key      = "authenticated/documents/staff/{item_id}"
        role_arn = module.documents.role_arns["authenticated"]
      }
      reads = ["path.item_id"]
    }
    "GET /documents/profiles/{item_id}" = {
      document   = { key = "owner/documents/profiles/{sub}/{item_id}", role_arn = module.documents.role_arns["owner"] }
      scopes     = ["aws.cognito.signin.user.admin"]
      per_caller = true
      reads      = ["path.item_id"]
    }
    # In a real stack a Lambda authorizer can protect a backend. LocalStack 4.14.0 has no Lambda, so the routes of the
    # backend `keyed` require scopes instead. The tests check only what API Gateway itself does with a request.
    "GET /backends/keyed/{proxy+}"  = merge(local.keyed, { api_key = true })
    "POST /backends/keyed/{proxy+}" = merge(local.keyed, { api_key = true })
    "GET /backends/named/{proxy+}" = merge(local.keyed, {
      backend = merge(local.keyed.backend, {
        name            = "named"
        forward_headers = ["Authorization", "cookie", "X-API-KEY"]
      })
    })
    # LocalStack caches nothing. The tests check what reaches the back office, and what API Gateway makes of its
    # response.
    "GET /backends/cached/{proxy+}" = merge(local.keyed, {
      backend = merge(local.keyed.backend, { name = "cached" })
      reads   = ["querystring.page"]
      cache   = { ttl = 60, key = ["path.proxy", "querystring.page"] }
    })
    "GET /backends/gone/{proxy+}" = merge(local.keyed, {
      backend = merge(local.keyed.backend, { name = "gone", url = "http://localhost:1" })
    })
  }

  usage_plans = { keyed = {
    key_ids  = { first = aws_api_gateway_api_key.this.id }
    throttle = { rate = 100, burst = 100 }
  } }

  cors_origins       = ["https://app.example.com"]
  cors_headers       = ["traceparent"]
  cache_size         = "0.5"
  throttle           = { rate = 1000, burst = 1000 }
  log_retention_days = 1
}

output "api_id" {
  description = "Id of the API Gateway REST API."
  value       = module.api.id
}

output "stage" {
  description = "Name of the API's stage."
  value       = module.api.stage_name
}

output "documents_bucket" {
  description = "Name of the S3 bucket that holds the documents."
  value       = module.documents.bucket
}
