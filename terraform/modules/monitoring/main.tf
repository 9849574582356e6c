# The SNS topic, the alarms and the dashboard of the stack in this Region.
data "aws_region" "current" {}

locals {
  region        = data.aws_region.current.name
  alarm_actions = concat([module.topic.arn], var.alarm_actions)
}

module "topic" {
  source = "../alarm_topic"

  name          = var.name
  notify        = var.notify
  kms_key_arn   = var.kms_key_arn
  alarm_actions = var.alarm_actions
}
