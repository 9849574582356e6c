variable "name" {
  description = "Stack name."
  type        = string
}

variable "kms_key_arn" {
  description = "ARN of the customer managed key that encrypts the documents; null means S3's own key (SSE-S3)."
  type        = string
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete the published documents. They can be published again from the items."
  type        = bool
}

variable "tls_only" {
  description = "Refuse plain HTTP. Set it to false only for an emulator that speaks no TLS."
  type        = bool
}
