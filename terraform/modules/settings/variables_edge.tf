# The edge: a CloudFront distribution in front of the API, the documents and the web client.

variable "edge" {
  description = <<-EOT
    A CloudFront distribution that serves documents, the API and the web client from the edge location nearest to the
    client. null means none. docs/edge.md says what it does. Stacks in China and AWS GovCloud can't have one.
  EOT
  type = object({
    # A domain name of yours for the edge; null means only the distribution's own address, for which CloudFront also
    # accepts old versions of TLS. Set exactly one of certificate_arn and zone_id.
    domain = optional(object({
      name            = string           # for example www.example.com
      certificate_arn = optional(string) # ARN of a certificate for name in AWS Certificate Manager, in us-east-1
      # Id of the public Route 53 zone in which the stack proves that the name is yours, for a certificate of its own,
      # and in which it makes the name's records.
      zone_id = optional(string)
    }))
    # Which edge locations serve: PriceClass_100 (North America, Europe and Israel), PriceClass_200 or PriceClass_All.
    price_class = optional(string, "PriceClass_100")
    documents   = optional(bool, true) # serve /documents/*
    # Serve documents that need a token, which the function `edge_auth` checks. false: only public documents are served.
    sign_in = optional(bool, true)
    site    = optional(bool, true) # serve the web client at /
    # How long browsers refuse plain HTTP for the edge's host name.
    hsts = optional(object({
      max_age    = optional(number, 31536000) # seconds
      subdomains = optional(bool, false)      # for every host below that name too
      preload    = optional(bool, false)      # allow browser vendors to build it in, which is hard to take back
    }), {})
    access_logs = optional(bool, true) # keep a log of the requests, without cookies and query strings
    # How the edge tries the primary Region's documents before those of the replica. Without a replica it has no effect.
    failover = optional(object({
      attempts = optional(number, 1) # connection attempts, 1 to 3
      timeout  = optional(number, 2) # seconds for each attempt, 1 to 10
    }), {})
    # primary_unreachable: the edge can't reach the primary Region's buckets, as if the Region failed. For a drill only
    # (docs/drill.md); remove it afterwards. null: the edge serves from the primary Region.
    drill = optional(string)
    # What keeps clients from calling the API around the edge. policy: the API's resource policy asks for a secret that
    # only CloudFront sends, for nothing. web_acl: a web ACL of AWS WAF in each Region does, for 7 $ a month in each.
    # none: clients can also call the API directly.
    origin_lock = optional(string, "policy")
    # Which secret CloudFront sends, and which ones the API accepts besides. docs/firewall.md says how to rotate it.
    origin_secret = optional(object({
      generation      = optional(number, 1)   # another secret for each number; only raise it, by 1
      accept_next     = optional(bool, false) # also accept the secret of the generation after this one
      accept_previous = optional(bool, true)  # also accept the secret of the generation before this one
    }), {})
    # Wait until every edge location has a change, which takes some minutes. false: an apply ends before that.
    wait = optional(bool, true)
  })
  default = null

  # No other partition has Lambda@Edge.
  validation {
    condition     = var.edge == null || can(regex("^[a-z]{2}-[a-z]+-[0-9]+$", var.region)) && !local.in_china
    error_message = "Remove edge, because CloudFront runs functions at the edge in AWS's standard Regions only."
  }

  validation {
    condition     = try(var.edge.domain, null) == null || can(regex(local.host_name, var.edge.domain.name))
    error_message = "Give edge.domain.name as a host name in lower case with a dot, for example www.example.com."
  }

  validation {
    condition     = !try(contains(local.names_of_apis, var.edge.domain.name), false)
    error_message = <<-EOT
      Give edge.domain another name than those in domains. CloudFront calls the API by its name in domains, so with the
      same name it would call itself.
    EOT
  }

  validation {
    condition     = try(length(compact([var.edge.domain.certificate_arn, var.edge.domain.zone_id])) == 1, true)
    error_message = <<-EOT
      Set exactly one of edge.domain.certificate_arn (a certificate that you have) and edge.domain.zone_id (the stack
      makes a certificate and the name's records in your Route 53 zone).
    EOT
  }

  validation {
    condition = alltrue([
      for arn in compact([try(var.edge.domain.certificate_arn, null)]) : can(regex(local.edge_certificate_arn, arn))
    ])
    error_message = <<-EOT
      Give edge.domain.certificate_arn as the ARN of a certificate of AWS Certificate Manager in us-east-1, because
      CloudFront takes certificates from that Region only.
    EOT
  }

  validation {
    condition     = alltrue([for id in compact([try(var.edge.domain.zone_id, null)]) : can(regex(local.zone_id, id))])
    error_message = "Give edge.domain.zone_id as the id of a Route 53 zone, for example Z0123456789ABCDEFGHIJ."
  }

  validation {
    condition     = contains(local.price_classes, try(var.edge.price_class, "PriceClass_100"))
    error_message = "Set edge.price_class to PriceClass_100, PriceClass_200 or PriceClass_All."
  }

  # Browser vendors build in only a name that promises a year for every host below it.
  validation {
    condition = try(!var.edge.hsts.preload || alltrue([
      var.edge.hsts.subdomains,
      var.edge.hsts.max_age >= 31536000,
      var.edge.domain != null,
    ]), true)
    error_message = <<-EOT
      With edge.hsts.preload, set edge.hsts.subdomains to true and edge.hsts.max_age to at least 31536000 (a year), and
      set edge.domain: browser vendors accept nothing less.
    EOT
  }

  validation {
    condition     = try(var.edge.hsts.max_age >= 0 && floor(var.edge.hsts.max_age) == var.edge.hsts.max_age, true)
    error_message = "Set edge.hsts.max_age to whole seconds, 0 or more."
  }

  validation {
    condition     = contains([1, 2, 3], try(var.edge.failover.attempts, 1))
    error_message = "Set edge.failover.attempts to 1, 2 or 3, because CloudFront takes no other number."
  }

  validation {
    condition     = contains(range(1, 11), try(var.edge.failover.timeout, 2))
    error_message = "Set edge.failover.timeout to whole seconds from 1 to 10, because CloudFront takes no other number."
  }

  validation {
    condition     = try(var.edge.drill == null || var.edge.drill == "primary_unreachable", true)
    error_message = "Set edge.drill to primary_unreachable for a drill, and remove it afterwards."
  }

  # Without a replica, the drill would be the outage that it is to measure.
  validation {
    condition     = try(var.edge.drill == null, true) || local.replica_region != null
    error_message = "Remove edge.drill, or declare a replica: nothing else could serve the documents during the drill."
  }

  validation {
    condition     = contains(local.origin_locks, try(var.edge.origin_lock, "policy"))
    error_message = "Set edge.origin_lock to policy, web_acl or none."
  }

  # A web ACL can't stand before API Gateway's own distribution either, which is another way around the edge.
  validation {
    condition     = var.edge == null || var.endpoint_type == "REGIONAL" || try(var.edge.origin_lock == "none", true)
    error_message = <<-EOT
      Set endpoint_type to REGIONAL, or edge.origin_lock to none. An API of the type EDGE has a CloudFront distribution
      of API Gateway's own, whose requests the lock would judge.
    EOT
  }

  validation {
    condition = alltrue([
      for number in [try(var.edge.origin_secret.generation, 1)] : number >= 1 && floor(number) == number
    ])
    error_message = "Set edge.origin_secret.generation to a whole number of 1 or more."
  }
}

locals {
  origin_locks         = ["policy", "web_acl", "none"]
  edge_certificate_arn = "^arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/.+$"
  price_classes        = ["PriceClass_100", "PriceClass_200", "PriceClass_All"]
  in_china             = startswith(var.region, "cn-")
}

variable "edge_base_url" {
  description = <<-EOT
    Base URL at which an emulator serves the edge; null means the distribution's own address or edge.domain. The web
    client returns there after sign-in.
  EOT
  type        = string
  default     = null

  validation {
    condition     = can(regex("^https?://[^/]+$", coalesce(var.edge_base_url, "https://-")))
    error_message = "Give edge_base_url without a slash at the end, for example http://localhost:8080."
  }
}
