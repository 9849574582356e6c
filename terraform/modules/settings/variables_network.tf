# The network in which `read`, `query` and `feed` reach the private stores.

variable "network" {
  description = <<-EOT
    The VPC of each Region in which functions reach the private stores: `read` the cache, `query` the database, and
    `feed` both. null means none, which is enough without stores and for external stores that are reachable without a
    VPC. The other functions stay outside. Nothing in a new VPC is public, and it has no way to the internet. Each
    Region sets exactly one of create and existing.
    Keep network until no function is left in it: Lambda takes up to 45 minutes to leave a VPC.
  EOT
  type = object({
    # The network in the primary Region.
    primary = object({
      # A new VPC with a private subnet in each zone, and free gateway endpoints to DynamoDB and S3.
      create = optional(object({
        cidr = string # IPv4 range of the VPC, /16 to /22, for example 10.20.0.0/20; it can't be changed
        # Availability zones, two or more, for example ["eu-central-1a", "eu-central-1b"]. A zone's subnet is a
        # sixteenth of cidr. Which one follows from the zone's letter, so a new zone moves no other subnet.
        zones = list(string)
        # Names of AWS services to reach from the VPC as well, for example xray. The functions need none. Each costs
        # about 7.30 $ a month in every zone, and 0.01 $ per GB.
        interface_endpoints = optional(list(string), [])
      }))
      # A VPC that you have. The stack makes only security groups and endpoints in it.
      existing = optional(object({
        vpc_id     = string       # id of the VPC
        subnet_ids = list(string) # private subnets, two or more, in different zones
        # Route tables of these subnets in which the stack makes gateway endpoints to DynamoDB and S3. They let nothing
        # through but this stack's table and documents, so nothing else may use these route tables. []: the subnets
        # have a way to DynamoDB and S3 already.
        route_table_ids    = optional(list(string), [])
        security_group_ids = optional(list(string), []) # more groups for the functions, for the way to external stores
      }))
    })
    # The network in the replica Region.
    replica = optional(object({
      create = optional(object({
        cidr                = string
        zones               = list(string)
        interface_endpoints = optional(list(string), [])
      }))
      existing = optional(object({
        vpc_id             = string
        subnet_ids         = list(string)
        route_table_ids    = optional(list(string), [])
        security_group_ids = optional(list(string), [])
      }))
    }))
  })
  default = null

  validation {
    condition = alltrue([
      for n in try(values(var.network), []) : (n.create == null) != (n.existing == null) if n != null
    ])
    error_message = "Set exactly one of create and existing in network.primary, and in network.replica if it is set."
  }

  validation {
    condition     = var.network == null || local.replica_region == null || try(var.network.replica != null, false)
    error_message = "Set network.replica too, because each Region has private stores of its own."
  }

  validation {
    condition     = try(var.network.replica == null, true) || local.named_replica_region != null
    error_message = "Remove network.replica, or set replica.region, because there is no other Region."
  }

  # AWS allows VPCs of /16 to /28 and subnets of /28 or larger. A subnet is four bits longer than the VPC. Lambda, the
  # cache and the database need addresses in each, and a subnet of a /22 has 59.
  validation {
    condition = alltrue([
      for n in try(values(var.network), []) : can(regex("/(1[6-9]|2[0-2])$", n.create.cidr))
      if try(n.create, null) != null
    ])
    error_message = "Give create.cidr of network a size of /16 to /22, for example 10.20.0.0/20."
  }

  validation {
    condition = alltrue([
      for n in try(values(var.network), []) : can(cidrsubnet(n.create.cidr, 4, 0))
      if try(n.create, null) != null
    ])
    error_message = "Give create.cidr of network as an IPv4 range, for example 10.20.0.0/20."
  }

  # Local zones (us-west-2-lax-1a) have no ElastiCache and no Aurora.
  validation {
    condition = alltrue([
      for zone in try(var.network.primary.create.zones, []) : can(regex("^${var.region}[a-p]$", zone))
    ])
    error_message = "Name zones of region in network.primary.create.zones, for example eu-central-1a."
  }

  validation {
    condition = alltrue([
      for zone in try(var.network.replica.create.zones, []) : can(regex("^${local.zone_region}[a-p]$", zone))
    ])
    error_message = "Name zones of replica.region in network.replica.create.zones, for example eu-west-1a."
  }

  validation {
    condition = alltrue([
      for n in try(values(var.network), []) : length(distinct(n.create.zones)) >= 2
      if try(n.create, null) != null
    ])
    error_message = "Name at least two zones in create.zones of network, so that the stores survive the loss of one."
  }

  validation {
    condition = alltrue([
      for n in try(values(var.network), []) : length(distinct(n.create.zones)) == length(n.create.zones)
      if try(n.create, null) != null
    ])
    error_message = "Name each zone once in create.zones of network."
  }

  validation {
    condition = alltrue([
      for name in flatten([for n in try(values(var.network), []) : try(n.create.interface_endpoints, [])]) :
      can(regex(local.service, name))
    ])
    error_message = "Give create.interface_endpoints of network as short names of AWS services, for example xray."
  }

  # The way to DynamoDB and S3 leads through gateway endpoints, which are free.
  validation {
    condition = alltrue([
      for name in flatten([for n in try(values(var.network), []) : try(n.create.interface_endpoints, [])]) :
      !contains(local.gateways, name)
    ])
    error_message = "Remove s3 and dynamodb from create.interface_endpoints of network: they have free endpoints."
  }

  validation {
    condition = alltrue([
      for n in try(values(var.network), []) : can(regex("^vpc-[0-9a-f]+$", n.existing.vpc_id))
      if try(n.existing, null) != null
    ])
    error_message = "Give existing.vpc_id of network as the id of a VPC, for example vpc-0123456789abcdef0."
  }

  validation {
    condition = alltrue([
      for n in try(values(var.network), []) : length(distinct(n.existing.subnet_ids)) >= 2
      if try(n.existing, null) != null
    ])
    error_message = "Name at least two subnets in existing.subnet_ids of network, in different availability zones."
  }

  validation {
    condition = alltrue([
      for id in flatten([for n in try(values(var.network), []) : try(n.existing.subnet_ids, [])]) :
      can(regex("^subnet-[0-9a-f]+$", id))
    ])
    error_message = "Give existing.subnet_ids of network as ids of subnets, for example subnet-0123456789abcdef0."
  }

  validation {
    condition = alltrue([
      for id in flatten([for n in try(values(var.network), []) : try(n.existing.route_table_ids, [])]) :
      can(regex("^rtb-[0-9a-f]+$", id))
    ])
    error_message = "Give existing.route_table_ids of network as ids of route tables, such as rtb-0123456789abcdef0."
  }

  # A network interface takes five security groups by default, and the stack's own is one of them.
  validation {
    condition = alltrue([
      for n in try(values(var.network), []) : length(n.existing.security_group_ids) <= 4
      if try(n.existing, null) != null
    ])
    error_message = "Name at most four groups in existing.security_group_ids of network, because AWS allows five."
  }

  validation {
    condition = alltrue([
      for id in flatten([for n in try(values(var.network), []) : try(n.existing.security_group_ids, [])]) :
      can(regex("^sg-[0-9a-f]+$", id))
    ])
    error_message = "Give existing.security_group_ids of network as ids of groups, such as sg-0123456789abcdef0."
  }
}

locals {
  service     = "^[a-z][a-z0-9.-]*$"
  gateways    = ["dynamodb", "s3"]
  zone_region = coalesce(local.named_replica_region, "none")

  # In how many subnets the stores of each Region are.
  subnet_counts = [for n in try(values(var.network), []) : length(
    try(n.create.zones, n.existing.subnet_ids, [])
  ) if n != null]
}
