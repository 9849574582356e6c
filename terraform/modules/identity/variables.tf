variable "name" {
  description = "Stack name. It is also the name of the user pool and the identifier of the resource server."
  type        = string
}

variable "groups" {
  description = "Names of the user groups that may write to some collection."
  type        = set(string)
}

variable "mfa" {
  description = "Multi-factor authentication: OFF, OPTIONAL (each user may add an authenticator app) or ON."
  type        = string
}

variable "self_sign_up" {
  description = "Let anybody register; false means that only administrators create users."
  type        = bool
}

variable "deletion_protection" {
  description = "Refuse to delete the user pool, because the passwords of its users can't be restored."
  type        = bool
}

variable "web" {
  description = <<-EOT
    URLs to which Cognito's hosted page returns the browser after sign-in (callback) and sign-out (logout).
  EOT
  type        = object({ callback_urls = list(string), logout_urls = list(string) })
}

variable "mobile" {
  description = "URLs with which Cognito's hosted page opens the mobile application again after sign-in and sign-out."
  type        = object({ callback_urls = list(string), logout_urls = list(string) })
}

variable "tokens" {
  description = <<-EOT
    Lifetimes of the tokens. Keep access_minutes short, because an access token stays valid after the user signs out.
  EOT
  type        = object({ access_minutes = number, id_minutes = number, refresh_days = number })
}
