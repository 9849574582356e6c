# The database of each Region, from which `query` lists. Each Region has its own, which `feed` fills from the items of
# that Region. So no Region waits for the other one, and either goes on if the other fails.
locals {
  relational = module.settings.relational
  aurora     = try(local.relational.aurora, null)

  has_database         = local.relational != null
  has_replica_database = local.has_database && local.has_replica

  # Whether the stack makes a cluster in each Region.
  clusters         = local.aurora == null ? 0 : 1
  replica_clusters = local.aurora != null && local.has_replica ? 1 : 0

  database_concurrency = {
    query = try(local.relational.query_concurrency, 0)
    feed  = try(local.relational.feed_concurrency, 0)
  }
}

module "relational" {
  source = "../relational"
  count  = local.clusters

  name                = module.record.name
  kms_key_arn         = local.primary_key_arn
  network             = local.networks.primary
  aurora              = local.aurora
  proxy               = try(local.aurora.proxy.primary, null)
  concurrency         = local.database_concurrency
  deletion_protection = module.settings.protected.database
  roles               = module.settings.roles
  log_retention_days  = module.settings.log_retention_days
  alarms              = module.settings.alarms
  alarm_actions       = local.alarm_actions
}

module "replica_relational" {
  source    = "../relational"
  count     = local.replica_clusters
  providers = { aws = aws.replica }

  name                = module.record.name
  kms_key_arn         = local.replica_key_arn
  network             = local.networks.replica
  aurora              = local.aurora
  proxy               = try(local.aurora.proxy.replica, null)
  concurrency         = local.database_concurrency
  deletion_protection = module.settings.protected.replica_database
  roles               = module.settings.roles
  log_retention_days  = module.settings.log_retention_days
  alarms              = module.settings.alarms
  alarm_actions       = local.replica_alarm_actions
}

locals {
  # `primary` and `replica` -> how `query` and `feed` connect to an external database.
  external_databases = { for role in ["primary", "replica"] : role => try(local.relational.external[role], null) }
  external_connections = { for role, each in local.external_databases : role => {
    query = {
      host   = each.reader
      port   = coalesce(each.reader_port, each.port)
      user   = "query"
      name   = each.name
      iam    = false
      tls    = each.tls
      ca_pem = each.ca_pem
    }
    feed = {
      host   = each.writer
      port   = each.port
      user   = "feed"
      name   = each.name
      iam    = false
      tls    = each.tls
      ca_pem = each.ca_pem

      owner     = "readplane_owner"
      owner_iam = false
      query_iam = false
    }
  } if each != null }

  # The same for the stack's own clusters. Both have the same attributes, so that either fits.
  aurora_pem = { for role in ["primary", "replica"] : role => try(local.aurora.ca_pem[role], null) }
  own_connections = merge(
    { for each in module.relational : "primary" => {
      query = merge(each.connections.query, { ca_pem = local.aurora_pem.primary })
      feed  = merge(each.connections.feed, { ca_pem = local.aurora_pem.primary })
    } },
    { for each in module.replica_relational : "replica" => {
      query = merge(each.connections.query, { ca_pem = local.aurora_pem.replica })
      feed  = merge(each.connections.feed, { ca_pem = local.aurora_pem.replica })
    } },
  )
  connections = merge(local.external_connections, local.own_connections)

  # The IAM statements with which they connect. An external database has passwords instead.
  no_statements = { query = [], feed = [] }
  database_statements = {
    primary = try(module.relational[0].statements, local.no_statements)
    replica = try(module.replica_relational[0].statements, local.no_statements)
  }

  # `primary` and `replica` -> the database there, with what `query` and `feed` need to reach it; null without.
  databases = { for role, exists in { primary = local.has_database, replica = local.has_replica_database } :
    role => exists ? merge(local.connections[role], { statements = local.database_statements[role] }) : null
  }

  # The same, as module `region` needs it for `query`.
  queries = { for role, database in local.databases : role => database == null ? null : {
    concurrency = local.database_concurrency.query
    database    = merge(database.query, { reads_from_writer = local.relational.reads_from_writer })
    statements  = database.statements.query
    vpc         = local.vpcs[role]
  } }

  # Passwords of external databases. Their names are no secret.
  password_names = nonsensitive(keys(module.settings.store_passwords))
  query_secrets = { for role, name in { primary = "query", replica = "replica_query" } : role => (
    contains(local.password_names, name) ? { READPLANE_DATABASE_PASSWORD = module.settings.store_passwords[name] } : {}
  ) }
}

# Guards the databases against being removed with the variable relational, or with a change from aurora to external. The
# rows can be made again from the items, so a plan isn't refused for it. But the protection of the cluster alone would
# refuse only when its instances are gone.
module "relational_guard" {
  source = "../guard"
  count  = local.clusters

  protected = module.settings.protected.database
  message = join(" ", [
    "The database refuses to be destroyed. Nothing of it is gone. Set relational.aurora.deletion_protection = false",
    "and run terraform apply before you remove relational.aurora. See docs/lifecycle.md.",
  ])

  depends_on = [module.relational]
}

module "replica_relational_guard" {
  source = "../guard"
  count  = local.replica_clusters

  protected = module.settings.protected.replica_database
  message = join(" ", [
    "The database of the replica Region refuses to be destroyed. Nothing of it is gone. Set",
    "relational.aurora.deletion_protection = false and run terraform apply before you remove relational.aurora or the",
    "replica. See docs/lifecycle.md.",
  ])

  depends_on = [module.replica_relational]
}

locals {
  database_setups = merge(
    { for each in module.relational : module.settings.regions.primary => each.setup },
    { for each in module.replica_relational : module.settings.regions.replica => each.setup },
  )
}

output "database_setup" {
  description = <<-EOT
    Region -> what makes the role that migrates its database, once: the cluster, the secret of its administrator, the
    database and the statement. `ops/readplane relational migrate` runs it. Empty without relational.aurora.
  EOT
  value       = local.database_setups
}
