# Tests of module relational: the cluster, who reaches it, its proxy and its alarms. No emulator runs Aurora, so only
# these tests check what Terraform asks AWS for.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name        = "shop"
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k"
  network = {
    vpc_id             = "vpc-0123456789abcdef0"
    subnet_ids         = ["subnet-0a", "subnet-0b"]
    functions_group_id = "sg-0f"
  }
  aurora = {
    engine_version       = "18"
    min_acu              = 0.5
    max_acu              = 4
    readers              = 2
    backup_days          = 7
    final_snapshot       = true
    performance_insights = false
    data_api             = true
  }
  concurrency         = { query = 20, feed = 4 }
  deletion_protection = true
  log_retention_days  = 30
  alarms              = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:team"]
  }

  # What the assertions expect.
  users       = "arn:aws:rds-db:eu-central-1:111122223333:dbuser"
  writer_host = "readplane-database.cluster-a1b2c3.eu-central-1.rds.amazonaws.com"
  reader_host = "readplane-database.cluster-ro-a1b2c3.eu-central-1.rds.amazonaws.com"
  proxy_host  = "readplane-database-readers.endpoint.proxy-a1b2c3.eu-central-1.rds.amazonaws.com"
  secret_arn  = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:query-AbCdEf"
}

run "a_cluster_with_two_readers" {
  command = plan

  module {
    source = "./modules/relational"
  }

  variables {
    query_connection = {
      host = var.reader_host
      port = 5432
      name = "readplane"
      user = "query"
      iam  = true
      tls  = true
    }
    feed_connection = {
      host      = var.writer_host
      port      = 5432
      name      = "readplane"
      user      = "feed"
      iam       = true
      tls       = true
      owner     = "readplane_owner"
      owner_iam = true
      query_iam = true
    }
    feed_users = [
      "${var.users}:cluster-ABCDEFGHIJKL01234/feed",
      "${var.users}:cluster-ABCDEFGHIJKL01234/readplane_owner",
    ]
    parameters = [
      "log_min_duration_statement=1000",
      "log_parameter_max_length=0",
      "log_parameter_max_length_on_error=0",
      "log_statement=none",
      "rds.force_ssl=1",
    ]
    thresholds = {
      capacity          = ["ACUUtilization", "Maximum", 90]
      connections       = ["DatabaseConnections", "Maximum", 58]
      deadlocks         = ["Deadlocks", "Maximum", 0]
      replica_lag       = ["AuroraReplicaLag", "Maximum", 10000]
      sign_in_throttled = ["IamDbAuthConnectionFailureThrottling", "Sum", 0]
    }
  }

  assert {
    condition = [aws_rds_cluster_parameter_group.this.name, aws_rds_cluster_parameter_group.this.family] == [
      "shop-database-18", "aurora-postgresql18",
    ]
    error_message = "A major version names its own parameter group, so that an upgrade can change to the next one."
  }

  assert {
    condition     = aws_rds_cluster.this.engine_version == "18" && aws_rds_cluster.this.allow_major_version_upgrade
    error_message = "The cluster has the version of the settings, and Terraform may raise it."
  }

  assert {
    condition = [for parameter in aws_rds_cluster_parameter_group.this.parameter :
      "${parameter.name}=${parameter.value}"
    ] == var.parameters
    error_message = "The server refuses connections without TLS, and logs no values of clients and no passwords."
  }

  assert {
    condition     = aws_rds_cluster.this.enabled_cloudwatch_logs_exports == toset(["postgresql"])
    error_message = "Operators read the server's log in CloudWatch."
  }

  assert {
    condition     = aws_cloudwatch_log_group.postgresql.name == "/aws/rds/cluster/shop-database/postgresql"
    error_message = "RDS writes the log into a log group of the stack, because it would make one that keeps all."
  }

  assert {
    condition = [for group in [aws_cloudwatch_log_group.postgresql] : [group.retention_in_days, group.kms_key_id]] == [
      [30, var.kms_key_arn],
    ]
    error_message = "The log is kept as long as the other logs, and encrypted as they are."
  }

  assert {
    condition     = length(aws_iam_role.monitoring) == 0 && aws_rds_cluster_instance.writer.monitoring_interval == 0
    error_message = "Enhanced monitoring costs money, so there is none unless the settings ask for it."
  }

  assert {
    condition     = aws_rds_cluster.this.manage_master_user_password && aws_rds_cluster.this.master_password == null
    error_message = "RDS keeps the password, so the state has none."
  }

  assert {
    condition     = aws_rds_cluster.this.iam_database_authentication_enabled
    error_message = "The functions sign in with IAM."
  }

  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.kms_key_id == var.kms_key_arn
    error_message = "The stack's key encrypts the cluster."
  }

  assert {
    condition     = aws_rds_cluster.this.deletion_protection && !aws_rds_cluster.this.skip_final_snapshot
    error_message = "A protected cluster stays, and leaves a snapshot when it goes."
  }

  assert {
    condition = [for scaling in aws_rds_cluster.this.serverlessv2_scaling_configuration :
      [scaling.min_capacity, scaling.max_capacity]
    ] == [[0.5, 4]]
    error_message = "The cluster has the capacity of the settings."
  }

  assert {
    condition = [for reader in aws_rds_cluster_instance.reader : [reader.identifier, reader.promotion_tier]] == [
      ["shop-database-2", 15], ["shop-database-3", 15],
    ]
    error_message = "Readers scale and pause without the writer."
  }

  assert {
    condition     = aws_rds_cluster_instance.writer.promotion_tier == 0
    error_message = "In a failover, Aurora promotes a reader only if it has no other instance."
  }

  assert {
    condition = alltrue([
      for reader in aws_rds_cluster_instance.reader : reader.auto_minor_version_upgrade && !reader.publicly_accessible
    ])
    error_message = "No instance is public, and AWS upgrades the minor version."
  }

  assert {
    condition     = !aws_rds_cluster_instance.reader[0].performance_insights_enabled
    error_message = "Insights are off."
  }

  assert {
    condition = [for rule in [aws_vpc_security_group_ingress_rule.functions] :
      [rule.ip_protocol, rule.from_port, rule.to_port]
    ] == [["tcp", 5432, 5432]]
    error_message = "The functions reach PostgreSQL, and nothing else there."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.functions.referenced_security_group_id == "sg-0f"
    error_message = "Only the functions' group reaches the database."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.functions.security_group_id == "sg-0f"
    error_message = "The functions' group lets them out to the database."
  }

  assert {
    condition     = output.connections == { query = var.query_connection, feed = var.feed_connection }
    error_message = "query connects to the readers, and feed to the writer."
  }

  assert {
    condition     = output.statements.query[0].Resource == ["${var.users}:cluster-ABCDEFGHIJKL01234/query"]
    error_message = "query connects to this cluster only, and as query only."
  }

  assert {
    condition     = output.statements.feed[0].Resource == var.feed_users
    error_message = "Each function connects to this cluster only, and under its own names only."
  }

  assert {
    condition     = length(aws_db_proxy.this) == 0 && length(aws_iam_role.proxy) == 0
    error_message = "A proxy costs money, so there is none unless the settings ask for it."
  }

  assert {
    condition = var.thresholds == { for key, alarm in module.alarms[0].alarms :
      key => [alarm.metric_name, alarm.statistic, alarm.threshold]
    }
    error_message = "Each alarm watches a metric that Aurora emits."
  }

  assert {
    condition     = alltrue([for a in values(module.alarms[0].alarms) : a.treat_missing_data == "notBreaching"])
    error_message = "A paused cluster emits nothing, which is no fault."
  }

  assert {
    condition     = startswith(output.setup.sql, "DO $$ BEGIN ") && endswith(output.setup.sql, " END $$")
    error_message = "The Data API takes one statement."
  }
}

run "a_cluster_that_pauses_and_has_no_reader" {
  command = plan

  module {
    source = "./modules/relational"
  }

  variables {
    kms_key_arn = null
    aurora = {
      engine_version           = "17.6"
      min_acu                  = 0
      max_acu                  = 1
      seconds_until_auto_pause = 600
      readers                  = 0
      backup_days              = 1
      final_snapshot           = false
      performance_insights     = true
      monitoring_seconds       = 60
      data_api                 = false
    }
    deletion_protection = false

    monitoring_log = "arn:aws:logs:eu-central-1:111122223333:log-group:RDSOSMetrics"
    monitoring_condition = {
      StringEquals = { "aws:SourceAccount" = "111122223333" }
      ArnLike      = { "aws:SourceArn" = "arn:aws:rds:eu-central-1:111122223333:db:shop-database-*" }
    }
  }

  assert {
    condition     = one(aws_rds_cluster.this.serverlessv2_scaling_configuration).seconds_until_auto_pause == 600
    error_message = "The cluster pauses after the seconds of the settings."
  }

  assert {
    condition     = !aws_rds_cluster_instance.writer.auto_minor_version_upgrade
    error_message = "If the settings name a minor version, only Terraform upgrades it."
  }

  assert {
    condition     = aws_rds_cluster_parameter_group.this.family == "aurora-postgresql17"
    error_message = "A minor version has the parameter group of its major version."
  }

  assert {
    condition     = aws_rds_cluster.this.skip_final_snapshot && aws_rds_cluster.this.final_snapshot_identifier == null
    error_message = "final_snapshot = false leaves nothing behind."
  }

  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && !aws_rds_cluster.this.enable_http_endpoint
    error_message = "Without a key of the stack, a key of AWS encrypts the cluster."
  }

  assert {
    condition     = aws_rds_cluster_instance.writer.monitoring_interval == 60 && length(aws_iam_role.monitoring) == 1
    error_message = "RDS measures the operating system as often as the settings say."
  }

  assert {
    condition = [for s in jsondecode(output.policies.monitoring).Statement : s.Resource] == [
      [var.monitoring_log], ["${var.monitoring_log}:log-stream:*"],
    ]
    error_message = "RDS writes the measurements into the log group that it has for them, and nowhere else."
  }

  assert {
    condition     = jsondecode(output.policies.monitoring_trust).Statement[0].Condition == var.monitoring_condition
    error_message = "Only the instances of this cluster use the role."
  }

  assert {
    condition     = !contains(keys(module.alarms[0].alarms), "replica_lag")
    error_message = "Without a reader, no reader can be behind."
  }
}

run "a_proxy_before_the_readers" {
  command = plan

  module {
    source = "./modules/relational"
  }

  variables {
    proxy = { secret_arn = var.secret_arn, kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/s" }
  }

  assert {
    condition     = [aws_db_proxy.this[0].require_tls, one(aws_db_proxy.this[0].auth).iam_auth] == [true, "REQUIRED"]
    error_message = "The proxy takes only connections with TLS that IAM allows."
  }

  assert {
    condition     = aws_db_proxy_endpoint.readers[0].target_role == "READ_ONLY"
    error_message = "query reaches the readers through the proxy."
  }

  assert {
    condition     = output.connections.query.host == var.proxy_host && output.connections.query.iam
    error_message = "query connects to the proxy."
  }

  assert {
    condition     = output.statements.query[0].Resource == ["${var.users}:prx-0123456789abcdef0/query"]
    error_message = "query may connect to the proxy, and not around it."
  }

  assert {
    condition     = output.connections.feed.host == var.writer_host && !output.connections.feed.query_iam
    error_message = "feed connects to the writer itself. The proxy signs in as query with a password."
  }

  assert {
    condition = [for s in jsondecode(output.policies.proxy).Statement : s.Resource] == [
      [var.secret_arn], [var.proxy.kms_key_arn],
    ]
    error_message = "The proxy reads one secret."
  }

  assert {
    condition = [for s in jsondecode(output.policies.proxy).Statement : s.Action] == [
      ["secretsmanager:GetSecretValue"], ["kms:Decrypt"],
    ]
    error_message = "The proxy changes nothing."
  }

  assert {
    condition     = !strcontains(output.policies.proxy, "null")
    error_message = "IAM refuses a condition that is null."
  }
}
