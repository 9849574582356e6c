variable "name" {
  description = "Stack name; also the `Stack` dimension of the metrics that the functions emit."
  type        = string
}

variable "notify" {
  description = "Who hears of alarms."
  type        = object({ emails = list(string), phone_numbers = list(string) })
}

variable "kms_key_arn" {
  description = "This Region's customer managed key; null: the topic isn't encrypted, because CloudWatch can't use a key that AWS manages."
  type        = string
}

variable "alarm_actions" {
  description = "Further SNS topics that this module's alarms notify."
  type        = list(string)
}

variable "sources" {
  description = "The sources that are polled in this Region, and the age in seconds that their data may have."
  type        = map(object({ staleness_budget = number }))
  default     = {}
}
