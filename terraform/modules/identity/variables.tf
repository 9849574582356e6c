variable "name" {
  description = "Stack name, which is also the pool's name and the identifier of the resource server."
  type        = string
}

variable "groups" {
  description = "Groups that may write to a collection."
  type        = set(string)
}

variable "mfa" {
  description = "OFF, OPTIONAL (each user may add an authenticator app) or ON."
  type        = string
}

variable "self_sign_up" {
  description = "Let anybody register; false means that only administrators create users."
  type        = bool
}

variable "deletion_protection" {
  description = "Refuse to delete the pool, because its users' passwords can't be restored."
  type        = bool
}

variable "web" {
  description = "URLs to which the hosted sign-in page returns the browser."
  type        = object({ callback_urls = list(string), logout_urls = list(string) })
}

variable "mobile" {
  description = "URLs with which the hosted sign-in page opens the mobile application again."
  type        = object({ callback_urls = list(string), logout_urls = list(string) })
}

variable "tokens" {
  description = "Lifetimes of tokens. Keep access_minutes short, because an access token stays valid after sign-out."
  type        = object({ access_minutes = number, id_minutes = number, refresh_days = number })
}
