# One topic per Region hears every alarm of the stack there: an alarm can't notify a topic of another Region.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition

  # Known before the topic is, for its own policy.
  topic_arn = "arn:${local.partition}:sns:${local.region}:${local.account_id}:${var.name}-alarms"

  # Without a policy SNS lets the account's principals publish, as far as IAM does; CloudWatch is none of them. Its service principal acts
  # for every account, so the alarm's own account is asked for.
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
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${local.region}:${local.account_id}:alarm:*" }
      }
    }]
  })

  alarm_actions = concat([aws_sns_topic.alarms.arn], var.alarm_actions)
}

# Without a key of the account's own it isn't encrypted: CloudWatch may not use AWS's key for SNS, whose policy can't be changed, and no
# alarm would come through.
resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  display_name      = var.name # what an SMS begins with
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = local.topic_policy
}

# Each address gets a message with a link and hears nothing before it was followed. Until then AWS can't delete the subscription either:
# it goes by itself after two days.
resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.notify.emails)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

# New accounts are in SNS's SMS sandbox, per Region: messages reach verified numbers only (at most ten) until AWS Support has lifted it,
# and then up to a spend of 1 $ a month unless you ask for more. Some countries (the USA and Canada among them) need an origination identity
# that is registered for the account. Not every Region sends SMS, and one that fails says so in SNS's delivery log alone: send a test.
resource "aws_sns_topic_subscription" "phone" {
  for_each = toset(var.notify.phone_numbers)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "sms"
  endpoint  = each.value
}
