# These blocks keep the resources of a stack that an older version created: they move its resources to their new
# addresses in the state. Before modules alarm and firehose_to_s3 existed, these resources stood in this module.

moved {
  from = aws_cloudwatch_log_group.archive
  to   = module.archive.aws_cloudwatch_log_group.this
}

moved {
  from = aws_cloudwatch_log_stream.archive
  to   = module.archive.aws_cloudwatch_log_stream.this
}

moved {
  from = aws_iam_role.archive
  to   = module.archive.aws_iam_role.this
}

moved {
  from = aws_iam_role_policy.archive
  to   = module.archive.aws_iam_role_policy.this
}

moved {
  from = aws_kinesis_firehose_delivery_stream.archive
  to   = module.archive.aws_kinesis_firehose_delivery_stream.this
}

moved {
  from = aws_cloudwatch_metric_alarm.apply_behind[0]
  to   = module.alarms[0].aws_cloudwatch_metric_alarm.this["apply_behind"]
}

moved {
  from = aws_cloudwatch_metric_alarm.archive_freshness[0]
  to   = module.alarms[0].aws_cloudwatch_metric_alarm.this["archive_freshness"]
}
