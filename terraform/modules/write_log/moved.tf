# These blocks keep the resources of a stack that an older version created: they move its resources to their new
# addresses in the state. Before modules alarm and firehose_to_s3 existed, these resources stood in this module.

moved {
  from = aws_cloudwatch_log_group.firehose
  to   = module.firehose.aws_cloudwatch_log_group.this
}

moved {
  from = aws_cloudwatch_log_stream.firehose
  to   = module.firehose.aws_cloudwatch_log_stream.this
}

moved {
  from = aws_iam_role.firehose
  to   = module.firehose.aws_iam_role.this
}

moved {
  from = aws_iam_role_policy.firehose
  to   = module.firehose.aws_iam_role_policy.this
}

moved {
  from = aws_kinesis_firehose_delivery_stream.this
  to   = module.firehose.aws_kinesis_firehose_delivery_stream.this
}

moved {
  from = aws_cloudwatch_metric_alarm.delivery_freshness[0]
  to   = module.alarms[0].aws_cloudwatch_metric_alarm.this["delivery_freshness"]
}

moved {
  from = aws_cloudwatch_metric_alarm.dead_letters[0]
  to   = module.alarms[0].aws_cloudwatch_metric_alarm.this["dead_letters"]
}

moved {
  from = aws_cloudwatch_metric_alarm.apply_behind[0]
  to   = module.alarms[0].aws_cloudwatch_metric_alarm.this["apply_behind"]
}

moved {
  from = aws_cloudwatch_metric_alarm.records_lost[0]
  to   = module.alarms[0].aws_cloudwatch_metric_alarm.this["records_lost"]
}
