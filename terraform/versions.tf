# The block `terraform` configures no backend (the place where Terraform keeps its state). So Terraform keeps the state
# in a local file, and a run against the emulator can never touch the state of a stack on AWS. For a stack on AWS, copy
# backend.tf.example to backend.tf, which configures a backend.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
