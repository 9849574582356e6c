variable "name" {
  description = "Stack name."
  type        = string
}

variable "replica" {
  description = "Create a replica in the Region of the `aws.replica` provider."
  type        = bool
}

variable "kms_key_arn" {
  description = "Customer managed key of this Region; null means the key that DynamoDB owns."
  type        = string
}

variable "replica_kms_key_arn" {
  description = "Customer managed key of the replica's Region; null means the key that DynamoDB owns."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to delete the table, in both Regions."
  type        = bool
}
