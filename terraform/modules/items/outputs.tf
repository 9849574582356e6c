output "table" {
  description = "Name, ARNs and index of the items table in the primary Region."
  value = {
    name       = aws_dynamodb_table.this.name
    arn        = aws_dynamodb_table.this.arn
    stream_arn = aws_dynamodb_table.this.stream_arn
    index_name = local.index_name
  }
}

output "deletion_protection" {
  description = "Whether the items table is protected against deletion, for tests."
  value       = aws_dynamodb_table.this.deletion_protection_enabled
}
