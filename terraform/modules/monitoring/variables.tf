variable "name" {
  description = "Stack name. It is also the value of the dimension `Stack` of the metrics that the functions emit."
  type        = string
}

variable "notify" {
  description = "E-mail addresses and phone numbers that the alarms notify."
  type        = object({ emails = list(string), phone_numbers = list(string) })
}

variable "kms_key_arn" {
  description = <<-EOT
    ARN of this Region's customer managed key; null means that the topic isn't encrypted (main.tf says why).
  EOT
  type        = string
}

variable "alarm_actions" {
  description = "ARNs of SNS topics that this module's alarms notify, in addition to the module's own topic."
  type        = list(string)
}

variable "stores" {
  description = "The dashboard's widgets about the private stores, four in a row: title, metrics and statistic of each."
  type        = list(object({ title = string, metrics = list(list(string)), stat = string }))
  default     = []
}

variable "sources" {
  description = "Name of each source that this Region polls -> its staleness budget in seconds."
  type        = map(object({ staleness_budget = number }))
  default     = {}
}
