# The caller passes three providers: `aws` for the primary Region, `aws.replica` for the replica Region and `aws.edge`
# for us-east-1, where CloudFront keeps what belongs to a distribution. A stack without a replica needs `aws.replica`
# too, because Terraform uses it to destroy a replica that was removed from the settings. The same holds for `aws.edge`.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source                = "hashicorp/aws"
      version               = "~> 5.100"
      configuration_aliases = [aws.replica, aws.edge]
    }
  }
}
