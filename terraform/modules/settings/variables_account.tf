# What the stack takes from the AWS account and the organisation that it runs in.

variable "roles" {
  description = <<-EOT
    Path and permissions boundary of every IAM role of the stack. Set the path before the first apply: a plan that
    changes it is refused. A change of permissions_boundary changes the roles in place.
  EOT
  type = object({
    path                 = optional(string, "/") # for example /platform/
    permissions_boundary = optional(string)      # ARN of the IAM policy that limits every role
  })
  default  = {}
  nullable = false

  # IAM allows paths of 512 characters.
  validation {
    condition     = can(regex("^/([!-.0-~]+/)*$", var.roles.path)) && length(var.roles.path) <= 512
    error_message = "Begin and end roles.path with a slash, for example /platform/, and use at most 512 characters."
  }

  validation {
    condition     = alltrue([for arn in compact([var.roles.permissions_boundary]) : can(regex(local.policy_arn, arn))])
    error_message = "Give roles.permissions_boundary as the ARN of an IAM policy, arn:aws:iam::<account>:policy/<name>."
  }
}

variable "user_pool" {
  description = <<-EOT
    A Cognito user pool that you already have, in region; null means that the stack creates its own. The stack adds a
    resource server with its scopes, two clients and its groups to the pool, and changes nothing else. The settings of
    the pool itself (mfa, self_sign_up and email of sign_in) then stay yours.
    Set it before the first apply. The plan refuses another pool on a live stack, because the users are in the old one.
  EOT
  type = object({
    arn = string # ARN of the user pool
    # Other clients of the pool whose tokens `read` and `write` accept. Allow each of them the scopes <name>/read and
    # <name>/write of this stack.
    client_ids = optional(list(string), [])
    # Also accept tokens of SRP sign-in, which have no scope of this stack. Then every application of the pool that
    # signs users in by SRP can read documents and call backends with scopes on behalf of its users.
    accept_srp    = optional(bool, false)
    create_groups = optional(bool, true) # false: the pool already has the groups that collections name
    sign_in_url   = optional(string)     # URL of the pool's sign-in page, which the output sign_in_url repeats
  })
  default = null

  # The stack's clients are resources of region, and both Regions' APIs check tokens against this pool.
  validation {
    condition     = var.user_pool == null || can(regex(local.user_pool_arn, var.user_pool.arn))
    error_message = <<-EOT
      Give user_pool.arn as the ARN of a Cognito user pool in region, because the stack creates its clients there.
    EOT
  }

  validation {
    condition     = var.user_pool == null || length(local.pool_settings) == 0
    error_message = <<-EOT
      Remove from sign_in what belongs to the pool itself, because the stack doesn't change a pool that you already
      have: mfa, self_sign_up and email.
    EOT
  }

  validation {
    condition     = startswith(coalesce(try(var.user_pool.sign_in_url, null), "https://"), "https://")
    error_message = "Give user_pool.sign_in_url as https://…, or leave it out."
  }
}

variable "access_log_buckets" {
  description = <<-EOT
    Buckets that get S3's access logs of the stack's buckets, one in each Region, in the stack's account. S3 delivers
    only to buckets with default encryption by SSE-S3 whose policy allows logging.s3.amazonaws.com to put objects.
    Each of the stack's buckets has a prefix there: its name and a slash.
  EOT
  type = object({
    primary = optional(string) # name of the bucket in region; null means no access logs
    replica = optional(string) # name of the bucket in the replica Region; null means no access logs
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for bucket in compact(values(var.access_log_buckets)) : can(regex(local.bucket_name, bucket))
    ])
    error_message = "Give access_log_buckets as names of S3 buckets, not as ARNs."
  }
}

variable "domains" {
  description = <<-EOT
    A domain name of yours for the API in each Region. It refuses TLS versions before 1.2, which the API's own address
    can't. Paths stay the same: https://<name>/v1/…. Both Regions may share one name. Route 53 then leads clients to
    the nearer Region.
    The certificate must be issued and valid before the apply. Without hosted_zone_id, point the name in your own DNS at
    the output `domain` of primary and replica.
  EOT
  type = object({
    # The domain name in region; null means that the API there has only its own address.
    primary = optional(object({
      name            = string           # for example api.example.com
      certificate_arn = string           # ARN of a certificate for name in AWS Certificate Manager, in region
      hosted_zone_id  = optional(string) # id of the Route 53 zone in which the stack creates a record for name
      # false: the API answers 403 at its own address, so that nobody gets around what you put in front of it.
      default_endpoint = optional(bool, true)
      # A second name, which leads to the API of this Region only, for example eu-central-1.api.example.com. The
      # certificate must cover it, and the stack makes its record in hosted_zone_id.
      regional_name = optional(string)
    }))
    # The same for the replica Region.
    replica = optional(object({
      name             = string
      certificate_arn  = string # ARN of a certificate for name in AWS Certificate Manager, in the replica Region
      hosted_zone_id   = optional(string)
      default_endpoint = optional(bool, true)
      regional_name    = optional(string)
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for domain in values(var.domains) : can(regex(local.host_name, domain.name)) if domain != null
    ])
    error_message = "Give each domain's name as a host name in lower case with a dot, for example api.example.com."
  }

  # A regional domain name takes a certificate of its own Region only.
  validation {
    condition = var.domains.primary == null || can(
      regex(local.certificate_arn, var.domains.primary.certificate_arn)
    )
    error_message = <<-EOT
      Give domains.primary.certificate_arn as the ARN of a certificate of AWS Certificate Manager in region.
    EOT
  }

  validation {
    condition = var.domains.replica == null || can(
      regex(local.replica_certificate_arn, var.domains.replica.certificate_arn)
    )
    error_message = <<-EOT
      Give domains.replica.certificate_arn as the ARN of a certificate of AWS Certificate Manager in the replica Region,
      or remove domains.replica without a replica.
    EOT
  }

  validation {
    condition = alltrue([
      for domain in values(var.domains) : can(regex(local.zone_id, domain.hosted_zone_id))
      if try(domain.hosted_zone_id, null) != null
    ])
    error_message = "Give each domain's hosted_zone_id as the id of a Route 53 zone, for example Z0123456789ABCDEFGHIJ."
  }

  validation {
    condition = alltrue([
      for domain in values(var.domains) : can(regex(local.host_name, domain.regional_name))
      if try(domain.regional_name, null) != null
    ])
    error_message = "Give each domain's regional_name as a host name, for example eu-west-1.api.example.com."
  }

  validation {
    condition = alltrue([
      for domain in values(var.domains) : domain.hosted_zone_id != null if try(domain.regional_name, null) != null
    ])
    error_message = "Set hosted_zone_id of each domain with regional_name, because the stack makes its record there."
  }

  validation {
    condition = alltrue([
      for domain in values(var.domains) : try(domain.regional_name != var.domains.primary.name, true)
    ])
    error_message = "Give regional_name another value than domains.primary.name, because it leads to one Region only."
  }

  validation {
    condition = alltrue([
      for domain in values(var.domains) : try(domain.regional_name != var.domains.replica.name, true)
    ])
    error_message = "Give regional_name another value than domains.replica.name, because it leads to one Region only."
  }

  validation {
    condition     = try(coalesce(var.domains.primary.regional_name) != var.domains.replica.regional_name, true)
    error_message = "Give the two domains different values of regional_name, because each leads to one Region only."
  }

  validation {
    condition     = var.endpoint_type == "REGIONAL" || alltrue([for domain in values(var.domains) : domain == null])
    error_message = "Set endpoint_type to REGIONAL or remove domains, because only a regional API can have one."
  }
}

locals {
  policy_arn              = "^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$"
  user_pool_arn           = "^arn:aws[a-z-]*:cognito-idp:${var.region}:[0-9]{12}:userpool/${var.region}_[A-Za-z0-9]+$"
  bucket_name             = "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
  zone_id                 = "^Z[A-Z0-9]{1,31}$"
  host_name               = "^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$"
  certificate_arn         = "^arn:aws[a-z-]*:acm:${var.region}:[0-9]{12}:certificate/.+$"
  replica_certificate_arn = "^arn:aws[a-z-]*:acm:${local.domain_region}:[0-9]{12}:certificate/.+$"
  domain_region           = coalesce(local.named_replica_region, "none")

  # The settings of sign_in that belong to a user pool and differ from their defaults.
  pool_settings = [for set in [
    var.sign_in.mfa != "OPTIONAL", var.sign_in.self_sign_up, var.sign_in.email != null
  ] : set if set]
}
