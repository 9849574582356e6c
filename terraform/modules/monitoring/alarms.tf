# The age of what a source's items are as of. `poll` tells it every minute, whether or not it could poll. When even that is missing, nobody
# knows how old the data is: that is breaching, too.
resource "aws_cloudwatch_metric_alarm" "staleness" {
  for_each = var.sources

  alarm_name        = "${var.name}-stale-${each.key}"
  alarm_description = "What came from ${each.key} is older than its budget of ${each.value.staleness_budget} seconds, or nobody tells how old it is. Reads go on. See: ops/readplane sources list"

  namespace           = "Readplane"
  metric_name         = "Staleness"
  dimensions          = { Stack = var.name, Source = each.key }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.staleness_budget
  treat_missing_data  = "breaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

# What a back office delivered and nobody could use. The rest of its records goes on.
resource "aws_cloudwatch_metric_alarm" "source_quarantine" {
  for_each = var.sources

  alarm_name        = "${var.name}-quarantine-${each.key}"
  alarm_description = "Records of ${each.key} were put in quarantine. See why: ops/readplane quarantine list. Redrive them after the repair."

  namespace           = "Readplane"
  metric_name         = "RecordsQuarantined"
  dimensions          = { Stack = var.name, Source = each.key }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

# A listing that lacks too much, or all, deletes nothing: somebody must say whether the back office meant it. A sweep may come once a day
# only, so one refusal is enough, and it stays for a day.
resource "aws_cloudwatch_metric_alarm" "sweep_refused" {
  for_each = var.sources

  alarm_name        = "${var.name}-sweep-refused-${each.key}"
  alarm_description = "A sweep of ${each.key} would have deleted more than max_deletes_percent allows, or couldn't read everything: it deleted nothing. Look at the back office; if it is right, raise max_deletes_percent for one sweep."

  namespace           = "Readplane"
  metric_name         = "SweepRefused"
  dimensions          = { Stack = var.name, Source = each.key }
  statistic           = "Maximum"
  period              = 3600
  evaluation_periods  = 24
  datapoints_to_alarm = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

# A Region whose documents can't be written costs that Region, and no poll: its snapshots and what it says of freshness grow old. An hour in
# which every poll met that is more than a hiccup. (SampleCount: each of these polls tells it once.)
resource "aws_cloudwatch_metric_alarm" "region_behind" {
  for_each = var.sources

  alarm_name        = "${var.name}-region-behind-${each.key}"
  alarm_description = "For an hour no poll of ${each.key} could write to every Region's documents: one says what was true before. Look for \"everywhere\" in the log of ${var.name}-poll."

  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions

  metric_query {
    id          = "behind"
    label       = "Every poll of ${each.key} left a Region behind"
    expression  = "IF(polls > 0 AND (FILL(snapshots, 0) >= polls OR FILL(freshness, 0) >= polls), 1, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = {
      polls     = { metric_name = "PollsCompleted", stat = "Sum" }
      snapshots = { metric_name = "SnapshotsFailed", stat = "SampleCount" }
      freshness = { metric_name = "FreshnessFailed", stat = "SampleCount" }
    }

    content {
      id = metric_query.key

      metric {
        namespace   = "Readplane"
        metric_name = metric_query.value.metric_name
        dimensions  = { Stack = var.name, Source = each.key }
        stat        = metric_query.value.stat
        period      = 3600
      }
    }
  }
}

# As for a source, for what reached `apply`: accepted from a client, or from a source, and not to be applied.
resource "aws_cloudwatch_metric_alarm" "quarantine" {
  alarm_name        = "${var.name}-quarantine"
  alarm_description = "Accepted changes were put in quarantine: they are whole, and in no item. See why: ops/readplane quarantine list."

  namespace           = "Readplane"
  metric_name         = "ChangesQuarantined"
  dimensions          = { Stack = var.name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

# `apply` says which of a batch failed and so doesn't fail itself: Lambda's own count of errors stays at nought. A failed object comes
# again after 2 seconds, then after twice as long, up to 15 minutes: one that fails in two such periods in a row isn't a passing fault.
resource "aws_cloudwatch_metric_alarm" "objects_failed" {
  alarm_name        = "${var.name}-apply-objects-failed"
  alarm_description = "Write-log objects have failed in apply for half an hour. They are tried again for hours, then they are dead letters. Look for \"object failed\" in /aws/lambda/${var.name}-apply."

  namespace           = "Readplane"
  metric_name         = "ObjectsFailed"
  dimensions          = { Stack = var.name }
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}
