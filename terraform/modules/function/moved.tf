# These blocks keep the alarms of a stack that an older version created: they move the alarms to their new addresses in
# the state. Before module alarm existed, the alarms stood in this module.

moved {
  from = aws_cloudwatch_metric_alarm.errors[0]
  to   = module.alarms[0].aws_cloudwatch_metric_alarm.this["errors"]
}

moved {
  from = aws_cloudwatch_metric_alarm.throttles[0]
  to   = module.alarms[0].aws_cloudwatch_metric_alarm.this["throttles"]
}
