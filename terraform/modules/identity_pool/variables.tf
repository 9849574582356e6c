variable "name" {
  description = "Stack name."
  type        = string
}

variable "issuer" {
  description = "Issuer of the user pool's tokens: https://cognito-idp.<Region>.<suffix>/<id of the pool>."
  type        = string
}

variable "client_id" {
  description = "Id of the Cognito client whose users get credentials."
  type        = string
}

variable "documents" {
  description = <<-EOT
    Region's role in the stack (primary, replica) -> the documents bucket there, and the key that encrypts it (null: a
    key that AWS owns).
  EOT
  type        = map(object({ region = string, arn = string, kms_key_arn = optional(string) }))
}

variable "collections" {
  description = "The owner collections whose documents their owners may read."
  type        = set(string)
}

variable "roles" {
  description = "Path and permissions boundary of the IAM role that this module creates."
  type        = object({ path = string, permissions_boundary = optional(string) })
  default     = { path = "/" }
}
