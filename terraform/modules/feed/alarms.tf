# The alarms on the queues. Module function has those on the function's errors and throttles.
locals {
  titles = { cache = "item cache", database = "database" }

  # Store -> what happens to clients while changes wait.
  effects = {
    cache    = "reads show a change only when its entry is older than cache.fresh_seconds."
    database = "lists with filter, sort or q show old items."
  }

  # An entry of the cache is old for a bounded time only.
  severities = { cache = "ticket", database = "page" }

  queue_alarms = merge([for store in keys(local.stores) : {
    # SQS leaves a message out of this metric once it has been received three times, but in an outage newer messages
    # show. It emits the age as long as the queue holds a message, so missing data means an empty queue.
    "${store}_behind" = {
      name     = "feed-${store}-behind"
      severity = local.severities[store]
      effect   = local.effects[store]
      first    = "aws logs tail /aws/lambda/${var.name}-feed --since 1h --filter-pattern store_failed"
      runbook  = "feed-behind"
      description = join(" ", [
        "Changes have waited for more than five minutes to be written to the ${local.titles[store]}. Look for",
        "store_failed in /aws/lambda/${var.name}-feed, and at the alarms on the store. Nothing is lost: feed writes",
        "the changes when the store is back.",
      ])

      metric = {
        namespace   = "AWS/SQS"
        metric_name = "ApproximateAgeOfOldestMessage"
        dimensions  = { QueueName = aws_sqs_queue.this[store].name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 3 }
      threshold    = 300
      missing_data = "notBreaching"
    }

    # SQS emits no metrics of a queue that nobody has used for six hours, and a dead letter may wait longer. So missing
    # data keeps the alarm's state: it stays on until the queue is empty.
    "${store}_dead_letters" = {
      name     = "feed-${store}-dead-letters"
      severity = "ticket"
      effect   = local.effects[store]
      first    = "ops/readplane dead-letters list --queue feed-${store}"
      runbook  = "feed-dead-letters"
      description = join(" ", [
        "Changes couldn't be written to the ${local.titles[store]} in ${local.attempts} attempts. Look for",
        "rows_refused, message_refused and store_failed in /aws/lambda/${var.name}-feed and remove the cause. Then run",
        "ops/readplane dead-letters redrive --queue feed-${store}, within 14 days.",
      ])

      metric = {
        namespace   = "AWS/SQS"
        metric_name = "ApproximateNumberOfMessagesVisible"
        dimensions  = { QueueName = aws_sqs_queue.dead_letters[store].name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 0
      missing_data = "ignore"
    }
  }]...)

  alarms = merge(local.queue_alarms, {
    # Fires if keys keep failing. A single failure may be a failover, after which the keys come again. `feed` emits the
    # metric with every batch, so missing data means that there were no changes.
    keys_failed = {
      name     = "feed-keys-failed"
      severity = "ticket"
      effect   = "reads through the cache, and lists with filter, sort or q, show some old items."
      first    = "aws logs tail /aws/lambda/${var.name}-feed --since 1h --filter-pattern store_failed"
      description = join(" ", [
        "Feed can't write changes to a private store. Look for store_failed, rows_not_read, rows_not_written and",
        "rows_refused in /aws/lambda/${var.name}-feed. The keys come again after ${6 * var.function.timeout_seconds}",
        "seconds.",
      ])

      metric = {
        namespace   = "Readplane"
        metric_name = "KeysFailed"
        dimensions  = { Stack = var.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 300, evaluated = 6, breaching = 3 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  })
}

module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.name
  actions = var.alarm_actions
  alarms  = local.alarms
}
