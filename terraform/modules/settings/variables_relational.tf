# The relational database that clients list collections from, with filters, a sort order and full-text search.

variable "relational" {
  description = <<-EOT
    A PostgreSQL database in each Region, from which clients list collections with filter, sort and q. null means none.
    Set exactly one of aurora and external, and the attribute relational of at least one collection. The items stay in
    DynamoDB: the database can be built again from them at any time. docs/stores.md says when it is worth its price.
  EOT
  type = object({
    # An Aurora PostgreSQL cluster (Serverless v2) that the stack makes in each Region. It needs network.
    aurora = optional(object({
      # The version of PostgreSQL. With a major version, such as "18", AWS chooses the minor version and upgrades it in
      # the maintenance window. With a minor version, such as "18.3", only Terraform upgrades it. A later major version
      # upgrades the cluster in place, which takes some minutes. There is no way back.
      engine_version = optional(string, "18")
      min_acu        = optional(number, 0.5) # least capacity of an instance in ACU (2 GB of memory each); 0: it pauses
      max_acu        = optional(number, 4)   # greatest capacity of an instance in ACU
      # With min_acu = 0: seconds without a connection after which an instance pauses. The first list after a pause gets
      # a 503, because an instance takes some 15 seconds to resume.
      seconds_until_auto_pause = optional(number)
      readers                  = optional(number, 1) # instances that serve lists, besides the one that is written
      backup_days              = optional(number, 7) # days for which AWS keeps backups
      # Refuse to delete the cluster. Set it to false and run `terraform apply` before you remove aurora. null: as the
      # variable deletion_protection, and in the replica Region as replica.deletion_protection.
      deletion_protection  = optional(bool)
      final_snapshot       = optional(bool, true)  # leave a snapshot behind when the cluster is deleted
      performance_insights = optional(bool, false) # collect the load of statements for 7 days, which is free
      # Seconds between two measurements of an instance's operating system (enhanced monitoring): 1, 5, 10, 15, 30 or
      # 60. null: none, which is enough for the alarms. CloudWatch Logs bills each, and an idle instance may need more
      # than min_acu for them.
      monitoring_seconds = optional(number)
      # Root certificates of RDS as PEM text, for a Region whose roots the functions don't have. AWS publishes them at
      # https://truststore.pki.rds.amazonaws.com/REGION/REGION-bundle.pem. Give only that of the instances' authority,
      # which is rds-ca-rsa2048-g1 by default, and with a proxy Amazon Root CA 1 too, because a function's settings hold
      # some 4 KB.
      ca_pem = optional(object({
        primary = optional(string) # the roots of the primary Region; null: those that the functions have
        replica = optional(string) # the roots of the replica Region; null: those that the functions have
      }))
      # Turn the Data API on, with which `ops/readplane relational migrate` makes its role once. Set it to false in a
      # Region without the Data API, and run the statement of the output database_setup from a machine in the VPC.
      data_api = optional(bool, true)
      # An RDS Proxy, through which `query` connects to the readers. It costs at least 88 $ a month. Each Region names a
      # secret with the user name `query` and its password. docs/lifecycle.md says how to set that password.
      proxy = optional(object({
        # The proxy in the primary Region.
        primary = object({
          secret_arn  = string           # ARN of the secret in Secrets Manager
          kms_key_arn = optional(string) # ARN of the customer managed key of the secret; null: it has none
        })
        # The proxy in the replica Region.
        replica = optional(object({
          secret_arn  = string
          kms_key_arn = optional(string)
        }))
      }))
    }))
    # A PostgreSQL database that exists already, in each Region. The passwords stand in store_passwords.
    external = optional(object({
      # The database of the primary Region.
      primary = object({
        writer      = string                        # host name of the server that is written
        reader      = string                        # host name of a streaming replica of it
        port        = optional(number, 5432)        # port of both
        reader_port = optional(number)              # port of reader if it differs
        name        = optional(string, "readplane") # name of the database
        tls         = optional(bool, true)          # connect with TLS and check the server's certificate
        ca_pem      = optional(string)              # certificates that sign the server's, as PEM; null: public ones
      })
      # The database of the replica Region.
      replica = optional(object({
        writer      = string
        reader      = string
        port        = optional(number, 5432)
        reader_port = optional(number)
        name        = optional(string, "readplane")
        tls         = optional(bool, true)
        ca_pem      = optional(string)
      }))
    }))
    # How many lists each Region serves from the database at once. Each needs a connection. Lambda reserves as many
    # executions for `query`, so lists can't take those of item reads.
    query_concurrency = optional(number, 20)
    feed_concurrency  = optional(number, 4) # how many batches `feed` writes into the database at once, 2 or more
    # Lists may come from the server that is written if no reader is left. false: they get a 503, so they never slow the
    # writes.
    reads_from_writer = optional(bool, false)
  })
  default = null

  validation {
    condition     = try((var.relational.aurora == null) != (var.relational.external == null), true)
    error_message = "Set exactly one of relational.aurora and relational.external."
  }

  validation {
    condition     = var.relational != null || length(local.relational_collections) == 0
    error_message = <<-EOT
      Set the variable relational, or remove relational from these collections, because there is no database to list
      them from: ${join(", ", keys(local.relational_collections))}.
    EOT
  }

  # `feed` would write nothing into the database, which costs money each hour.
  validation {
    condition     = var.relational == null || length(local.relational_collections) > 0
    error_message = <<-EOT
      Set relational in at least one collection that isn't retired, or remove the variable relational, because no list
      would use the database.
    EOT
  }

  validation {
    condition     = try(var.relational.aurora == null, true) || var.network != null
    error_message = <<-EOT
      Set network, because an Aurora cluster has private addresses only, or set relational.external instead of
      relational.aurora.
    EOT
  }

  # An identifier in RDS has no two hyphens in a row.
  validation {
    condition     = try(var.relational.aurora == null, true) || !strcontains(var.name, "--")
    error_message = <<-EOT
      Give the stack a name without two hyphens in a row, or use relational.external, because RDS refuses such names.
    EOT
  }

  # The tests run PostgreSQL 18. `migrate` needs version 16 or later, in which a role that makes roles may change them.
  validation {
    condition     = can(regex(local.postgresql_version, try(var.relational.aurora.engine_version, "18")))
    error_message = <<-EOT
      Set relational.aurora.engine_version to "16", "17" or "18", or to a minor version of these, such as "18.3".
    EOT
  }

  validation {
    condition = try(var.relational.aurora == null, true) || alltrue([
      for role in local.without_roots : try(var.relational.aurora.ca_pem[role] != null, false)
    ])
    error_message = <<-EOT
      Set relational.aurora.ca_pem for each Region of the stack whose root certificates of RDS the functions don't have.
      Otherwise they can't check the certificate of the database. They have those of
      ${join(", ", local.rds_root_regions)}.
    EOT
  }

  validation {
    condition = alltrue([
      for pem in try(values(var.relational.aurora.ca_pem), []) : strcontains(coalesce(pem, local.pem), local.pem)
    ])
    error_message = "Give ca_pem of relational.aurora as the text of certificates, for example with file(\"ca.pem\")."
  }

  # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ServerlessV2ScalingConfiguration.html
  validation {
    condition = alltrue([
      for acu in try([var.relational.aurora.min_acu, var.relational.aurora.max_acu], []) :
      acu >= 0 && acu <= 256 && floor(2 * acu) == 2 * acu
    ])
    error_message = "Set min_acu and max_acu of relational.aurora to 0 to 256 in steps of 0.5, which Aurora allows."
  }

  validation {
    condition     = try(var.relational.aurora.max_acu >= max(1, var.relational.aurora.min_acu), true)
    error_message = "Set relational.aurora.max_acu to at least 1 and at least min_acu."
  }

  validation {
    condition = try(
      (var.relational.aurora.min_acu == 0) == (var.relational.aurora.seconds_until_auto_pause != null), true
    )
    error_message = <<-EOT
      Set relational.aurora.seconds_until_auto_pause together with min_acu = 0, and leave it out otherwise, because only
      an instance without a minimum capacity pauses.
    EOT
  }

  validation {
    condition = alltrue([
      for s in try([coalesce(var.relational.aurora.seconds_until_auto_pause)], []) :
      s >= 300 && s <= 86400 && floor(s) == s
    ])
    error_message = <<-EOT
      Set relational.aurora.seconds_until_auto_pause to whole seconds from 300 (five minutes) to 86400 (a day).
    EOT
  }

  # A proxy keeps connections open, so no instance would ever pause.
  # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
  validation {
    condition     = try(var.relational.aurora.proxy == null || var.relational.aurora.min_acu > 0, true)
    error_message = <<-EOT
      Remove relational.aurora.proxy, or set min_acu to at least 0.5. The proxy keeps connections open, so the cluster
      would never pause, and you would pay for both.
    EOT
  }

  # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
  validation {
    condition     = contains([1, 5, 10, 15, 30, 60], try(coalesce(var.relational.aurora.monitoring_seconds), 60))
    error_message = "Set relational.aurora.monitoring_seconds to 1, 5, 10, 15, 30 or 60, or leave it out."
  }

  validation {
    condition     = try(contains(range(0, 16), var.relational.aurora.readers), true)
    error_message = "Set relational.aurora.readers to a whole number from 0 to 15, which Aurora allows."
  }

  # Without a reader, Aurora's reader endpoint leads to the writer, and `query` refuses it.
  validation {
    condition     = try(var.relational.aurora.readers > 0 || var.relational.reads_from_writer, true)
    error_message = <<-EOT
      Set relational.aurora.readers to at least 1, or reads_from_writer to true. Otherwise every list with filter, sort
      or q gets a 503.
    EOT
  }

  validation {
    condition     = try(var.relational.aurora.proxy == null || var.relational.aurora.readers > 0, true)
    error_message = <<-EOT
      Remove relational.aurora.proxy, or set readers to at least 1, because the proxy's read-only endpoint connects to
      readers only.
    EOT
  }

  validation {
    condition     = try(contains(range(1, 36), var.relational.aurora.backup_days), true)
    error_message = "Set relational.aurora.backup_days to whole days from 1 to 35, because Aurora always keeps backups."
  }

  validation {
    condition = alltrue([
      for each in try(values(var.relational.aurora.proxy), []) : can(regex(local.secret_arn, each.secret_arn))
      if each != null
    ])
    error_message = "Give secret_arn of relational.aurora.proxy as the ARN of a secret in Secrets Manager."
  }

  validation {
    condition     = local.replica_region == null || try(var.relational.aurora.proxy.replica != null, true)
    error_message = <<-EOT
      Set relational.aurora.proxy.replica too, because the replica Region has a cluster and a proxy of its own, and a
      proxy reads secrets of its own Region only.
    EOT
  }

  validation {
    condition     = local.replica_region == null || try(var.relational.external.replica != null, true)
    error_message = "Set relational.external.replica too, because each Region writes and reads a database of its own."
  }

  validation {
    condition = alltrue([
      for each in try(values(var.relational.external), []) : can(regex(local.tcp_port, each.port)) if each != null
    ])
    error_message = "Set port of relational.external to a whole number from 1 to 65535."
  }

  validation {
    condition = alltrue([
      for each in try(values(var.relational.external), []) : can(regex(local.tcp_port, coalesce(each.reader_port, 1)))
      if each != null
    ])
    error_message = "Set reader_port of relational.external to a whole number from 1 to 65535."
  }

  validation {
    condition = alltrue([
      for each in try(values(var.relational.external), []) : each.ca_pem == null || each.tls if each != null
    ])
    error_message = "Remove ca_pem from relational.external, or set tls to true, because only TLS has certificates."
  }

  validation {
    condition = alltrue([
      for each in try(values(var.relational.external), []) : strcontains(coalesce(each.ca_pem, local.pem), local.pem)
      if each != null
    ])
    error_message = "Give ca_pem of relational.external as the text of certificates, for example with file(\"ca.pem\")."
  }

  # An instance of 1 ACU takes some 180 connections.
  validation {
    condition     = contains(range(1, 1001), try(var.relational.query_concurrency, 20))
    error_message = "Set relational.query_concurrency to a whole number from 1 to 1000."
  }

  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
  validation {
    condition     = contains(range(2, 1001), try(var.relational.feed_concurrency, 4))
    error_message = "Set relational.feed_concurrency to a whole number from 2 to 1000, which Lambda allows."
  }
}

locals {
  # The patterns of the rules above. Locals that read var.relational can't stand in them, because Terraform computes
  # those only after it has checked the variable.
  postgresql_version = "^1[678]([.][0-9]+)?$"
  secret_arn         = "^arn:[^:]+:secretsmanager:.+"
  tcp_port           = "^${local.port_pattern}$"
  pem                = "-----BEGIN CERTIFICATE-----"

  # `primary` and `replica`, if the functions don't have the root certificates of RDS of that Region.
  without_roots = [for role, region in { primary = var.region, replica = local.replica_region } :
    role if region != null && !contains(local.rds_root_regions, coalesce(region, "none"))
  ]

  # The Regions of lambda_src/readplane/stores/relational/rds_roots. tests/unit/terraform/test_rds_roots.py compares.
  rds_root_regions = [
    "af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2",
    "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ca-central-1", "eu-central-1",
    "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "me-central-1",
    "me-south-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
  ]

  # The collections that clients can list from the database.
  relational_collections = { for name, collection in local.live_collections : name => collection.relational
    if collection.relational != null
  }

  aurora = try(var.relational.aurora, null)

  # Whether Terraform refuses to delete the database of each Region.
  database_protected = {
    primary = local.aurora != null && coalesce(try(local.aurora.deletion_protection, null), var.deletion_protection)
    replica = local.aurora != null && local.replica_region != null && coalesce(
      try(local.aurora.deletion_protection, null), local.replica_protected
    )
  }
}
