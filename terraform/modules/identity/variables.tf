variable "name" {
  description = "Stack name. It is also the name of the user pool and the identifier of the resource server."
  type        = string
}

variable "groups" {
  description = "Names of the user groups that may write to some collection."
  type        = set(string)
}

variable "user_pool" {
  description = <<-EOT
    A user pool that the team already has, in this Region; null means that the stack creates its own. The stack adds its
    resource server, its clients and (with create_groups) its groups to the pool, and changes nothing else in it.
    client_ids: other clients of the pool whose tokens the functions accept.
    accept_srp: accept tokens of SRP sign-in, which have no scope of this stack.
    sign_in_url: URL of the pool's sign-in page, for the output of that name.
  EOT
  type = object({
    arn           = string
    client_ids    = optional(list(string), [])
    accept_srp    = optional(bool, false)
    create_groups = optional(bool, true)
    sign_in_url   = optional(string)
  })
  default = null
}

variable "email" {
  description = "The SES identity with which Cognito sends e-mail, and its addresses; null means Cognito's own sender."
  type        = object({ ses_arn = string, from = string, reply_to = optional(string) })
  default     = null
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
