# There is no backend block, so that the local run can never touch a real state. For AWS,
# copy backend.tf.example to backend.tf.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
