# Module `readplane` has already checked these values.

variable "name" {
  description = "Name of the stack."
  type        = string
}

variable "region" {
  description = "Primary Region of the stack."
  type        = string
}

variable "monthly_usd" {
  description = "What the stack may cost in a calendar month, in US dollars."
  type        = number
}

variable "emails" {
  description = "The addresses that AWS Budgets notifies, at most ten. They need no confirmation."
  type        = list(string)
}

variable "tag" {
  description = "The tag whose costs the budget counts; null counts all costs of the account."
  type        = object({ key = string, value = string })
  default     = null
}

variable "tags" {
  description = "The tags that the provider gives every resource of the stack."
  type        = map(string)
}
