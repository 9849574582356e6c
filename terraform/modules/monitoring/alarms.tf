# Fires if a source's data is older than its staleness budget. `poll` reports the age of the data every minute, even if
# its polls fail. Missing data counts as breaching, because without a report nobody knows how old the data is.
resource "aws_cloudwatch_metric_alarm" "staleness" {
  for_each = var.sources

  alarm_name = "${var.name}-stale-${each.key}"
  alarm_description = join(" ", [
    "The data of ${each.key} is older than its budget of ${each.value.staleness_budget} seconds,",
    "or its age is unknown. Reads go on. See: ops/readplane sources list",
  ])

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

# Fires if `poll` quarantines records of a back office. `poll` quarantines a record if it can't turn the record into a
# valid change. It still delivers all other records.
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

# Fires if a sweep refuses to delete anything. A sweep lists a source's whole back office and deletes the items that are
# missing from the listing. It refuses if too much of the collection is missing, or if it couldn't read the listing
# completely. An operator must then find out whether the items are really gone. One refusal is enough for the alarm,
# because a sweep may run only once a day. The alarm stays on for a day.
resource "aws_cloudwatch_metric_alarm" "sweep_refused" {
  for_each = var.sources

  alarm_name = "${var.name}-sweep-refused-${each.key}"
  alarm_description = join(" ", [
    "A sweep of ${each.key} deleted nothing, because it would have deleted more than max_deletes_percent allows, or",
    "couldn't read everything. Look at the back office; if it is right, raise max_deletes_percent for one sweep.",
  ])

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

# Fires if, for an hour, each poll of a source failed to write one or more documents. Two kinds of documents don't make
# the whole poll fail: the documents of the other Region, and the source's freshness document in any Region. But such a
# document then becomes stale.
#
# A poll that couldn't write a document emits the failure metric once. So the SampleCount of the metric is the number of
# these polls.
resource "aws_cloudwatch_metric_alarm" "region_behind" {
  for_each = var.sources

  alarm_name = "${var.name}-region-behind-${each.key}"
  alarm_description = join(" ", [
    "For an hour, no poll of ${each.key} could write the documents of every Region, so one Region serves old ones.",
    "Look for snapshot_failed and freshness_document_failed in the log of ${var.name}-poll.",
  ])

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

# Fires if `apply` quarantines changes that it can't apply, whether they come from a client or from a source.
resource "aws_cloudwatch_metric_alarm" "quarantine" {
  alarm_name = "${var.name}-quarantine"
  alarm_description = join(" ", [
    "Accepted changes were put in quarantine. They are kept whole there, but no item has them.",
    "See why: ops/readplane quarantine list.",
  ])

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

# Fires if write-log objects fail in `apply` in two consecutive periods, which no transient fault explains. `apply`
# reports the failed objects of a batch and doesn't fail itself, so Lambda's own Errors metric stays at zero.
#
# The period of this alarm is 15 minutes, because that is the longest time between two attempts to apply an object. (SQS
# redelivers the message of a failed object after 2 seconds, then after twice as long each time, up to 15 minutes.)
resource "aws_cloudwatch_metric_alarm" "objects_failed" {
  alarm_name = "${var.name}-apply-objects-failed"
  alarm_description = join(" ", [
    "Write-log objects have failed in apply for half an hour. They are retried for hours and then become dead letters.",
    "Look for object_failed in /aws/lambda/${var.name}-apply.",
  ])

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
