# The caller passes two providers: `aws` for the primary Region and `aws.replica` for the replica Region. A stack
# without a replica needs `aws.replica` too, because Terraform uses it to destroy a replica that was removed from the
# settings.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source                = "hashicorp/aws"
      version               = "~> 5.100"
      configuration_aliases = [aws.replica]
    }
  }
}
