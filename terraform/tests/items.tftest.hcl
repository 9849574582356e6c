# Tests of the items table (module items) and of its replica (module items_replica).

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                = "readplane-items"
  kms_key_arn         = "arn:aws:kms:eu-central-1:111122223333:key/k"
  deletion_protection = true
}

run "table" {
  command = plan

  module {
    source = "./modules/items"
  }

  assert {
    condition     = aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "The items can't be deleted."
  }

  assert {
    condition = (
      aws_dynamodb_table.this.stream_enabled
      && aws_dynamodb_table.this.stream_view_type == "NEW_AND_OLD_IMAGES"
    )
    error_message = "The stream holds old and new images, which publish compares."
  }

  assert {
    condition     = aws_dynamodb_table.this.hash_key == "pk" && aws_dynamodb_table.this.range_key == null
    error_message = "The table's key is pk."
  }

  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST"
    error_message = "The table is billed by request."
  }

  assert {
    condition = (
      aws_dynamodb_table.this.ttl[0].enabled
      && aws_dynamodb_table.this.ttl[0].attribute_name == "expires_at"
    )
    error_message = "TTL is on, so that tombstones expire."
  }

  assert {
    condition     = aws_dynamodb_table.this.point_in_time_recovery[0].enabled
    error_message = "The table has point-in-time recovery."
  }

  assert {
    condition     = aws_dynamodb_table.this.server_side_encryption[0].kms_key_arn == var.kms_key_arn
    error_message = "The table is encrypted with the key of its Region."
  }

  assert {
    condition     = aws_dynamodb_table.this.global_secondary_index[*].name == tolist(["by_collection"])
    error_message = "The table has one index, whose name the functions get."
  }

  assert {
    condition = alltrue([for index in aws_dynamodb_table.this.global_secondary_index :
      index.hash_key == "list_key" && index.range_key == "item_id"
    ])
    error_message = "The index lists a collection. Tombstones (no list_key) aren't in it."
  }

  assert {
    condition = alltrue([
      for index in aws_dynamodb_table.this.global_secondary_index : index.projection_type == "ALL"
    ])
    error_message = "The index holds whole items, so lists need no other read."
  }

  assert {
    condition     = output.table.arn == "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"
    error_message = "The primary Region works on its own copy of the table."
  }

  assert {
    condition     = output.table.stream_arn == "${output.table.arn}/stream/2026-01-01T00:00:00.000"
    error_message = "The primary Region reads its own stream."
  }
}

run "unprotected_table_without_a_key" {
  command = plan

  module {
    source = "./modules/items"
  }

  variables {
    kms_key_arn         = null
    deletion_protection = false
  }

  assert {
    condition     = !aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "deletion_protection = false lets the table be deleted."
  }

  assert {
    condition     = !contains(aws_dynamodb_table.this.server_side_encryption[*].enabled, true)
    error_message = "Without a key, DynamoDB's own key encrypts."
  }
}

run "replica" {
  command = plan

  module {
    source = "./modules/items_replica"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/r"
    table = {
      arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"
      index_name = "by_collection"
    }
  }

  assert {
    condition     = aws_dynamodb_table_replica.this.deletion_protection_enabled
    error_message = "The replica can't be deleted."
  }

  assert {
    condition     = aws_dynamodb_table_replica.this.point_in_time_recovery
    error_message = "Every Region has point-in-time recovery."
  }

  assert {
    condition     = aws_dynamodb_table_replica.this.kms_key_arn == "arn:aws:kms:eu-west-1:111122223333:key/r"
    error_message = "The replica is encrypted with the key of its Region."
  }

  assert {
    condition     = output.table.arn == "arn:aws:dynamodb:eu-west-1:111122223333:table/readplane-items"
    error_message = "The replica Region works on its own copy of the table."
  }

  assert {
    condition     = output.table.name == "readplane-items"
    error_message = "The replica's stream is looked up by the name in the replica's ARN."
  }

  assert {
    condition     = output.table.index_name == "by_collection"
    error_message = "Both copies have the same index."
  }
}

run "unprotected_replica" {
  command = plan

  module {
    source = "./modules/items_replica"
  }

  variables {
    table               = { arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items", index_name = "i" }
    deletion_protection = false
  }

  assert {
    condition     = !aws_dynamodb_table_replica.this.deletion_protection_enabled
    error_message = "deletion_protection = false lets the replica be deleted."
  }
}
