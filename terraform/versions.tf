# There is no backend block, so a run against the emulator can never touch the state of a stack on AWS. For AWS, copy
# backend.tf.example to backend.tf.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
