output "health_check" {
  description = "What a health check of Route 53 needs to follow the switch."
  value = {
    alarm_name   = aws_cloudwatch_metric_alarm.this.alarm_name
    alarm_region = data.aws_region.current.name
    settings = jsonencode({
      metric     = local.metric
      statistic  = aws_cloudwatch_metric_alarm.this.statistic
      period     = aws_cloudwatch_metric_alarm.this.period
      threshold  = aws_cloudwatch_metric_alarm.this.threshold
      evaluation = aws_cloudwatch_metric_alarm.this.evaluation_periods
      missing    = aws_cloudwatch_metric_alarm.this.treat_missing_data
    })
  }
}

output "commands" {
  description = "The shell commands that lead clients away from the other Region, and back to it."
  value       = { leave = "${local.command} 1", return = "${local.command} 0" }
}
