# Which Region's API clients reach if both Regions share one domain name.

variable "api_failover" {
  description = <<-EOT
    Let Route 53 lead clients away from a Region whose API doesn't answer, within three minutes, and let an operator do
    the same by a switch in the other Region. It needs a replica, and domains with the same name and zone in both
    Regions. docs/failover.md says how it works. It costs 7 $ a month, or 4 $ if the account has no other health checks.
  EOT
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.api_failover || local.replica_region != null
    error_message = "Declare a replica, or remove api_failover: clients have nowhere else to go."
  }

  validation {
    condition     = !var.api_failover || length(local.domain_list) == 2 && length(distinct(local.api_names)) == 1
    error_message = <<-EOT
      With api_failover, set domains.primary and domains.replica with the same name, each with a certificate of its own
      Region, because clients use one name for both.
    EOT
  }

  validation {
    condition     = !var.api_failover || length(local.domain_list) < 2 || local.one_zone
    error_message = <<-EOT
      With api_failover, set the same hosted_zone_id in domains.primary and domains.replica, because only Route 53 can
      leave out a Region that doesn't answer.
    EOT
  }

  # Route 53 can't ask the shared name, because it would ask whichever Region the name leads to.
  validation {
    condition     = !var.api_failover || local.askable
    error_message = <<-EOT
      With api_failover, set regional_name of each domain with default_endpoint = false. Route 53 must reach the API of
      each Region by a name of its own.
    EOT
  }
}

locals {
  domain_list = [for domain in values(var.domains) : domain if domain != null]
  api_names   = local.domain_list[*].name

  # The names of the APIs, with those that lead to one Region only.
  names_of_apis = compact(concat(local.api_names, local.domain_list[*].regional_name))

  zone_ids = compact(local.domain_list[*].hosted_zone_id)
  one_zone = length(local.zone_ids) == 2 && length(distinct(local.zone_ids)) == 1
  askable  = alltrue([for domain in local.domain_list : domain.default_endpoint || domain.regional_name != null])
}
