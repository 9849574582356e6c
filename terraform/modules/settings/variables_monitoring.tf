# The alarms, and whom they notify.

variable "alarms" {
  description = <<-EOT
    Create the alarms (0.10 $ a month for each of their metrics), the SNS topics that they notify, and a dashboard.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "alarm_actions" {
  description = "ARNs of SNS topics that the primary Region's pages notify, in addition to the stack's own topic."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_actions : can(regex(local.topic_arn, arn))])
    error_message = <<-EOT
      Give alarm_actions as ARNs of SNS topics in region, because an alarm can't notify a topic of another Region.
    EOT
  }

  validation {
    condition     = length(var.alarm_actions) <= 4
    error_message = <<-EOT
      Name at most four topics in alarm_actions, because an alarm notifies five, and one is the stack's own.
    EOT
  }
}

variable "replica_alarm_actions" {
  description = "ARNs of SNS topics that the replica Region's pages notify, in addition to the stack's own topic."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.replica_alarm_actions : can(regex(local.replica_topic_arn, arn))])
    error_message = <<-EOT
      Give replica_alarm_actions as ARNs of SNS topics in replica.region, because an alarm can't notify a topic of
      another Region.
    EOT
  }

  validation {
    condition     = length(var.replica_alarm_actions) <= 4
    error_message = <<-EOT
      Name at most four topics in replica_alarm_actions, because an alarm notifies five, and one is the stack's own.
    EOT
  }
}

locals {
  topic_arn         = "^arn:aws[a-z-]*:sns:${var.region}:[0-9]{12}:.+$"
  replica_topic_arn = "^arn:aws[a-z-]*:sns:${coalesce(local.named_replica_region, "none")}:[0-9]{12}:.+$"
}

variable "notify" {
  description = "People whom pages notify, in addition to the SNS topics in alarm_actions."
  type = object({
    # E-mail addresses. SNS sends no alarms to an address until its owner has confirmed the subscription.
    emails = optional(list(string), [])
    # Numbers for SMS, with country code. At first, AWS's SMS sandbox allows only verified numbers (see
    # modules/monitoring/main.tf).
    phone_numbers = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for address in var.notify.emails : can(regex(local.email_address, address))])
    error_message = <<-EOT
      Give notify.emails as addresses, for example operations@example.com, without a name or brackets around them.
    EOT
  }

  # Phone numbers have the format E.164: a plus, then a country code, which never begins with 0, and at most 15 digits
  # in all.
  validation {
    condition     = alltrue([for number in var.notify.phone_numbers : can(regex("^[+][1-9][0-9]{6,14}$", number))])
    error_message = <<-EOT
      Give notify.phone_numbers in international form, a plus and 7 to 15 digits without spaces, for example
      +4915112345678.
    EOT
  }

  validation {
    condition = alltrue([
      for list in [[for address in var.notify.emails : lower(address)], var.notify.phone_numbers] :
      length(distinct(list)) == length(list)
    ])
    error_message = "Name each address and number once in notify, because SNS keeps one subscription for it."
  }

  validation {
    condition     = var.alarms || length(var.notify.emails) + length(var.notify.phone_numbers) == 0
    error_message = "Set alarms to true or remove notify, because there is nothing to send without alarms."
  }
}

variable "probe" {
  description = <<-EOT
    A function that calls each Region's API every minute, so that an alarm fires although no client can call. It costs
    about 1.4 $ a month per Region. Without alarms there is no such function.
  EOT
  type = object({
    enabled = optional(bool, true) # whether each Region has such a function
    # Path below /v1 of a document that everybody may read and that always exists, such as /documents/products/1. null:
    # the freshness of a public source, or without such a source, only /health.
    path = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.probe.path == null || can(regex("^/[A-Za-z0-9._~/-]{1,512}$", var.probe.path))
    error_message = "Give probe.path as a path below /v1, without a query, such as /documents/products/1."
  }
}

variable "tickets" {
  description = <<-EOT
    Whom tickets notify: the alarms that can wait until the next working day. The other alarms are pages. null: tickets
    go where pages go.
  EOT
  type = object({
    # E-mail addresses. SNS sends no tickets to an address until its owner has confirmed the subscription.
    emails = optional(list(string), [])
    # ARNs of SNS topics in region that the primary Region's tickets notify, in addition to the stack's own topic.
    alarm_actions = optional(list(string), [])
    # ARNs of SNS topics in replica.region that the replica Region's tickets notify, in addition to the stack's own
    # topic.
    replica_alarm_actions = optional(list(string), [])
  })
  default = null

  validation {
    condition = alltrue([
      for address in try(var.tickets.emails, []) : can(regex(local.email_address, address))
    ])
    error_message = <<-EOT
      Give tickets.emails as addresses, for example operations@example.com, without a name or brackets around them.
    EOT
  }

  validation {
    condition = (
      length(distinct([for address in try(var.tickets.emails, []) : lower(address)]))
      == length(try(var.tickets.emails, []))
    )
    error_message = "Name each address once in tickets.emails, because SNS keeps one subscription for it."
  }

  validation {
    condition = alltrue([
      for arn in try(var.tickets.alarm_actions, []) : can(regex(local.topic_arn, arn))
    ])
    error_message = <<-EOT
      Give tickets.alarm_actions as ARNs of SNS topics in region, because an alarm can't notify a topic of another
      Region.
    EOT
  }

  validation {
    condition = alltrue([
      for arn in try(var.tickets.replica_alarm_actions, []) : can(regex(local.replica_topic_arn, arn))
    ])
    error_message = <<-EOT
      Give tickets.replica_alarm_actions as ARNs of SNS topics in replica.region, because an alarm can't notify a topic
      of another Region.
    EOT
  }

  validation {
    condition     = length(try(var.tickets.alarm_actions, [])) <= 4
    error_message = <<-EOT
      Name at most four topics in tickets.alarm_actions, because an alarm notifies five, and one is the stack's own.
    EOT
  }

  validation {
    condition     = length(try(var.tickets.replica_alarm_actions, [])) <= 4
    error_message = <<-EOT
      Name at most four topics in tickets.replica_alarm_actions, because an alarm notifies five, and one is the stack's
      own.
    EOT
  }

  validation {
    condition     = var.alarms || length(try(var.tickets.emails, [])) == 0
    error_message = "Set alarms to true or remove tickets, because there is nothing to send without alarms."
  }
}

locals {
  email_user    = "[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
  email_domain  = "([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?[.])+[A-Za-z]{2,63}"
  email_address = "^${local.email_user}@${local.email_domain}$"
}
