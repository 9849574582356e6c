# AWS credentials for users of the mobile client.

variable "identity_pool" {
  description = <<-EOT
    Give users of the mobile client AWS credentials with which they read their own documents straight from S3, by a
    Cognito identity pool. docs/read.md says how. The pool costs nothing.
  EOT
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.identity_pool || length(local.owner_collections) > 0
    error_message = <<-EOT
      Declare a collection with read = "owner", or remove identity_pool: users would have nothing to read with their
      credentials.
    EOT
  }

  # AWS GovCloud has other names for the service in the role's trust policy, and Regions in China have no user pools.
  validation {
    condition     = !var.identity_pool || can(regex("^[a-z]{2}-[a-z]+-[0-9]+$", var.region)) && !local.in_china
    error_message = "Remove identity_pool, because Readplane makes one in AWS's standard Regions only."
  }
}

locals {
  owner_collections = [for name, collection in local.live_collections : name if collection.read == "owner"]
}
