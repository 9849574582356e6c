locals {
  index_name = "by_collection"
}

resource "aws_dynamodb_table" "this" {
  name         = "${var.name}-items"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "list_key"
    type = "S"
  }

  attribute {
    name = "item_id"
    type = "S"
  }

  # The index with which `read` lists a collection. `list_key` holds the collection and a shard number, so that a large
  # collection is spread over several partitions. Entries without `list_key` (tombstones, quarantine markers) aren't in
  # the index.
  global_secondary_index {
    name            = local.index_name
    hash_key        = "list_key"
    range_key       = "item_id"
    projection_type = "ALL"
  }

  # Only `publish` may read the items stream, because Lambda's documentation advises against a second reader of a global
  # table's stream. (For any table, DynamoDB throttles readers if a shard of the stream has more than two.)
  #
  # The stream carries the old image too, because only that shows `publish` whether a replicated write has replaced an
  # item with an older version.
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  # The block is left out if there is no customer managed key. DynamoDB then encrypts with a key that it owns, free of
  # charge. With `enabled = true` but no ARN, DynamoDB would use the key aws/dynamodb, which costs money.
  dynamic "server_side_encryption" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      enabled     = true
      kms_key_arn = server_side_encryption.value
    }
  }

  deletion_protection_enabled = var.deletion_protection

  lifecycle {
    # Ignore the replica in this resource. The replica is a resource of its own (below), because a `replica` block can't
    # protect a replica from deletion.
    ignore_changes = [replica]
  }
}

# The replica of the items table in the replica Region. It gets its stream, index and TTL from the table. Encryption,
# point-in-time recovery and deletion protection must be set on the replica itself. The provider replaces the replica if
# its key changes, because DynamoDB sets the key only when it makes the replica. Module `record` refuses such a plan.
resource "aws_dynamodb_table_replica" "this" {
  count    = var.replica ? 1 : 0
  provider = aws.replica

  global_table_arn            = aws_dynamodb_table.this.arn
  kms_key_arn                 = var.replica_kms_key_arn
  point_in_time_recovery      = true
  deletion_protection_enabled = var.replica_deletion_protection

  # A new replica gets all items of the table before it is active. For a large table, that takes longer than the
  # provider's default of 30 minutes.
  timeouts {
    create = "12h"
  }
}

# Looks up the ARN of the replica's stream, because the replica resource doesn't export it. The name comes from the
# replica's ARN, so that Terraform reads this data source only after the replica exists.
data "aws_dynamodb_table" "replica" {
  count    = var.replica ? 1 : 0
  provider = aws.replica

  name = element(split("/", aws_dynamodb_table_replica.this[0].arn), 1)
}
