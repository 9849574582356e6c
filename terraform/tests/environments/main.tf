# Reads the variable files in environments/ as Terraform does, so that tests/environments.tftest.hcl can check them
# against the rules of the variables.
terraform {
  required_providers {
    terraform = {
      source = "terraform.io/builtin/terraform"
    }
  }
}

output "files" {
  description = "Name of each environment -> the variables that its file in environments/ sets."
  value = { for name in ["local", "dev", "prod"] :
    name => provider::terraform::decode_tfvars(file("environments/${name}.tfvars"))
  }
}
