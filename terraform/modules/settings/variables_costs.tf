# What the stack may cost.

variable "budget" {
  description = <<-EOT
    A monthly budget of AWS Budgets, which sends e-mails when 80 % of it is spent, and when AWS expects the month to end
    above it. null means no budget. A budget costs nothing. AWS updates it up to three times a day, and needs about five
    weeks of costs before it expects anything.
    With whole_account false, the budget counts the costs with the tag Stack, which somebody must first activate as a
    cost allocation tag in the console (Billing, Cost allocation tags; in an organisation, in the management account).
    Until then the budget sees nothing and stays silent. Costs that have no tags, such as custom metrics and traces, are
    never in it.
  EOT
  type = object({
    monthly_usd   = number                     # US dollars in a calendar month
    emails        = optional(list(string), []) # up to ten addresses; empty: those of the variable notify
    whole_account = optional(bool, false)      # count all costs of the account, with or without the tag
  })
  default = null

  validation {
    condition     = try(var.budget.monthly_usd > 0, true)
    error_message = "Set budget.monthly_usd to more than 0, or leave budget out."
  }

  validation {
    condition     = alltrue([for address in try(var.budget.emails, []) : can(regex(local.email_address, address))])
    error_message = <<-EOT
      Give budget.emails as addresses, for example costs@example.com, without a name or brackets around them.
    EOT
  }

  validation {
    condition     = var.budget == null || length(concat(try(var.budget.emails, []), var.notify.emails)) > 0
    error_message = "Give budget.emails or notify.emails an address, because a budget must notify somebody."
  }

  validation {
    condition = var.budget == null || 10 >= length(
      coalescelist(try(var.budget.emails, []), var.notify.emails, ["nobody"])
    )
    error_message = <<-EOT
      Give budget.emails one to ten addresses, because AWS Budgets notifies no more. Without them, it notifies those of
      notify.
    EOT
  }

  validation {
    condition = length(try(var.budget.emails, [])) == length(
      distinct([for address in try(var.budget.emails, []) : lower(address)])
    )
    error_message = "Name each address once in budget.emails, because AWS Budgets refuses to notify it twice."
  }
}

locals {
  # Whom the budget notifies: its own addresses, or else those of the alarms.
  budget_emails = var.budget == null ? [] : length(var.budget.emails) > 0 ? var.budget.emails : var.notify.emails
}
