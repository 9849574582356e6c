# The stream of a replica of a table, because the provider's resource of a replica doesn't export it.
#
# This is a module, so that the data source gets the ARN through a variable. Terraform puts off a data source that names
# a resource with any pending change. The stream would then be unknown at plan, so Terraform would replace the event
# source mapping that reads it. Through a variable, only an unknown ARN puts it off: that of a new replica.
variable "arn" {
  description = "ARN of the replica."
  type        = string
}

data "aws_dynamodb_table" "this" {
  name = element(split("/", var.arn), 1)
}

output "arn" {
  description = "ARN of the replica's stream."
  value       = data.aws_dynamodb_table.this.stream_arn
}

output "table_name" {
  description = "Name of the replica's table."
  value       = data.aws_dynamodb_table.this.name
}
