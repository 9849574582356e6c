# The alarms on the API, on writes, on the items table and on `publish` in one Region, and the alarm on what clients
# see.
#
# Module write_log has the alarms on the write log and the apply queue, module function those on each function, and
# module monitoring those on quarantine, on failed objects and on the alarms' own topic.

locals {
  # A request of a backend may take as long as the backend's own timeout. So a slow back office counts as a slow API
  # only if it takes longer than that.
  slow_ms = max(concat([5000], values(var.backends)[*].timeout_ms)...)

  api_stage   = { ApiName = var.name, Stage = module.api.stage_name }
  items_table = { TableName = var.items.name }

  # Table -> the dimensions of the metrics of the event source mapping that reads its stream.
  publish_mappings = { for generation in keys(local.items_tables) :
    generation == var.items.generation ? "live" : "second" => {
      EventSourceMappingUUID = aws_lambda_event_source_mapping.publish[generation].uuid
    }
  }

  # What the mapping of each table polls.
  polls = { for table, mapping in local.publish_mappings : table => {
    namespace   = "AWS/Lambda"
    metric_name = "PolledEventCount"
    dimensions  = mapping
    statistic   = "SampleCount"
  } }

  # The metrics of the alarm `publish_set_aside`: the batches that Lambda has stored, and those that it has dropped, of
  # each mapping.
  given_up_metrics = { set_aside = "OnFailureDestinationDeliveredEventCount", dropped = "DroppedEventCount" }
  given_up_names = merge(
    { for key, name in local.given_up_metrics : key => { metric_name = name, table = "live" } },
    { for key, name in local.given_up_metrics : "${key}_of_second" => { metric_name = name, table = "second" }
      if local.has_second
    },
  )
  given_up = { for key, metric in local.given_up_names : key => {
    namespace   = "AWS/Lambda"
    metric_name = metric.metric_name
    dimensions  = local.publish_mappings[metric.table]
    statistic   = "Sum"
  } }
  given_up_of_second = local.has_second ? " + set_aside_of_second + dropped_of_second" : ""

  # What the functions call. DynamoDB counts its own errors by operation.
  items_operations = ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "BatchExecuteStatement"]

  # The dimensions of the metrics of the alarm `items_throttled`. DynamoDB counts each table and its index apart. The
  # second table counts too: while it is throttled, the live one waits, because `apply` writes each change to both.
  throttled_tables = merge({ live = var.items.name }, { for second in var.items.second[*] : "second" => second.name })
  throttled = merge(
    { for role, name in local.throttled_tables : "${role}_table" => { TableName = name } },
    { for role, name in local.throttled_tables : "${role}_index" => {
      TableName = name, GlobalSecondaryIndexName = var.items.index_name
    } },
  )
  throttle_metrics = merge([for kind in ["Read", "Write"] : {
    for key, dimensions in local.throttled : "${key}_${lower(kind)}s" => {
      namespace   = "AWS/DynamoDB"
      metric_name = "${kind}ThrottleEvents"
      dimensions  = dimensions
      statistic   = "Sum"
    }
  }]...)
}

module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name               = var.name
  actions            = var.alarm_actions
  parts_of_composite = local.parts_of_composite

  alarms = merge(local.cache_alarms, local.optional_alarms, {
    # Fires if the API fails in three of fifteen minutes. A minute counts if more than half of its requests fail, or at
    # least five requests and more than 5 %. So a few errors don't fire the alarm. If everything fails, the alarm fires
    # after three minutes with requests, however few requests there are.
    #
    # API Gateway emits both metrics with these dimensions whether or not method-level metrics are on. Without requests
    # it emits no data. That isn't a fault of the API, so nothing needs a second alarm.
    api_errors = {
      name     = "api-errors"
      severity = "page"
      effect   = "many requests fail."
      first    = "ops/readplane status"
      description = join(" ", [
        "The API responds to many requests with a 5xx. Read the access log for status and route, then the log of the",
        "function behind the route. If writes fail, look at the alarms writes-unconfirmed and write-errors.",
      ])

      expression = {
        id    = "failing"
        label = "Minutes in which many requests fail"
        text  = "IF(rate > 0.5 OR (errors >= 5 AND rate > 0.05), 1, 0)"

        metrics = {
          errors = {
            namespace   = "AWS/ApiGateway"
            metric_name = "5XXError"
            dimensions  = local.api_stage
            statistic   = "Sum"
          }
          # The average of this metric is the share of the requests that got a 5xx.
          rate = {
            namespace   = "AWS/ApiGateway"
            metric_name = "5XXError"
            dimensions  = local.api_stage
            statistic   = "Average"
          }
        }
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 3 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if the slowest requests are slow for most of a quarter of an hour. Without requests there is no latency, so
    # missing data is calm.
    api_slow = {
      name     = "api-slow"
      severity = "page"
      effect   = "requests are slow."
      first    = "ops/readplane status"
      description = join(" ", [
        "The slowest requests of the API take more than ${local.slow_ms} ms. Compare the durations of read and write",
        "in the dashboard with the latency in the access log. Look for throttles of DynamoDB, Firehose and Lambda.",
      ])

      metric = {
        namespace   = "AWS/ApiGateway"
        metric_name = "Latency"
        dimensions  = local.api_stage
        statistic   = "p99"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 10 }
      threshold    = local.slow_ms
      missing_data = "notBreaching"
    }

    # Fires if Firehose doesn't confirm writes. `write` emits the metric only for such a write, so missing data is calm.
    # If `write` itself fails, the alarms write-errors and api-errors fire.
    writes_unconfirmed = {
      name     = "writes-unconfirmed"
      severity = "page"
      effect   = "writes get a 503 and aren't accepted."
      first    = "aws logs tail /aws/lambda/${var.name}-write --since 1h --filter-pattern write_not_confirmed"
      description = join(" ", [
        "Firehose doesn't confirm writes, so clients get a 503. Look for write_not_confirmed and its cause in",
        "/aws/lambda/${var.name}-write. Check the Firehose stream, its quotas and the policy of write.",
      ])

      metric = {
        namespace   = "Readplane"
        metric_name = "ChangesUnconfirmed"
        dimensions  = { Stack = var.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 3 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if `write` refuses all writes of a collection, because its schema can't be compiled. `write` emits the
    # metric only then. The alarm stays on for a day, because a collection may get few writes.
    schemas_unusable = {
      name     = "schemas-unusable"
      severity = "ticket"
      effect   = "writes to one collection get a 503."
      first    = "aws logs tail /aws/lambda/${var.name}-write --since 1h --filter-pattern schema_unusable"
      description = join(" ", [
        "A collection is closed for writes, because its JSON Schema can't be compiled. Look for schema_unusable in",
        "/aws/lambda/${var.name}-write, correct the schema and apply.",
      ])

      metric = {
        namespace   = "Readplane"
        metric_name = "SchemasUnusable"
        dimensions  = { Stack = var.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 3600, evaluated = 24, breaching = 1 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if a function finds a malformed row in the items table. A list or a batch skips the row. The functions emit
    # the metric only for such a row, so missing data is calm. The alarm stays on for a day, because the row may be read
    # seldom.
    rows_skipped = {
      name     = "rows-skipped"
      severity = "ticket"
      effect   = "one item is missing."
      first    = "aws logs tail /aws/lambda/${var.name}-read --since 1h --filter-pattern row_skipped"
      description = join(" ", [
        "A row of the items table is malformed, so it counts as no item. Look for row_skipped and the row's key in the",
        "logs of read, apply, publish and poll. Publish also keeps the row in quarantine. Write the item again: a good",
        "change replaces the row.",
      ])

      metric = {
        namespace   = "Readplane"
        metric_name = "RowsSkipped"
        dimensions  = { Stack = var.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 3600, evaluated = 24, breaching = 1 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if EventBridge Scheduler gives up the daily call of a function, which it repeats for a day. A function that
    # fails the call raises its alarm on errors instead. EventBridge Scheduler emits the metric only for a dropped call,
    # so missing data is calm.
    daily_dropped = {
      name     = "daily-calls-dropped"
      severity = "ticket"
      effect   = "none yet."
      first    = "ops/readplane status"
      description = join(" ", [
        "EventBridge Scheduler couldn't call a function for a day. Lambda takes a function out of service that nobody",
        "calls for 14 days. Look at the role ${aws_iam_role.daily.name} and at the functions' aliases.",
      ])

      metric = {
        namespace   = "AWS/Scheduler"
        metric_name = "InvocationDroppedCount"
        dimensions  = { ScheduleGroup = aws_scheduler_schedule_group.daily.name }
        statistic   = "Sum"
      }

      periods      = { seconds = 3600, evaluated = 24, breaching = 1 }
      threshold    = 0
      missing_data = "notBreaching"
    }

    # Fires if DynamoDB throttles an items table or its index for several minutes. The functions retry, so a short
    # throttle does no harm. DynamoDB emits these metrics only for a throttle, and CloudWatch ignores missing data of
    # DynamoDB. So the expression fills it with 0, or else the alarm would stay on for ever. The metrics of the
    # checkpoint table need no alarm: if `poll` can't read it, the alarm on the source's staleness fires.
    items_throttled = {
      name     = "items-throttled"
      severity = "ticket"
      effect   = "some requests are slower, and api-errors fires if they fail."
      first    = "ops/readplane status"
      description = join(" ", [
        "DynamoDB throttles an items table or its index. Compare the load with the account's quota of the table, and",
        "look for a hot key: a partition takes 1,000 writes or 3,000 reads a second. A rebuild that fills a second",
        "table too fast makes apply wait too.",
      ])

      expression = {
        id    = "throttled"
        label = "Throttled requests"
        text  = join(" + ", [for key in keys(local.throttle_metrics) : "FILL(${key}, 0)"])

        metrics = local.throttle_metrics
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 5 }
      threshold    = 0
      missing_data = "ignore"
    }

    # Fires if DynamoDB itself fails requests. The functions retry, so a short fault does no harm. DynamoDB emits the
    # metric for each operation, and only for a failed request, so the expression fills missing data as above. The alarm
    # leaves out a second table, because CloudWatch allows an expression ten metrics. DynamoDB's own faults seldom hit
    # only one table.
    items_errors = {
      name     = "items-errors"
      severity = "ticket"
      effect   = "some requests are slower, and the alarm clients fires if they fail."
      first    = "ops/readplane status"
      description = join(" ", [
        "DynamoDB fails requests to the items table with errors of its own. Look at AWS's Health Dashboard. The",
        "functions retry, and nothing is lost. If it lasts, lead clients to the other Region.",
      ])

      expression = {
        id    = "failed"
        label = "Requests that DynamoDB failed"
        text  = join(" + ", [for operation in local.items_operations : "FILL(${lower(operation)}, 0)"])
        metrics = { for operation in local.items_operations : lower(operation) => {
          namespace   = "AWS/DynamoDB"
          metric_name = "SystemErrors"
          dimensions  = merge(local.items_table, { Operation = operation })
          statistic   = "Sum"
        } }
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 5 }
      threshold    = 0
      missing_data = "ignore"
    }

    # Lambda emits the metric only when it invokes `publish`. So the alarm goes silent with a mapping that can't run,
    # and `publish_stopped` fires instead.
    publish_behind = {
      name     = "publish-behind"
      severity = "page"
      effect   = "documents are older than items."
      first    = "aws logs tail /aws/lambda/${var.name}-publish --since 1h --filter-pattern ERROR"
      description = join(" ", [
        "Documents lag behind the items by more than a minute. Check whether publish fails and whether Lambda",
        "throttles it. After six hours Lambda stops retrying a change and puts it under aws/lambda/ in the write-log",
        "bucket.",
      ])

      metric = {
        namespace   = "AWS/Lambda"
        metric_name = "IteratorAge"
        dimensions  = { FunctionName = module.function["publish"].function_name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 3 }
      threshold    = 60000
      missing_data = "notBreaching"
    }

    # Fires if the event source mapping doesn't poll the items stream: if it is disabled, or if it can't read the
    # stream. A mapping that polls an idle stream emits zeros. So only missing data can fire this alarm.
    publish_stopped = {
      name     = "publish-stopped"
      severity = "page"
      effect   = "documents are older than items."
      first    = "ops/readplane status"
      description = join(" ", [
        "Nothing reads the items stream for publish, so documents grow old. Look at the state of the event source",
        "mapping of ${module.function["publish"].function_name}, and at the policy of the function's role. The stream",
        "keeps a change for 24 hours.",
      ])

      metric = local.polls.live

      periods      = { seconds = 300, evaluated = 3 }
      threshold    = 1
      fires_below  = true
      missing_data = "breaching"
    }

    # Fires if Lambda gives up a batch of the items stream. A batch that Lambda stores in S3 counts as delivered to the
    # destination. A batch that it can't store counts as dropped or as a failed delivery. The alarm stays on for a week,
    # because the batches wait until somebody redrives them. Another batch within this week can't fire it again, but
    # `publish_behind` fires six hours before Lambda gives up a batch.
    #
    # Lambda emits the metrics only for such a batch, so missing data is calm.
    publish_set_aside = {
      name     = "publish-set-aside"
      severity = "ticket"
      effect   = "some documents are old."
      first    = "ops/readplane dead-letters list"
      description = join(" ", [
        "Lambda gave up a batch of the items stream after six hours, so some documents are old. Run ops/readplane",
        "dead-letters list, remove the cause, then run ops/readplane dead-letters redrive. If the list is empty,",
        "Lambda couldn't store the batch: check the role of publish, and write the items again.",
      ])

      expression = {
        id    = "given_up"
        label = "Records that Lambda no longer retries"
        text  = "set_aside + dropped + not_stored${local.given_up_of_second}"

        metrics = merge(local.given_up, {
          not_stored = {
            namespace   = "AWS/Lambda"
            metric_name = "DestinationDeliveryFailures"
            dimensions  = { FunctionName = module.function["publish"].function_name }
            statistic   = "Sum"
          }
        })
      }

      periods      = { seconds = 3600, evaluated = 168, breaching = 1 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  })
}

locals {
  optional_alarms = merge(
    { for key, alarm in local.api_cache_alarm : key => alarm if var.api.cache_size != null },
    { for key, alarm in local.concurrency_alarm : key => alarm if var.account_concurrency_quota != null },
    { for key, alarm in local.probe_alarm : key => alarm if local.has_probe },
    local.second_table_alarm,
  )

  # While there is a second table, fires if nothing reads its stream, as `publish_stopped` does for the live table. The
  # function `publish` mends the second table by this stream, so that the table can become the live one.
  #
  # Terraform makes this alarm some minutes before the mapping of a new table emits anything. So the first poll starts
  # the watch: before it, the expression has the missing values of `second`, and missing data starts no alarm. With
  # `ignore`, the alarm also stays on when CloudWatch no longer looks back to the last poll.
  second_table_alarm = { for table, polls in local.polls : "publish_second_stopped" => {
    name     = "publish-second-stopped"
    severity = "ticket"
    effect   = "none yet. After a switch, some items and documents may be old."
    first    = "ops/readplane status"
    description = join(" ", [
      "Nothing reads the stream of the second items table for publish, so publish doesn't mend this table. Look at the",
      "state of its event source mapping of ${module.function["publish"].function_name}, and at the policy of the",
      "function's role. The stream keeps a change for 24 hours.",
    ])

    expression = {
      id    = "stopped"
      label = "Periods without a poll since the first poll"
      text  = "IF(polls_so_far > 0, IF(polls > 0, 0, 1), second)"
      steps = {
        polls        = "FILL(second, 0)"
        polls_so_far = "RUNNING_SUM(polls)"
      }
      metrics = { second = polls }
    }

    periods      = { seconds = 300, evaluated = 5, breaching = 3 }
    threshold    = 0
    missing_data = "ignore"
  } if table == "second" }

  # Fires if the probe's requests fail, or if the probe doesn't report. Missing data counts as breaching, so this alarm
  # is the partner of all alarms that go silent without requests. A single failed run is no reason to page anybody.
  probe_alarm = {
    probe_failed = {
      name     = "probe-failed"
      severity = "page"
      effect   = "nobody reaches the API, or requests fail."
      first    = "aws logs tail /aws/lambda/${var.name}-probe --since 15m"
      description = join(" ", [
        "A request that the stack sends to its own API every minute fails, or isn't sent. Look for probe_failed and",
        "its outcomes: a status code is the API's, and a word is a fault of the name, the certificate or the network.",
        "Without a log line of the last minutes, look at the schedule ${local.probe_group}.",
      ])

      metric = {
        namespace   = "Readplane"
        metric_name = "ProbeFailed"
        dimensions  = { Stack = var.name }
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 5, breaching = 3 }
      threshold    = 0
      missing_data = "breaching"
    }
  }

  # Fires if the API's cache serves less than a fifth of the requests for cached routes, over an hour. A quiet hour says
  # nothing about the cache, so a quarter of an hour counts only with more than 1,000 requests.
  api_cache_alarm = {
    api_cache_misses = {
      name     = "api-cache-misses"
      severity = "ticket"
      effect   = "reads are slower."
      first    = "ops/readplane status"
      description = join(" ", [
        "The API's cache serves less than 20 % of the requests for cached routes. Are there requests with ever new",
        "query parameters, or many more items than the cache holds? Raise cache_size or cache_ttl, or turn the cache",
        "off.",
      ])

      expression = {
        id    = "useless"
        label = "Busy periods with few hits"
        text  = "IF(hits + misses > 1000 AND hits < 0.2 * (hits + misses), 1, 0)"
        steps = {
          hits   = "FILL(hit, 0)"
          misses = "FILL(miss, 0)"
        }

        metrics = {
          hit = {
            namespace   = "AWS/ApiGateway"
            metric_name = "CacheHitCount"
            dimensions  = local.api_stage
            statistic   = "Sum"
          }
          miss = {
            namespace   = "AWS/ApiGateway"
            metric_name = "CacheMissCount"
            dimensions  = local.api_stage
            statistic   = "Sum"
          }
        }
      }

      periods      = { seconds = 900, evaluated = 4 }
      threshold    = 0
      missing_data = "notBreaching"
    }
  }

  # Fires before Lambda throttles the account's functions. A stack that doesn't say the quota has the alarms on
  # throttles only. Lambda emits the metric only while functions run, so missing data is calm.
  concurrency_alarm = {
    concurrency = {
      name     = "concurrency"
      severity = "ticket"
      effect   = "none yet. At the quota, requests fail."
      first    = "aws lambda get-account-settings"
      description = join(" ", [
        "The account's functions in this Region use more than 80 % of the quota of ${local.quota} concurrent",
        "executions. Which function needs so many? Reserved concurrency counts too. Ask AWS for a higher quota.",
      ])

      metric = {
        namespace   = "AWS/Lambda"
        metric_name = "ClaimedAccountConcurrency"
        dimensions  = {}
        statistic   = "Maximum"
      }

      periods      = { seconds = 60, evaluated = 15, breaching = 5 }
      threshold    = 0.8 * local.quota
      missing_data = "notBreaching"
    }
  }

  quota = coalesce(var.account_concurrency_quota, 1000)
}

# What clients see: this alarm is on while one of its parts is. It notifies for its parts, so one fault pages once,
# however many parts notice it. The notification names the part that was first.
locals {
  # The names are composed here instead of read from the alarms. Otherwise the rule would be unknown in every plan that
  # changes one of the alarms, and the composite alarm would be replaced.
  parts_of_composite = concat(
    ["api-errors", "api-slow", "writes-unconfirmed"], local.has_probe ? ["probe-failed"] : [],
  )
  composite_rule = join(" OR ", [for name in local.parts_of_composite : "ALARM(\"${var.name}-${name}\")"])
}

# CloudWatch refuses to delete an alarm that a composite alarm names. Terraform would delete the part before it changes
# the rule. So it replaces the composite alarm when the parts change: that removes the composite alarm first.
resource "terraform_data" "composite_rule" {
  count = var.alarms ? 1 : 0
  input = local.composite_rule
}

resource "aws_cloudwatch_composite_alarm" "clients" {
  count = var.alarms ? 1 : 0

  alarm_name = "${var.name}-clients"
  alarm_description = join("\n", [
    "Clients notice a fault of the API in this Region. The notification names the alarm that was first.",
    "Clients: requests fail or are slow, or nobody reaches the API.",
    "Region: ${local.region}",
    "First: ops/readplane status",
    "Runbook: docs/runbooks/clients.md",
  ])
  alarm_rule    = local.composite_rule
  alarm_actions = var.alarm_actions.page
  ok_actions    = var.alarm_actions.page

  lifecycle {
    replace_triggered_by = [terraform_data.composite_rule]
  }

  # CloudWatch refuses a rule that names an alarm which doesn't exist.
  depends_on = [module.alarms]
}

moved {
  from = aws_cloudwatch_metric_alarm.publish_behind[0]
  to   = module.alarms[0].aws_cloudwatch_metric_alarm.this["publish_behind"]
}
