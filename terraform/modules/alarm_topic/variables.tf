variable "name" {
  description = "Stack name."
  type        = string
}

variable "severity" {
  description = "Severity of the alarms that notify the topic: `page` or `ticket`."
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

variable "other_topics" {
  description = "ARNs of SNS topics that the alarm on this topic's deliveries notifies, in addition to the topic."
  type        = list(string)
}
