# The caller passes the providers, so nothing but this check would notice a provider for a wrong Region.
data "aws_region" "primary" {
  lifecycle {
    postcondition {
      condition     = self.name == var.region
      error_message = "Set region of the provider that the module gets as aws to ${var.region}, as the variable region."
    }
  }
}

data "aws_region" "replica" {
  count    = var.replica_region == null ? 0 : 1
  provider = aws.replica

  lifecycle {
    postcondition {
      condition     = self.name == var.replica_region
      error_message = "Set region of the provider that the module gets as aws.replica to the variable replica_region."
    }
  }
}
