output "table" {
  description = "Name, ARNs and index of the items table in the replica Region."
  value = {
    name       = module.stream.table_name
    arn        = aws_dynamodb_table_replica.this.arn
    stream_arn = module.stream.arn
    index_name = var.table.index_name
  }
}
