variable "name" {
  description = "Stack name."
  type        = string
}

variable "replica" {
  description = "Create a replica of the items table in the Region of the `aws.replica` provider."
  type        = bool
}

variable "kms_key_arn" {
  description = "ARN of the customer managed key in the primary Region; null means a key that DynamoDB owns."
  type        = string
}

variable "replica_kms_key_arn" {
  description = "ARN of the customer managed key in the replica Region; null means a key that DynamoDB owns."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to delete the items table in the primary Region."
  type        = bool
}

variable "replica_deletion_protection" {
  description = "Refuse to delete the items table's replica."
  type        = bool
}
