# No backend block: the local run must never be able to touch a real state. On AWS copy backend.tf.example to backend.tf.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
