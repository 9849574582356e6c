# The alarms on the database of one Region. A cluster that pauses emits nothing, or zeros. So missing data is calm in
# all of them. If lists fail, the alarm on errors of `query` and the API's alarms fire.
#
# Aurora emits the metrics of its instances under the cluster's name too, and under the cluster's name and a role.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/dimensions.html
locals {
  cluster = { DBClusterIdentifier = local.identifier }
  readers = { DBClusterIdentifier = local.identifier, Role = "READER" }

  # Each execution holds at most one connection. A frozen execution keeps its own until the server ends it, after a
  # minute, and another one may take its place meanwhile. `migrate` and the Data API add a few.
  connection_limit = 2 * (var.concurrency.query + var.concurrency.feed) + 10
}

module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions

  alarms = merge(local.alarms_of_cluster, var.aurora.readers == 0 ? {} : local.alarms_of_readers)
}

locals {
  alarms_of_cluster = {
    # Fires if an instance has more connections than the functions can hold.
    connections = {
      name     = "database-connections"
      severity = "ticket"
      effect   = "none, until the database refuses connections. Lists then get a 503."
      first    = "ops/readplane status"
      description = join(" ", [
        "An instance of ${local.identifier} has more than ${local.connection_limit} connections, which is more than",
        "query and feed can hold. Look in pg_stat_activity for who else connects, and for connections that stay idle.",
      ])

      metric = {
        namespace   = "AWS/RDS"
        metric_name = "DatabaseConnections"
        dimensions  = local.cluster
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 10 }
      threshold    = local.connection_limit
      missing_data = "notBreaching"
    }

    # Fires if an instance needs all its capacity for a quarter of an hour.
    capacity = {
      name     = "database-capacity"
      severity = "ticket"
      effect   = "lists with filter, sort or q are slow."
      first    = "ops/readplane status"
      description = join(" ", [
        "An instance of ${local.identifier} uses more than 90 % of relational.aurora.max_acu, so lists or feed become",
        "slow. Look for expensive lists in Database Insights. Then raise max_acu, or readers if lists are the load.",
      ])

      metric = {
        namespace   = "AWS/RDS"
        metric_name = "ACUUtilization"
        dimensions  = local.cluster
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 15 }
      threshold    = 90
      missing_data = "notBreaching"
    }

    # Fires if RDS refuses connections because too many sign in with IAM. RDS allows 200 a second.
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.Troubleshooting.html
    sign_in_throttled = {
      name     = "database-sign-in-throttled"
      severity = "ticket"
      effect   = "some lists with filter, sort or q get a 503."
      first    = "aws logs tail /aws/lambda/${var.name}-query --since 1h --filter-pattern database_failed"
      description = join(" ", [
        "RDS throttles IAM sign-ins to ${local.identifier}. It allows 200 a second. Look in the logs of query and",
        "feed for why connections end so soon, and lower relational.query_concurrency.",
      ])

      metric = {
        namespace   = "AWS/RDS"
        metric_name = "IamDbAuthConnectionFailureThrottling"
        dimensions  = local.cluster
        statistic   = "Sum"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 3 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if transactions deadlock again and again. PostgreSQL ends one of them, and `feed` writes its batch again. So
    # a few deadlocks do no harm.
    deadlocks = {
      name     = "database-deadlocks"
      severity = "ticket"
      effect   = "lists with filter, sort or q show changes later."
      first    = "aws logs tail /aws/lambda/${var.name}-feed --since 1h --filter-pattern store_failed"
      description = join(" ", [
        "Transactions in ${local.identifier} deadlock for minutes, which slows feed. Look in the server's log for the",
        "statements. Only feed and migrate should write: look for who else does.",
      ])

      metric = {
        namespace   = "AWS/RDS"
        metric_name = "Deadlocks"
        dimensions  = local.cluster
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 10 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }

  alarms_of_readers = {
    # Fires if a reader falls behind. `query` serves its lists all the same, because it can't see Aurora's lag.
    replica_lag = {
      name     = "database-replica-lag"
      severity = "ticket"
      effect   = "lists with filter, sort or q show old items."
      first    = "ops/readplane status"
      description = join(" ", [
        "A reader of ${local.identifier} is more than 10 seconds behind the writer, so its lists show old items.",
        "Compare the capacity of the writer and the readers in the dashboard, and raise relational.aurora.max_acu.",
      ])

      metric = {
        namespace   = "AWS/RDS"
        metric_name = "AuroraReplicaLag"
        dimensions  = local.readers
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 5 }
      threshold    = 10000
      missing_data = "notBreaching"
    }
  }
}
