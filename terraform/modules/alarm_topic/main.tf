# An SNS topic for the alarms of one severity in one Region, whom it notifies, and the alarm on its own deliveries. Each
# Region has its own topics, because an alarm can't notify a topic of another Region.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition

  # The topic of pages has the name of the only topic that older stacks have, so their subscriptions stay.
  topic_name = { page = "${var.name}-alarms", ticket = "${var.name}-tickets" }[var.severity]

  # The topic's ARN is composed here, because the topic's own policy needs it before the topic exists.
  topic_arn  = "arn:${local.partition}:sns:${local.region}:${local.account_id}:${local.topic_name}"
  alarm_arns = "arn:${local.partition}:cloudwatch:${local.region}:${local.account_id}:alarm:*"

  # Allows CloudWatch to publish alarms to the topic. Without a policy, SNS lets only principals of this account publish
  # (as far as IAM allows them to), and CloudWatch isn't one of them. CloudWatch's service principal acts for every AWS
  # account, so the condition admits only alarms of this account.
  topic_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsPublish"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = ["sns:Publish"]
      Resource  = [local.topic_arn]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = local.alarm_arns }
      }
    }]
  })
}

# Without a customer managed key, the topic isn't encrypted. AWS's managed key for SNS is no alternative: CloudWatch may
# not use that key, and the key's policy can't be changed, so the topic would get no alarms.
resource "aws_sns_topic" "alarms" {
  name              = local.topic_name
  display_name      = var.name # every SMS begins with this name
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = local.topic_policy
}

# SNS sends each e-mail address a message with a confirmation link. It sends the address no alarms until someone has
# followed the link. Until then, the subscription can't be deleted either. AWS removes an unconfirmed subscription after
# two days.
resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.notify.emails)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

# SMS may need preparation. In each Region, a new AWS account is in SNS's SMS sandbox: SNS sends messages only to
# verified numbers, at most ten. After AWS Support has moved the account out of the sandbox, SNS sends messages for up
# to 1 $ a month, unless you request a higher limit. Some countries (the USA and Canada among them) need an origination
# identity that is registered for the account. Not every Region sends SMS, and only SNS's delivery log shows that a
# message failed, so send a test message.
resource "aws_sns_topic_subscription" "phone" {
  for_each = toset(var.notify.phone_numbers)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "sms"
  endpoint  = each.value
}

# Fires if SNS can't deliver an alarm to one of the topic's subscribers: an address that no longer exists, a phone
# number without SMS, an endpoint that responds with errors. The other subscribers, the topic of the other severity and
# the topics in alarm_actions get this alarm. SNS emits the metric only for a failed delivery, so missing data is calm.
#
# This alarm doesn't notify when it stops. That message would fail too, and the failure would fire the alarm again.
locals {
  own_alarm = {
    page   = { name = "notifications-failed", effect = "none, but nobody may hear of the next fault." }
    ticket = { name = "ticket-notifications-failed", effect = "none. Tickets may get lost." }
  }[var.severity]

  own_alarm_actions = concat([aws_sns_topic.alarms.arn], var.other_topics)
}

module "alarms" {
  source = "../alarm"

  name    = var.name
  actions = { page = local.own_alarm_actions, ticket = local.own_alarm_actions }

  alarms = {
    notifications_failed = {
      name     = local.own_alarm.name
      severity = var.severity
      effect   = local.own_alarm.effect
      first    = "ops/readplane status"
      description = join(" ", [
        "SNS couldn't deliver an alarm to a subscriber of ${aws_sns_topic.alarms.name}. Look at the topic's",
        "subscriptions, and send a test message to each.",
      ])

      metric = {
        namespace   = "AWS/SNS"
        metric_name = "NumberOfNotificationsFailed"
        dimensions  = { TopicName = aws_sns_topic.alarms.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 300, evaluated = 1 }
      threshold    = 0
      missing_data = "notBreaching"
      notifies_ok  = false
    }
  }
}
