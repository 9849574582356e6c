# Reads the variable files as Terraform does, so that tests/environments.tftest.hcl can check them against the rules.
terraform {
  required_providers {
    terraform = {
      source = "terraform.io/builtin/terraform"
    }
  }
}

output "files" {
  description = "Environment -> the variables that its file sets."
  value       = { for name in ["local", "dev", "prod"] : name => provider::terraform::decode_tfvars(file("environments/${name}.tfvars")) }
}
