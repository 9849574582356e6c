# There is no backend block, so Terraform keeps the state in a local file, and a run against the emulator can never
# touch the state of a stack on AWS. For a stack on AWS, copy backend.tf.example to backend.tf.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
