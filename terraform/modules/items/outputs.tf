output "primary" {
  description = "Name, ARNs and index of the items table in the primary Region."
  value = {
    name       = aws_dynamodb_table.this.name
    arn        = aws_dynamodb_table.this.arn
    stream_arn = aws_dynamodb_table.this.stream_arn
    index_name = local.index_name
  }
}

output "replica" {
  description = "Name, ARNs and index of the items table in the replica Region; null without a replica."
  value = var.replica ? {
    name       = data.aws_dynamodb_table.replica[0].name
    arn        = aws_dynamodb_table_replica.this[0].arn
    stream_arn = data.aws_dynamodb_table.replica[0].stream_arn
    index_name = local.index_name
  } : null
}

output "deletion_protection" {
  description = "Whether the items table is protected against deletion, for tests."
  value       = aws_dynamodb_table.this.deletion_protection_enabled
}
