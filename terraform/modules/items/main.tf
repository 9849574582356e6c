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

  # Lists a collection. `list_key` holds the collection and a shard number, so that no collection becomes one hot partition; an item
  # without it (a tombstone, a quarantine marker) isn't in the index at all.
  global_secondary_index {
    name            = local.index_name
    hash_key        = "list_key"
    range_key       = "item_id"
    projection_type = "ALL"
  }

  # One consumer per stream (`publish`): more than two readers of a shard are throttled, and for global tables Lambda's documentation
  # advises one. Old images show `publish` when a replicated write made an item older.
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  # Left out, DynamoDB encrypts with a key of its own, free of charge; enabled without an ARN would be the paid aws/dynamodb key.
  dynamic "server_side_encryption" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      enabled     = true
      kms_key_arn = server_side_encryption.value
    }
  }

  deletion_protection_enabled = var.deletion_protection

  lifecycle {
    # Replicas are resources of their own, below: the `replica` block can't protect them from deletion.
    ignore_changes = [replica]
  }
}

# The Region's own stream, index and TTL come with the replica; encryption, recovery and protection have to be asked for.
resource "aws_dynamodb_table_replica" "this" {
  count    = var.replica ? 1 : 0
  provider = aws.replica

  global_table_arn            = aws_dynamodb_table.this.arn
  kms_key_arn                 = var.replica_kms_key_arn
  point_in_time_recovery      = true
  deletion_protection_enabled = var.deletion_protection
}

# The replica resource doesn't tell the stream's ARN. Read through the replica's ARN, so that it is read after the replica exists.
data "aws_dynamodb_table" "replica" {
  count    = var.replica ? 1 : 0
  provider = aws.replica

  name = element(split("/", aws_dynamodb_table_replica.this[0].arn), 1)
}
