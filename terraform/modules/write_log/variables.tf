variable "name" {
  description = "Stack name; also the `Stack` dimension of the metrics that the functions emit."
  type        = string
}

variable "kms_key_arn" {
  description = "Customer managed key; null: keys that AWS owns."
  type        = string
}

variable "buffering" {
  description = "How long and how much Firehose gathers before it writes an object."
  type        = object({ seconds = number, megabytes = number })
}

variable "storage" {
  description = "Age in days at which objects move to cheaper classes."
  type        = object({ infrequent_access_days = number, glacier_instant_days = number })
}

variable "visibility_timeout_seconds" {
  description = "How long a message stays hidden while `apply` works on it: at least six times the function's time-out."
  type        = number
}

variable "freshness_alarm_seconds" {
  description = "Age of the oldest undelivered record that raises the alarm."
  type        = number
}

variable "log_retention_days" {
  description = "Days that Firehose's error log is kept."
  type        = number
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete a log that still holds changes."
  type        = bool
}

variable "alarms" {
  description = "Create the alarms."
  type        = bool
}

variable "alarm_actions" {
  description = "SNS topics that alarms notify."
  type        = list(string)
}

variable "tls_only" {
  description = "Refuse plain HTTP. Only an emulator, which speaks nothing else, needs it off."
  type        = bool
}
