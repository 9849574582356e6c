# The row of the dashboard about the database.
locals {
  # Title of each widget -> its metrics, with their dimensions, and the statistic.
  widgets = [
    {
      title   = "Capacity of the database: ACU of its instances"
      metrics = [["AWS/RDS", "ServerlessDatabaseCapacity", "DBClusterIdentifier", local.identifier]]
      stat    = "Maximum"
    },
    {
      title   = "Connections of an instance"
      metrics = [["AWS/RDS", "DatabaseConnections", "DBClusterIdentifier", local.identifier]]
      stat    = "Maximum"
    },
    {
      title   = "Lag of the readers (ms)"
      metrics = [["AWS/RDS", "AuroraReplicaLag", "DBClusterIdentifier", local.identifier, "Role", "READER"]]
      stat    = "Maximum"
    },
    {
      title   = "Lists: duration of query (ms)"
      metrics = [["AWS/Lambda", "Duration", "FunctionName", "${var.name}-query"]]
      stat    = "p99"
    },
  ]
}

output "widgets" {
  description = "A row of the dashboard: title, metrics and statistic of each widget."
  value       = local.widgets
}
