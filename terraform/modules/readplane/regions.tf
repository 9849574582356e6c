# The caller passes the providers, so nothing but this check would notice a provider for a wrong Region.
data "aws_region" "primary" {
  lifecycle {
    postcondition {
      condition     = self.name == module.settings.region
      error_message = <<-EOT
        Set region of the provider that the module gets as aws to ${module.settings.region}, as the variable region.
      EOT
    }
  }
}

data "aws_region" "replica" {
  count    = module.settings.regions.replica == null ? 0 : 1
  provider = aws.replica

  lifecycle {
    postcondition {
      condition     = self.name == module.settings.regions.replica
      error_message = "Set region of the provider that the module gets as aws.replica to replica.region."
    }
  }
}
