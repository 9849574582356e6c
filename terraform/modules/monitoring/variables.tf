variable "name" {
  description = "Stack name. It is also the value of the dimension `Stack` of the metrics that the functions emit."
  type        = string
}

variable "is_replica" {
  description = "Whether this is the replica Region."
  type        = bool
  default     = false
}

variable "items_table" {
  description = "Name of the live items table."
  type        = string
}

variable "notify" {
  description = "E-mail addresses and phone numbers that the alarms notify."
  type        = object({ emails = list(string), phone_numbers = list(string) })
}

variable "tickets" {
  description = <<-EOT
    Whom the alarms notify that can wait until the next working day: e-mail addresses, and ARNs of SNS topics in this
    Region. null means that they notify whom the other alarms notify.
  EOT
  type        = object({ emails = list(string), alarm_actions = list(string) })
}

variable "kms_key_arn" {
  description = <<-EOT
    ARN of this Region's customer managed key; null means that no topic is encrypted (module alarm_topic says why).
  EOT
  type        = string
}

variable "alarm_actions" {
  description = "ARNs of SNS topics that this Region's pages notify, in addition to the stack's own topic."
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
