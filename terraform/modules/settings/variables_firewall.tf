# The firewall: a web ACL of AWS WAF in front of the edge.

variable "firewall" {
  description = <<-EOT
    A web ACL of AWS WAF for the edge; null means none. By default it costs 14 $ a month (5 $, and 1 $ for each rule and
    each group) and 0.60 $ per million requests. It needs edge. docs/firewall.md says what its rules see, and how to
    let a rule refuse that only counts.
  EOT
  type = object({
    # Groups of rules that AWS writes: block, count or off. anonymous_ips are addresses of VPNs, Tor and hosting
    # providers, from which servers of your partners may call too. bot_control costs 10 $ a month more, and 1 $ per
    # million requests after the first 10 million. It refuses programs that aren't browsers, mobile apps included.
    groups = optional(object({
      common           = optional(string, "block") # attacks on any web application
      known_bad_inputs = optional(string, "block") # requests that exploit published faults, such as Log4j's
      sql_injection    = optional(string, "block") # attacks on SQL databases
      ip_reputation    = optional(string, "block") # addresses that AWS sees attack
      anonymous_ips    = optional(string, "off")   # addresses of VPNs, Tor and hosting providers
      bot_control      = optional(string, "off")   # programs that aren't browsers
    }), {})
    # What the rules of these groups do that look into bodies: block or count. They take ordinary JSON for attacks, and
    # one of them refuses every body above 8 KB.
    body_rules = optional(string, "count")
    counted    = optional(list(string), []) # names of other rules of these groups that only count
    # The stack's own rules: block, count or off. sql_injection and cross_site_scripting look at the query and at
    # headers, not at bodies.
    rules = optional(object({
      deny                 = optional(string, "block") # addresses in deny
      countries            = optional(string, "block") # clients that countries keeps out
      size                 = optional(string, "block") # a path or query above sizes: 414
      rate_ip              = optional(string, "block") # more requests from one address than rate.ip: 429
      rate_token           = optional(string, "block") # more requests with one token than rate.token: 429
      sql_injection        = optional(string, "block") # SQL in the query or in headers
      cross_site_scripting = optional(string, "block") # scripts in the query or in headers
    }), {})
    # The headers that the last two rules look at.
    headers = optional(list(string), ["user-agent", "x-forwarded-host"])
    allow   = optional(list(string), []) # ranges of addresses, such as 203.0.113.7/32, that no rule refuses
    deny    = optional(list(string), []) # ranges of addresses to refuse
    # Two-letter codes of countries. Set exactly one: clients may come only from here, or from everywhere except here.
    countries = optional(object({
      only   = optional(list(string), []) # the countries to let in
      except = optional(list(string), []) # the countries to keep out
    }))
    # The longest path and query, in bytes.
    sizes = optional(object({
      path  = optional(number, 1024) # bytes
      query = optional(number, 2048) # bytes
    }), {})
    # How many requests a client may send.
    rate = optional(object({
      window = optional(number, 300)  # seconds over which the requests are counted: 60, 120, 300 or 600
      ip     = optional(number, 3000) # requests from one address in that time
      token  = optional(number, 1500) # requests with one token in that time
    }), {})
    # How much of a body AWS WAF sees: 16, 32, 48 or 64 KB. Each further 16 KB of a body that it sees cost 0.30 $ per
    # million requests.
    body_kb = optional(number, 16)
    logging = optional(bool, true) # keep a log of what a rule refuses or counts, in us-east-1
  })
  default = null

  validation {
    condition     = var.firewall == null || var.edge != null
    error_message = "Set edge too, because the firewall stands in front of it, or remove firewall."
  }

  validation {
    condition     = alltrue([for mode in values(try(var.firewall.groups, {})) : contains(local.firewall_modes, mode)])
    error_message = "Set each of firewall.groups to block, count or off."
  }

  validation {
    condition     = contains(["block", "count"], try(var.firewall.body_rules, "count"))
    error_message = "Set firewall.body_rules to block or count."
  }

  validation {
    condition     = alltrue([for mode in values(try(var.firewall.rules, {})) : contains(local.firewall_modes, mode)])
    error_message = "Set each of firewall.rules to block, count or off."
  }

  # A token or a cookie looks like an attack now and then, because it is base64.
  validation {
    condition = length(setintersection(
      [for header in try(var.firewall.headers, []) : lower(header)], ["authorization", "cookie"]
    )) == 0
    error_message = "Remove authorization and cookie from firewall.headers: the rules would take tokens for attacks."
  }

  validation {
    condition     = contains(range(1, 11), length(try(var.firewall.headers, ["user-agent"])))
    error_message = "Name 1 to 10 headers in firewall.headers."
  }

  validation {
    condition = alltrue([
      for range in try(concat(var.firewall.allow, var.firewall.deny), []) :
      can(cidrhost(range, 0)) && !endswith(range, "/0")
    ])
    error_message = <<-EOT
      Give firewall.allow and firewall.deny as ranges of addresses with their length, for example 203.0.113.7/32 or
      2001:db8::/32. AWS WAF takes no /0.
    EOT
  }

  validation {
    condition     = try((length(var.firewall.countries.only) > 0) != (length(var.firewall.countries.except) > 0), true)
    error_message = "Set exactly one of firewall.countries.only and firewall.countries.except."
  }

  validation {
    condition = alltrue([
      for code in try(concat(var.firewall.countries.only, var.firewall.countries.except), []) :
      can(regex("^[A-Z]{2}$", code))
    ])
    error_message = "Give firewall.countries as codes of ISO 3166 with two capital letters, for example DE."
  }

  validation {
    condition = alltrue([
      for size in values(try(var.firewall.sizes, {})) : size >= 256 && size <= 8192 && floor(size) == size
    ])
    error_message = "Set firewall.sizes to 256 to 8192 bytes, because CloudFront itself refuses a longer URL."
  }

  validation {
    condition     = contains([60, 120, 300, 600], try(var.firewall.rate.window, 300))
    error_message = "Set firewall.rate.window to 60, 120, 300 or 600 seconds, because AWS WAF takes no other window."
  }

  validation {
    condition = alltrue([
      for limit in try([var.firewall.rate.ip, var.firewall.rate.token], []) :
      limit >= 10 && limit <= 2000000000 && floor(limit) == limit
    ])
    error_message = "Set firewall.rate.ip and firewall.rate.token to whole numbers from 10 on: AWS WAF takes no less."
  }

  validation {
    condition     = contains([16, 32, 48, 64], try(var.firewall.body_kb, 16))
    error_message = "Set firewall.body_kb to 16, 32, 48 or 64, because AWS WAF takes no other number."
  }
}

locals {
  firewall_modes = ["block", "count", "off"]
}
