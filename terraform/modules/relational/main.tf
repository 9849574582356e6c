# The Aurora PostgreSQL cluster of one Region, from which `query` lists and into which `feed` writes. Its rows are
# copies of items, so nothing is lost with it: `ops/readplane relational migrate` and a rebuild make it again.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix

  identifier = "${var.name}-database"
  port       = 5432
  database   = "readplane"
  admin      = "readplane_admin"
  owner      = "readplane_owner"

  # With a minor version, such as 18.3, only Terraform upgrades. With a major version alone, AWS chooses the minor
  # version and upgrades it. The provider compares only the part that is set, so such an upgrade is no drift.
  major_version = split(".", var.aurora.engine_version)[0]
  aws_upgrades  = var.aurora.engine_version == local.major_version
}

# Its id makes the final snapshot's name unique. AWS refuses a name that exists already, and the snapshot of an earlier
# cluster of this stack stays.
resource "terraform_data" "final_snapshot" {
  input = local.identifier
}

# What happens when it changes:
#
# - Capacity, backups, insights and protection change in place, at once.
# - A later minor or major version upgrades in place. AWS stops the database for up to some minutes. Meanwhile lists
#   with filter, sort or q get a 503, `feed` retries, and item reads and documents go on. A major version needs
#   allow_major_version_upgrade and the parameter group of its family in the same call.
# - An apply that stops halfway leaves a cluster with fewer instances. The next apply makes the rest.
# - AWS can't change the key of a cluster, and the provider would replace the cluster. So the key stays as it was. To
#   encrypt with another key, remove `relational` and add it again (docs/lifecycle.md).
resource "aws_rds_cluster" "this" {
  #checkov:skip=CKV2_AWS_8:Aurora itself keeps backups for backup_days, and the rows can be made again from items.

  cluster_identifier = local.identifier
  engine             = "aurora-postgresql"
  engine_mode        = "provisioned" # that is also the mode of Serverless v2
  engine_version     = var.aurora.engine_version

  allow_major_version_upgrade = true

  # The change happens in the apply that shows it, and not in the next maintenance window.
  apply_immediately = true

  database_name = local.database
  port          = local.port

  # RDS makes the password, keeps it in Secrets Manager and changes it every week, so Terraform's state has none. Only
  # whoever makes the role of the owner uses it, once. The functions sign in with IAM.
  master_username               = local.admin
  manage_master_user_password   = true
  master_user_secret_kms_key_id = var.kms_key_arn

  iam_database_authentication_enabled = true

  # The Data API runs a statement for whoever may read that secret. A laptop, which doesn't reach the VPC, makes the
  # role of the owner with it.
  enable_http_endpoint = var.aurora.data_api

  # Without a key, AWS encrypts with the key aws/rds, which is free.
  storage_encrypted = true
  kms_key_id        = var.kms_key_arn

  db_subnet_group_name            = aws_db_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.this.id]
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this.name

  # The server's own log stays for three days, and whoever reads it resumes a paused instance.
  enabled_cloudwatch_logs_exports = ["postgresql"]

  backup_retention_period = var.aurora.backup_days
  copy_tags_to_snapshot   = true
  deletion_protection     = var.deletion_protection
  skip_final_snapshot     = !var.aurora.final_snapshot
  final_snapshot_identifier = (
    var.aurora.final_snapshot ? "${local.identifier}-${terraform_data.final_snapshot.id}" : null
  )

  serverlessv2_scaling_configuration {
    min_capacity             = var.aurora.min_acu
    max_capacity             = var.aurora.max_acu
    seconds_until_auto_pause = var.aurora.seconds_until_auto_pause
  }

  lifecycle {
    ignore_changes = [kms_key_id, master_user_secret_kms_key_id]
  }

  # RDS would make the log group itself, which would keep its entries forever.
  depends_on = [aws_cloudwatch_log_group.postgresql]
}

# The instance that is written. It is a resource of its own, because Aurora makes the first instance of a cluster the
# writer. After a failover another instance is the writer, and Terraform changes nothing.
resource "aws_rds_cluster_instance" "writer" {
  identifier         = "${local.identifier}-1"
  cluster_identifier = aws_rds_cluster.this.cluster_identifier
  instance_class     = "db.serverless"
  engine             = aws_rds_cluster.this.engine
  promotion_tier     = 0

  publicly_accessible        = false
  auto_minor_version_upgrade = local.aws_upgrades
  apply_immediately          = true

  performance_insights_enabled    = var.aurora.performance_insights
  performance_insights_kms_key_id = var.aurora.performance_insights ? var.kms_key_arn : null

  monitoring_interval = local.monitoring_seconds
  monitoring_role_arn = one(aws_iam_role.monitoring[*].arn)

  depends_on = [aws_iam_role_policy.monitoring]
}

# The instances that serve lists. A reader of the promotion tier 0 or 1 would have the capacity of the writer and pause
# with it. Readers of the tier 15 scale with their own load and pause alone.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-setting-capacity.html
resource "aws_rds_cluster_instance" "reader" {
  count = var.aurora.readers

  identifier         = "${local.identifier}-${count.index + 2}"
  cluster_identifier = aws_rds_cluster.this.cluster_identifier
  instance_class     = "db.serverless"
  engine             = aws_rds_cluster.this.engine
  promotion_tier     = 15

  publicly_accessible        = false
  auto_minor_version_upgrade = local.aws_upgrades
  apply_immediately          = true

  performance_insights_enabled    = var.aurora.performance_insights
  performance_insights_kms_key_id = var.aurora.performance_insights ? var.kms_key_arn : null

  monitoring_interval = local.monitoring_seconds
  monitoring_role_arn = one(aws_iam_role.monitoring[*].arn)

  depends_on = [aws_rds_cluster_instance.writer, aws_iam_role_policy.monitoring]
}

# The settings of the server. The roles have settings of their own, which `migrate` makes (ALTER ROLE … SET), because
# a statement that sets one would pin the connection of a proxy.
#
# A group belongs to one major version. So each has a group with its own name, and Terraform makes the new one before it
# deletes the old one.
resource "aws_rds_cluster_parameter_group" "this" {
  name        = "${local.identifier}-${local.major_version}"
  description = "${var.name}: PostgreSQL ${local.major_version}"
  family      = "aurora-postgresql${local.major_version}"

  # Refuses connections without TLS.
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  # The log has the text of each statement that takes longer than a second. The functions bind all values as parameters,
  # and the log has none of them, because clients filter by personal data.
  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  parameter {
    name  = "log_parameter_max_length"
    value = "0"
  }

  parameter {
    name  = "log_parameter_max_length_on_error"
    value = "0"
  }

  # No other statement is logged, because a statement that sets a password holds it. AWS advises the same.
  # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_LogAccess.Concepts.PostgreSQL.Query_Logging.html
  parameter {
    name  = "log_statement"
    value = "none"
  }

  lifecycle {
    create_before_destroy = true
  }
}
