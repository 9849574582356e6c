# The alarms on the sources, and on what `apply` can't apply. Each source has an alarm of every kind.

# Fires if a source's data is older than its staleness budget. `poll` reports the age of the data every minute, even if
# its polls fail. Missing data counts as breaching, because without a report nobody knows how old the data is.
module "staleness" {
  source = "../alarm"

  name    = var.name
  actions = local.alarm_actions

  alarms = { for name, source in var.sources : name => {
    name     = "stale-${name}"
    severity = "page"
    effect   = "they read old data, which responses mark as stale."
    first    = "ops/readplane sources list${local.replica_option}"
    runbook  = "stale"
    description = join(" ", [
      "The data of ${name} is older than its budget of ${source.staleness_budget} seconds, or its age is unknown.",
      "Reads go on. The first command shows the state of each source.",
    ])

    metric = {
      namespace   = "Readplane"
      metric_name = "Staleness"
      dimensions  = { Stack = var.name, Source = name }
      statistic   = "Maximum"
    }

    periods      = { seconds = 60, evaluated = 5, breaching = 3 }
    threshold    = source.staleness_budget
    missing_data = "breaching"
  } }
}

# Fires as long as records of a back office are in quarantine. `poll` quarantines a record if it can't turn the record
# into a valid change. It still delivers all other records. `poll` reports every minute how many records are still
# refused, so the alarm stays on until the back office sends them in a form that `poll` can use, or no longer sends
# them. If the schedules stop, there is no report, and then the alarm on the staleness fires.
module "source_quarantine" {
  source = "../alarm"

  name    = var.name
  actions = local.alarm_actions

  alarms = { for name in keys(var.sources) : name => {
    name     = "quarantine-${name}"
    severity = "ticket"
    effect   = "some items are missing or old."
    first    = "ops/readplane quarantine list --source ${name}${local.replica_option}"
    runbook  = "quarantine-source"
    description = join(" ", [
      "Records of ${name} are in quarantine, because poll couldn't turn them into valid changes. Their items are",
      "missing or old. The first command shows why. Redrive the records after the repair.",
    ])

    metric = {
      namespace   = "Readplane"
      metric_name = "RecordsInQuarantine"
      dimensions  = { Stack = var.name, Source = name }
      statistic   = "Maximum"
    }

    periods      = { seconds = 300, evaluated = 1 }
    threshold    = 0
    missing_data = "notBreaching"
  } }
}

# Fires if a list of a back office ended in a way that doesn't prove that `poll` has read all of it: for example, the
# back office repeated a page for ever. `poll` then keeps its watermark and deletes nothing, so no record is lost, but
# each poll reads the same records again. One report is enough, because a source may be polled only once an hour. `poll`
# emits the metric only after such a list, so missing data counts as OK. Without polls, the alarm on the staleness
# fires.
module "list_doubtful" {
  source = "../alarm"

  name    = var.name
  actions = local.alarm_actions

  alarms = { for name in keys(var.sources) : name => {
    name     = "list-doubtful-${name}"
    severity = "ticket"
    effect   = "deleted items of the back office may still be there."
    first    = "aws logs tail /aws/lambda/${var.name}-poll --since 1h --filter-pattern list_doubtful"
    runbook  = "list-doubtful"
    description = join(" ", [
      "A list of ${name} ended, but not in a way that proves that poll has read all of it. Poll deletes nothing and",
      "reads the same records again. Look for list_doubtful in the log of ${var.name}-poll, and set paging.more,",
      "paging.size or paging.end_status of the source. To try the settings, run ops/readplane sources try.",
    ])

    metric = {
      namespace   = "Readplane"
      metric_name = "ListDoubtful"
      dimensions  = { Stack = var.name, Source = name }
      statistic   = "Sum"
    }

    periods      = { seconds = 900, evaluated = 4, breaching = 1 }
    threshold    = 0
    missing_data = "notBreaching"
  } }
}

# Fires if a back office doesn't send the newest record again, although the next pass asks for it. The back office then
# understands the cursor as another time than `poll` means, perhaps as local time, so it may leave out changes. The
# newest record may also have been deleted since. So the alarm waits until this happens in two different hours of a day.
# `poll` emits the metric only after a pass without that record, so missing data counts as OK. Without polls, the alarm
# on the staleness fires.
module "overlap_missed" {
  source = "../alarm"

  name    = var.name
  actions = local.alarm_actions

  alarms = { for name in keys(var.sources) : name => {
    name     = "overlap-missed-${name}"
    severity = "ticket"
    effect   = "some items may be old."
    first    = "aws logs tail /aws/lambda/${var.name}-poll --since 1h --filter-pattern overlap_missed"
    runbook  = "overlap-missed"
    description = join(" ", [
      "The back office of ${name} left out the newest record, although poll asked for its time again. So it may leave",
      "out changes too. Does it read the cursor as local time? Set cursor.zone, or raise lag_seconds. Then run",
      "ops/readplane sources reset ${name}${local.replica_option}.",
    ])

    metric = {
      namespace   = "Readplane"
      metric_name = "OverlapMissed"
      dimensions  = { Stack = var.name, Source = name }
      statistic   = "Sum"
    }

    periods      = { seconds = 3600, evaluated = 24, breaching = 2 }
    threshold    = 0
    missing_data = "notBreaching"
  } }
}

# Fires if a source's breaker is open: `poll` has failed several times in a row and leaves the back office alone for a
# while. One report is enough, because a source may be polled only once an hour. The alarm stays on for an hour after
# the last report. Without polls there is no report, and then the alarm on the staleness fires.
module "breaker_open" {
  source = "../alarm"

  name    = var.name
  actions = local.alarm_actions

  alarms = { for name in keys(var.sources) : name => {
    name     = "breaker-open-${name}"
    severity = "ticket"
    effect   = "none, until the data is older than its budget and stale-${name} fires."
    first    = "ops/readplane sources list${local.replica_option}"
    runbook  = "breaker-open"
    description = join(" ", [
      "The back office of ${name} has failed several times in a row, so poll asks it only now and then. Reads go on.",
      "The first command shows the fault. Is the back office up, and are its credentials valid?",
    ])

    metric = {
      namespace   = "Readplane"
      metric_name = "BreakerOpen"
      dimensions  = { Stack = var.name, Source = name }
      statistic   = "Maximum"
    }

    periods      = { seconds = 900, evaluated = 4, breaching = 1 }
    threshold    = 0
    missing_data = "notBreaching"
  } }
}

# Fires if a sweep refuses to delete anything. A sweep lists a source's whole back office and deletes the items that are
# missing from the listing. It refuses if too much of the collection is missing, or if it couldn't read the listing
# completely. An operator must then find out whether the items are really gone. One refusal is enough for the alarm,
# because a sweep may run only once a day. The alarm stays on for a day. If a sweep doesn't run at all, the alarm
# polls-dropped or schedules-dropped fires (module poll).
module "sweep_refused" {
  source = "../alarm"

  name    = var.name
  actions = local.alarm_actions

  alarms = { for name in keys(var.sources) : name => {
    name     = "sweep-refused-${name}"
    severity = "ticket"
    effect   = "deleted items of the back office are still there."
    first    = "ops/readplane sources list${local.replica_option}"
    runbook  = "sweep-refused"
    description = join(" ", [
      "A sweep of ${name} deleted nothing, because it would have deleted more than max_deletes_percent allows, or",
      "couldn't read everything. Look at the back office; if it is right, raise max_deletes_percent for one sweep.",
    ])

    metric = {
      namespace   = "Readplane"
      metric_name = "SweepRefused"
      dimensions  = { Stack = var.name, Source = name }
      statistic   = "Maximum"
    }

    periods      = { seconds = 3600, evaluated = 24, breaching = 1 }
    threshold    = 0
    missing_data = "notBreaching"
  } }
}

# Fires if, for an hour, each poll of a source failed to write one or more documents. Two kinds of documents don't make
# the whole poll fail: the documents of the other Region, and the source's freshness document in any Region. But such a
# document then becomes stale.
#
# A poll that couldn't write a document emits the failure metric once. So the SampleCount of the metric is the number of
# these polls. Without polls, nothing was left behind, and the alarm on the staleness fires.
module "region_behind" {
  source = "../alarm"

  name    = var.name
  actions = local.alarm_actions

  alarms = { for name in keys(var.sources) : name => {
    name     = "region-behind-${name}"
    severity = "page"
    effect   = "one Region serves old documents of ${name}."
    first    = "aws logs tail /aws/lambda/${var.name}-poll --since 1h --filter-pattern snapshot_failed"
    runbook  = "region-behind"
    description = join(" ", [
      "For an hour, no poll of ${name} could write the documents of every Region, so one Region serves old ones. Look",
      "for snapshot_failed and freshness_document_failed in the log of ${var.name}-poll.",
    ])

    expression = {
      id    = "behind"
      label = "Every poll of ${name} left a Region behind"
      text  = "IF(polls > 0 AND (FILL(snapshots, 0) >= polls OR FILL(freshness, 0) >= polls), 1, 0)"

      metrics = {
        polls = {
          namespace   = "Readplane"
          metric_name = "PollsCompleted"
          dimensions  = { Stack = var.name, Source = name }
          statistic   = "Sum"
        }
        snapshots = {
          namespace   = "Readplane"
          metric_name = "SnapshotsFailed"
          dimensions  = { Stack = var.name, Source = name }
          statistic   = "SampleCount"
        }
        freshness = {
          namespace   = "Readplane"
          metric_name = "FreshnessFailed"
          dimensions  = { Stack = var.name, Source = name }
          statistic   = "SampleCount"
        }
      }
    }

    periods      = { seconds = 3600, evaluated = 1 }
    threshold    = 0
    missing_data = "notBreaching"
  } }
}

module "apply_alarms" {
  source = "../alarm"

  name    = var.name
  actions = local.alarm_actions

  alarms = {
    # Fires if `apply` quarantines changes that it can't apply, whether they come from a client or from a source.
    # `apply` emits the metric only then, so missing data is calm. If `apply` doesn't run, other alarms fire (modules
    # write_log and change_stream). The changes stay in quarantine when the alarm stops.
    quarantine = {
      name     = "quarantine"
      severity = "ticket"
      effect   = "some accepted changes don't show in reads."
      first    = "ops/readplane quarantine list${local.replica_option}"
      description = join(" ", [
        "Apply put accepted changes in quarantine. They are kept whole there, but no item has them. The first command",
        "shows why.",
      ])

      metric = {
        namespace   = "Readplane"
        metric_name = "ChangesQuarantined"
        dimensions  = { Stack = var.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 300, evaluated = 1 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if write-log objects fail in `apply` in two consecutive periods, which no transient fault explains. `apply`
    # reports the failed objects of a batch and doesn't fail itself, so Lambda's own Errors metric stays at zero.
    #
    # The period of this alarm is 15 minutes, because that is the longest time between two attempts to apply an object.
    # (SQS redelivers the message of a failed object after 2 seconds, then after twice as long each time, up to 15
    # minutes.)
    #
    # `apply` emits the metric only for a failed object, so missing data is calm. When SQS has made the object a dead
    # letter, the alarm on dead letters fires and stays on (module write_log).
    objects_failed = {
      name     = "apply-objects-failed"
      severity = "page"
      effect   = "some accepted writes show in reads late."
      first    = "aws logs tail /aws/lambda/${var.name}-apply --since 1h --filter-pattern object_failed"
      description = join(" ", [
        "Write-log objects have failed in apply for half an hour. SQS redelivers them for hours, and then they become",
        "dead letters. Look for object_failed in /aws/lambda/${var.name}-apply.",
      ])

      metric = {
        namespace   = "Readplane"
        metric_name = "ObjectsFailed"
        dimensions  = { Stack = var.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 900, evaluated = 2 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }
}
