variable "name" {
  description = "Stack name."
  type        = string
}

variable "leaves" {
  description = "The Region from which the switch leads clients away: another one than the switch is in."
  type        = string
}

variable "alarm_actions" {
  description = "Severity -> ARNs of the SNS topics in the switch's Region. Those of `page` learn when it is moved."
  type        = object({ page = list(string), ticket = list(string) })
}
