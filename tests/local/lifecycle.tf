# A small stack with a record and a guard, which tests/local/test_lifecycle.py applies and tries to destroy. It has the
# record and the guard as modules/readplane has them, and a topic in place of everything else.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

variable "name" {
  description = "Stack name."
  type        = string
  default     = "lifecycle"
}

variable "protected" {
  description = "Refuse to be destroyed."
  type        = bool
}

variable "collections" {
  description = "Collections, as module record gets them."
  type        = map(object({ read = string, read_changes = number, retired = bool }))
  default     = { notes = { read = "public", read_changes = 0, retired = false } }
}

resource "aws_sns_topic" "this" {
  name = "${var.name}-small-stack"
}

module "record" {
  source = "./record"

  name          = var.name
  region        = "us-east-1"
  collections   = var.collections
  replica       = { region = null, enabled = false, protected = false }
  keys          = { primary = "aws", replica = null }
  user_pool     = "own"
  role_path     = "/"
  change_stream = null
  edge          = null
}

resource "aws_ssm_parameter" "record" {
  name           = module.record.parameter
  type           = "String"
  insecure_value = jsonencode({ collections = module.record.collections, keys = module.record.keys })
  depends_on     = [aws_sns_topic.this]
}

module "guard" {
  source = "./guard"

  protected  = var.protected
  message    = "This stack refuses to be destroyed. Nothing is gone."
  depends_on = [aws_ssm_parameter.record, module.record]
}
