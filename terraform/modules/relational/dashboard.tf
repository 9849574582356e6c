# The row of the dashboard about the database.
locals {
  # One line for the writer, and one for the reader that has the greatest capacity.
  roles = concat(["WRITER"], var.aurora.readers == 0 ? [] : ["READER"])
  capacities = [for role in local.roles :
    ["AWS/RDS", "ServerlessDatabaseCapacity", "DBClusterIdentifier", local.identifier, "Role", role]
  ]

  # Title of each widget -> its metrics, with their dimensions, and the statistic.
  widgets = [
    {
      title   = "Capacity of the database: ACU of the writer and of the readers"
      metrics = local.capacities
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
