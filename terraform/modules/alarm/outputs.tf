output "alarms" {
  description = "Key -> the alarm with all its attributes, for tests."
  value       = aws_cloudwatch_metric_alarm.this
}

output "queries" {
  description = "Key -> the expression of the alarm, its steps and its metrics by id, for tests."
  value = {
    for key, alarm in aws_cloudwatch_metric_alarm.this : key => { for query in alarm.metric_query : query.id => query }
  }
}
