# These blocks keep the alarms of a stack that an older version created: they move the alarms to their new addresses in
# the state. Before module alarm existed, the alarms stood in this module. Before module alarm_topic existed, the topic
# and its subscriptions did.

moved {
  from = aws_cloudwatch_metric_alarm.staleness
  to   = module.staleness.aws_cloudwatch_metric_alarm.this
}

moved {
  from = aws_cloudwatch_metric_alarm.source_quarantine
  to   = module.source_quarantine.aws_cloudwatch_metric_alarm.this
}

moved {
  from = aws_cloudwatch_metric_alarm.sweep_refused
  to   = module.sweep_refused.aws_cloudwatch_metric_alarm.this
}

moved {
  from = aws_cloudwatch_metric_alarm.region_behind
  to   = module.region_behind.aws_cloudwatch_metric_alarm.this
}

moved {
  from = aws_cloudwatch_metric_alarm.quarantine
  to   = module.apply_alarms.aws_cloudwatch_metric_alarm.this["quarantine"]
}

moved {
  from = aws_cloudwatch_metric_alarm.objects_failed
  to   = module.apply_alarms.aws_cloudwatch_metric_alarm.this["objects_failed"]
}

moved {
  from = aws_sns_topic.alarms
  to   = module.topic.aws_sns_topic.alarms
}

moved {
  from = aws_sns_topic_policy.alarms
  to   = module.topic.aws_sns_topic_policy.alarms
}

moved {
  from = aws_sns_topic_subscription.email
  to   = module.topic.aws_sns_topic_subscription.email
}

moved {
  from = aws_sns_topic_subscription.phone
  to   = module.topic.aws_sns_topic_subscription.phone
}

moved {
  from = module.notification_alarms
  to   = module.topic.module.alarms
}
