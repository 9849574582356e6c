variable "name" {
  description = "Stack name, which is also the `Stack` dimension of the metrics that the functions emit."
  type        = string
}

variable "notify" {
  description = "Who is notified of alarms."
  type        = object({ emails = list(string), phone_numbers = list(string) })
}

variable "kms_key_arn" {
  description = "This Region's customer managed key; null: the topic isn't encrypted (main.tf says why)."
  type        = string
}

variable "alarm_actions" {
  description = "Other SNS topics that this module's alarms notify too."
  type        = list(string)
}

variable "sources" {
  description = "The sources that this Region polls, and the seconds that their data may be behind."
  type        = map(object({ staleness_budget = number }))
  default     = {}
}
