# The function `write` with the schema of one collection, as module region makes both. test_versions.py applies it to
# the emulator with one schema after another.
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "name" {
  description = "Name of the stack that the function belongs to."
  type        = string
}

variable "schema" {
  description = "The JSON Schema of the collection products, as JSON text; the text null means that it has none."
  type        = string
}

variable "zip" {
  description = "Path of the hot zip."
  type        = string
}

variable "client_id" {
  description = "The client whose tokens the function accepts."
  type        = string
}

provider "aws" {
  region = "us-east-1"

  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

locals {
  schemas = jsonencode({
    for collection, schema in { products = jsondecode(var.schema) } : collection => schema if schema != null
  })
}

module "bucket" {
  source = "./bucket"

  name                = "${var.name}-config"
  noncurrent_days     = 1
  noncurrent_prefixes = ["log/"]
  force_destroy       = true
  tls_only            = false
}

resource "aws_s3_object" "schemas" {
  bucket  = module.bucket.name
  key     = "config/schemas.json"
  content = local.schemas
}

module "write" {
  source = "./function"

  name     = var.name
  function = "write"
  code     = { zip = var.zip, architecture = "x86_64", layers = [] }

  settings = jsonencode({
    name            = var.name
    client_ids      = [var.client_id]
    cors_origins    = []
    delivery_stream = "${var.name}-nowhere"
    items_table     = "${var.name}-nowhere"
    collections     = { products = { read = "public", write_groups = ["editors"] } }
    schemas = {
      bucket     = module.bucket.name
      key        = aws_s3_object.schemas.key
      version_id = aws_s3_object.schemas.version_id
      sha256     = sha256(local.schemas)
    }
  })

  statements = [{
    Sid      = "ReadSchemas"
    Action   = ["s3:GetObjectVersion"]
    Resource = ["${module.bucket.arn}/config/schemas.json"]
  }]

  memory_mb            = 512
  timeout_seconds      = 15
  reserved_concurrency = null
  snap_start           = false
  kms_key_arn          = null
  log_retention_days   = 1
  alarms               = false
  alarm_actions        = { page = [], ticket = [] }
}

output "version" {
  value = module.write.version
}
