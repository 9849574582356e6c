# The network and the private stores of one Region, which test_private_stores.py applies to the emulator.
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

locals {
  items_arns = ["arn:aws:dynamodb:us-east-1:000000000000:table/stores-items"]
}

module "network" {
  source = "./modules/network"

  name = "stores"
  network = { create = {
    cidr                = "10.20.0.0/20"
    zones               = ["us-east-1a", "us-east-1b"]
    interface_endpoints = ["xray"]
  } }
  items              = { arns = local.items_arns, index_name = "by-owner" }
  documents_arn      = "arn:aws:s3:::stores-documents"
  kms_key_arn        = null
  log_retention_days = 30
}

module "serverless" {
  source = "./modules/cache"

  name          = "serverless"
  cache         = { serverless = { max_gb = 1, max_ecpu_per_second = 5000 } }
  network       = module.network.network
  items_arns    = local.items_arns
  kms_key_arn   = null
  alarms        = true
  alarm_actions = { page = [], ticket = [] }
}

module "nodes" {
  source = "./modules/cache"

  name          = "nodes"
  cache         = { nodes = { type = "cache.t4g.micro", replicas = 1 } }
  network       = module.network.network
  items_arns    = local.items_arns
  kms_key_arn   = null
  alarms        = true
  alarm_actions = { page = [], ticket = [] }
}

module "relational" {
  source = "./modules/relational"

  name        = "stores"
  kms_key_arn = null
  network     = module.network.network
  aurora = {
    engine_version       = "18"
    min_acu              = 0.5
    max_acu              = 4
    readers              = 2
    backup_days          = 7
    final_snapshot       = false
    performance_insights = false
    monitoring_seconds   = 60
    data_api             = true
  }
  concurrency         = { query = 20, feed = 4 }
  deletion_protection = false
  log_retention_days  = 30
  alarms              = true
  alarm_actions       = { page = [], ticket = [] }
}

output "connections" {
  value = {
    serverless = module.serverless.connection
    nodes      = module.nodes.connection
    database   = module.relational.connections
  }
}
