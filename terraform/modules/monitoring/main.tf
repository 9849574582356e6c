# The SNS topics, the alarms and the dashboard of the stack in this Region.
data "aws_region" "current" {}

locals {
  region = data.aws_region.current.name

  # What an operator adds to the commands `quarantine` and `sources`, which work in the primary Region without it.
  replica_option = var.is_replica ? " --replica" : ""

  # An alarm can notify five topics. The settings name at most four, so that one of the stack's own topics has room
  # beside them.
  max_topics = 5

  pages = concat([module.topic.arn], var.alarm_actions)

  # Severity -> ARNs of the topics that its alarms notify. Without settings of their own, tickets go where pages go. The
  # people who get pages have confirmed that subscription, and so they get tickets without another one. Nobody is
  # subscribed to the topic of tickets then, so it is left out if there is no room for it.
  alarm_actions = {
    page = local.pages
    ticket = concat(
      [for arn in [module.ticket_topic.arn] : arn if var.tickets != null || length(local.pages) < local.max_topics],
      var.tickets == null ? local.pages : var.tickets.alarm_actions,
    )
  }

  # Whom the alarm on each topic's deliveries notifies, besides the topic itself: the topics of the settings, and the
  # stack's other topic if there is room for it.
  beside_pages   = concat(var.alarm_actions, [module.ticket_topic.arn])
  beside_tickets = concat(try(var.tickets.alarm_actions, []), [module.topic.arn])
}

module "topic" {
  source = "../alarm_topic"

  name         = var.name
  severity     = "page"
  notify       = var.notify
  kms_key_arn  = var.kms_key_arn
  other_topics = slice(local.beside_pages, 0, min(local.max_topics - 1, length(local.beside_pages)))
}

module "ticket_topic" {
  source = "../alarm_topic"

  name         = var.name
  severity     = "ticket"
  notify       = { emails = try(var.tickets.emails, []), phone_numbers = [] }
  kms_key_arn  = var.kms_key_arn
  other_topics = slice(local.beside_tickets, 0, min(local.max_topics - 1, length(local.beside_tickets)))
}
