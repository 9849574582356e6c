# The replica of an items table in the replica Region. It is a module of its own, so that the primary Region waits only
# for the table: a new replica of a large table takes hours.
#
# The replica gets its stream, index and TTL from the table. Encryption, point-in-time recovery and deletion protection
# must be set on the replica itself. The provider replaces the replica if its key changes, because DynamoDB sets the key
# only when it makes the replica. Module `record` refuses such a plan.
resource "aws_dynamodb_table_replica" "this" {
  global_table_arn            = var.table.arn
  kms_key_arn                 = var.kms_key_arn
  point_in_time_recovery      = true
  deletion_protection_enabled = var.deletion_protection

  # A new replica gets all items of the table before it is active. For a large table, that takes longer than the
  # provider's default of 30 minutes.
  timeouts {
    create = "12h"
  }

  # Terraform deletes the replica only when no function of its Region writes to it any more.
  lifecycle {
    create_before_destroy = true
  }
}

module "stream" {
  source = "./stream"

  arn = aws_dynamodb_table_replica.this.arn
}
