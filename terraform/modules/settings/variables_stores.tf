# The passwords of external stores.

variable "store_passwords" {
  description = <<-EOT
    Passwords of external stores, by use. Stores that the stack makes have none: their users sign in with IAM. The
    passwords stand in Terraform's state and in the functions' environment, so keep the state secret.
    cache: the user of cache.external.primary.
    query: the role `query` in the database of relational.external.primary.
    feed: the role `feed` there.
    owner: the role `readplane_owner` there, with which `feed` migrates.
    replica_cache, replica_query, replica_feed, replica_owner: the same in the replica Region.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false
  sensitive   = true

  validation {
    condition     = length(setsubtract(keys(var.store_passwords), local.store_password_names)) == 0
    error_message = <<-EOT
      Name the passwords in store_passwords cache, query, feed and owner, and those of the replica Region
      replica_cache, replica_query, replica_feed and replica_owner.
    EOT
  }

  validation {
    condition = local.external_cache || alltrue([
      for name in local.cache_passwords : !contains(keys(var.store_passwords), name)
    ])
    error_message = <<-EOT
      Remove cache and replica_cache from store_passwords, or set cache.external. The users of a cache that the stack
      makes sign in with IAM.
    EOT
  }

  validation {
    condition = local.external_database || alltrue([
      for name in local.database_passwords : !contains(keys(var.store_passwords), name)
    ])
    error_message = <<-EOT
      Remove query, feed and owner from store_passwords, or set relational.external. The roles of a database that the
      stack makes sign in with IAM.
    EOT
  }

  validation {
    condition     = local.named_replica_region != null || !strcontains(join(" ", keys(var.store_passwords)), "replica_")
    error_message = "Remove the passwords of the replica Region from store_passwords, or set replica.region."
  }

  # A Lambda environment holds 4 KB, most of which the settings need.
  validation {
    condition     = alltrue([for password in values(var.store_passwords) : can(regex("^.{1,128}$", password))])
    error_message = "Give each of store_passwords 1 to 128 characters."
  }
}

locals {
  cache_passwords      = ["cache", "replica_cache"]
  database_passwords   = ["query", "feed", "owner", "replica_query", "replica_feed", "replica_owner"]
  store_password_names = concat(local.cache_passwords, local.database_passwords)
  external_cache       = try(var.cache.external != null, false)
  external_database    = try(var.relational.external != null, false)
}
