variable "name" {
  description = "Stack name; prefix of the pool, identifier of the resource server."
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
  description = "Let anybody register; false: only administrators create users."
  type        = bool
}

variable "deletion_protection" {
  description = "Refuse to delete the pool: its users' passwords can't be restored from anywhere."
  type        = bool
}

variable "web" {
  description = "Where the hosted sign-in page sends the browser back to."
  type        = object({ callback_urls = list(string), logout_urls = list(string) })
}

variable "mobile" {
  description = "Where the hosted sign-in page sends the mobile application back to."
  type        = object({ callback_urls = list(string), logout_urls = list(string) })
}

variable "tokens" {
  description = "Lifetimes. A signed-out user's access token stays valid until it expires: keep it short."
  type        = object({ access_minutes = number, id_minutes = number, refresh_days = number })
}
