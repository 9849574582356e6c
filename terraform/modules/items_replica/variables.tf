variable "table" {
  description = "ARN and index of the items table in the primary Region."
  type        = object({ arn = string, index_name = string })
}

variable "kms_key_arn" {
  description = "ARN of the customer managed key in the replica Region; null means a key that DynamoDB owns."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to delete the replica."
  type        = bool
}
