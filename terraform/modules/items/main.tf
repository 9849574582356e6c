locals {
  index_name = "by_collection"
}

resource "aws_dynamodb_table" "this" {
  name         = var.name
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
    # Ignore the replica in this resource. The replica is a resource of its own (module items_replica), because a
    # `replica` block can't protect a replica from deletion.
    ignore_changes = [replica]

    # Terraform deletes a second table only when no function writes to it any more. Otherwise it would delete the table
    # before it changes the functions, and `apply` would fail meanwhile.
    create_before_destroy = true
  }
}
