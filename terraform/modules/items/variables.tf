variable "name" {
  description = "Name of the table."
  type        = string
}

variable "kms_key_arn" {
  description = "ARN of the customer managed key in the primary Region; null means a key that DynamoDB owns."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to delete the items table in the primary Region."
  type        = bool
}
