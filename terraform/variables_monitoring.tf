variable "notify" {
  description = <<-EOT
    People whom the alarms notify, in addition to the SNS topics in alarm_actions.
    emails: e-mail addresses. SNS sends no alarms to an address until its owner has confirmed the subscription.
    phone_numbers: numbers for SMS, with country code. At first, AWS's SMS sandbox allows only verified numbers (see
    modules/monitoring/main.tf).
  EOT
  type = object({
    emails        = optional(list(string), [])
    phone_numbers = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = alltrue([for address in var.notify.emails : can(regex("^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?[.])+[A-Za-z]{2,63}$", address))])
    error_message = "Give notify.emails as addresses, for example operations@example.com, without a name or brackets around them."
  }

  # Phone numbers have the format E.164: a plus, then a country code, which never begins with 0, and at most 15 digits
  # in all.
  validation {
    condition     = alltrue([for number in var.notify.phone_numbers : can(regex("^[+][1-9][0-9]{6,14}$", number))])
    error_message = "Give notify.phone_numbers in international form, a plus and 7 to 15 digits without spaces: +4915112345678."
  }

  validation {
    condition = alltrue([for list in [
      [for address in var.notify.emails : lower(address)], var.notify.phone_numbers
    ] : length(distinct(list)) == length(list)])
    error_message = "Name each address and number once in notify: SNS keeps one subscription for it."
  }

  validation {
    condition     = var.alarms || length(var.notify.emails) + length(var.notify.phone_numbers) == 0
    error_message = "Set alarms to true or remove notify: without alarms there is nothing to hear."
  }
}
