# This block keeps the alarm of a stack that an older version created: it moves the alarm to its new address in the
# state. Before module alarm existed, the alarm stood in this module.

moved {
  from = aws_cloudwatch_metric_alarm.not_invoked[0]
  to   = module.alarms[0].aws_cloudwatch_metric_alarm.this["not_invoked"]
}
