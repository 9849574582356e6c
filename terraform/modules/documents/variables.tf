variable "name" {
  description = "Stack name."
  type        = string
}

variable "kms_key_arn" {
  description = "ARN of the customer managed key that encrypts the documents; null means S3's own key (SSE-S3)."
  type        = string
}

variable "access_log_bucket" {
  description = "Name of the bucket that gets S3's log of the requests to this module's buckets; null means none."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete the published documents. They can be published again from the items."
  type        = bool
}

variable "tls_only" {
  description = "Refuse plain HTTP. Set it to false only for an emulator that speaks no TLS."
  type        = bool
}

variable "roles" {
  description = "Path and permissions boundary of every IAM role that this module creates."
  type        = object({ path = string, permissions_boundary = optional(string) })
  default     = { path = "/" }
}

variable "reader_arns" {
  description = "ARNs of the CloudFront distributions that may read the documents."
  type        = list(string)
  default     = []
}
