variable "name" {
  description = "Stack name, which is also the `Stack` dimension of the metrics that the functions emit."
  type        = string
}

variable "notify" {
  description = "Who is notified of alarms."
  type        = object({ emails = list(string), phone_numbers = list(string) })
}

variable "kms_key_arn" {
  description = "This Region's customer managed key; null means that the topic isn't encrypted (main.tf says why)."
  type        = string
}

variable "alarm_actions" {
  description = "SNS topics that this module's alarms notify, in addition to the module's own topic."
  type        = list(string)
}

variable "sources" {
  description = "Source name -> its staleness budget in seconds, for each source that this Region polls."
  type        = map(object({ staleness_budget = number }))
  default     = {}
}
