variable "protected" {
  description = "Refuse to be destroyed."
  type        = bool
}

variable "message" {
  description = "What to do, for whoever is refused."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9 .,:;=_/-]+$", var.message))
    error_message = "Write the message without quotes and other characters that a shell might read."
  }
}
