# What an AWS account needs once in each Region before its first stack: the role with which API Gateway writes logs.
# Every API of the account in the Region uses this role, so it must outlive each stack. Give it a state of its own.
#
# Apply this folder before the first stack of the account. If another team already manages the role, don't apply it.
# Ask API Gateway: `aws apigateway get-account --query cloudwatchRoleArn`.
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

provider "aws" {
  alias  = "replica"
  region = "eu-west-1"
}

module "logging" {
  source = "../../modules/account_logging"
}

# Remove this call if no stack of the account has a replica Region.
module "replica_logging" {
  source    = "../../modules/account_logging"
  providers = { aws = aws.replica }
}

output "role_arns" {
  description = "ARN of the logging role in each Region."
  value       = [module.logging.role_arn, module.replica_logging.role_arn]
}
