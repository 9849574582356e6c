# Tests of module monitoring: the SNS topic, its policy, the alarms and the dashboard.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

# Otherwise, both topics would have the same ARN.
override_resource {
  target          = module.ticket_topic.aws_sns_topic.alarms
  override_during = plan
  values          = { arn = "arn:aws:sns:eu-central-1:111122223333:readplane-tickets" }
}

variables {
  name          = "readplane"
  items_table   = "readplane-items"
  notify        = { emails = ["operations@example.com"], phone_numbers = ["+4915112345678"] }
  kms_key_arn   = "arn:aws:kms:eu-central-1:111122223333:key/k"
  alarm_actions = ["arn:aws:sns:eu-central-1:111122223333:operators"]
  tickets       = null
  sources = {
    subdivisions = { staleness_budget = 300 }
    currencies   = { staleness_budget = 86400 }
  }
}

run "with_key_and_sources" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    expected_statement = {
      Sid       = "AlarmsPublish"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = ["sns:Publish"]
      Resource  = ["arn:aws:sns:eu-central-1:111122223333:readplane-alarms"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = "111122223333" }
        ArnLike      = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:*" }
      }
    }

    expected_metrics = {
      readplane-apply-objects-failed        = "ObjectsFailed"
      readplane-breaker-open-currencies     = "BreakerOpen"
      readplane-breaker-open-subdivisions   = "BreakerOpen"
      readplane-list-doubtful-currencies    = "ListDoubtful"
      readplane-list-doubtful-subdivisions  = "ListDoubtful"
      readplane-notifications-failed        = "NumberOfNotificationsFailed"
      readplane-overlap-missed-currencies   = "OverlapMissed"
      readplane-overlap-missed-subdivisions = "OverlapMissed"
      readplane-quarantine                  = "ChangesQuarantined"
      readplane-quarantine-currencies       = "RecordsInQuarantine"
      readplane-quarantine-subdivisions     = "RecordsInQuarantine"
      readplane-region-behind-currencies    = tostring(null)
      readplane-region-behind-subdivisions  = tostring(null)
      readplane-stale-currencies            = "Staleness"
      readplane-stale-subdivisions          = "Staleness"
      readplane-sweep-refused-currencies    = "SweepRefused"
      readplane-sweep-refused-subdivisions  = "SweepRefused"
      readplane-ticket-notifications-failed = "NumberOfNotificationsFailed"
    }

    expected_thresholds = {
      readplane-apply-objects-failed        = 0
      readplane-breaker-open-currencies     = 0
      readplane-breaker-open-subdivisions   = 0
      readplane-list-doubtful-currencies    = 0
      readplane-list-doubtful-subdivisions  = 0
      readplane-notifications-failed        = 0
      readplane-overlap-missed-currencies   = 0
      readplane-overlap-missed-subdivisions = 0
      readplane-quarantine                  = 0
      readplane-quarantine-currencies       = 0
      readplane-quarantine-subdivisions     = 0
      readplane-region-behind-currencies    = 0
      readplane-region-behind-subdivisions  = 0
      readplane-stale-currencies            = 86400
      readplane-stale-subdivisions          = 300
      readplane-sweep-refused-currencies    = 0
      readplane-sweep-refused-subdivisions  = 0
      readplane-ticket-notifications-failed = 0
    }

    expected_dimensions = {
      readplane-apply-objects-failed        = { Stack = "readplane" }
      readplane-breaker-open-currencies     = { Source = "currencies", Stack = "readplane" }
      readplane-breaker-open-subdivisions   = { Source = "subdivisions", Stack = "readplane" }
      readplane-list-doubtful-currencies    = { Source = "currencies", Stack = "readplane" }
      readplane-list-doubtful-subdivisions  = { Source = "subdivisions", Stack = "readplane" }
      readplane-notifications-failed        = { TopicName = "readplane-alarms" }
      readplane-overlap-missed-currencies   = { Source = "currencies", Stack = "readplane" }
      readplane-overlap-missed-subdivisions = { Source = "subdivisions", Stack = "readplane" }
      readplane-quarantine                  = { Stack = "readplane" }
      readplane-quarantine-currencies       = { Source = "currencies", Stack = "readplane" }
      readplane-quarantine-subdivisions     = { Source = "subdivisions", Stack = "readplane" }
      readplane-stale-currencies            = { Source = "currencies", Stack = "readplane" }
      readplane-stale-subdivisions          = { Source = "subdivisions", Stack = "readplane" }
      readplane-sweep-refused-currencies    = { Source = "currencies", Stack = "readplane" }
      readplane-sweep-refused-subdivisions  = { Source = "subdivisions", Stack = "readplane" }
      readplane-ticket-notifications-failed = { TopicName = "readplane-tickets" }
    }

    # The first word of the titles.
    expected_order = [
      "API", "probe", "write", "apply", "publish", "read", "malformed", "currencies", "subdivisions", "items",
      "quarantine", "cost",
    ]

    expected_pages = [
      "readplane-apply-objects-failed", "readplane-region-behind-currencies", "readplane-region-behind-subdivisions",
      "readplane-stale-currencies", "readplane-stale-subdivisions",
    ]

    expected_source     = { Source = "currencies", Stack = "readplane" }
    expected_expression = "IF(polls > 0 AND (FILL(snapshots, 0) >= polls OR FILL(freshness, 0) >= polls), 1, 0)"
    expected_counts     = { freshness = "FreshnessFailed", polls = "PollsCompleted", snapshots = "SnapshotsFailed" }

    expected_titles = ["currencies: staleness in seconds", "subdivisions: staleness in seconds"]
    expected_budgets = [
      { horizontal = [{ label = "budget", value = 86400 }] },
      { horizontal = [{ label = "budget", value = 300 }] },
    ]

    # In the order of the widgets.
    expected_source_metrics = [
      for metric in [
        "Staleness", "PollsCompleted", "PollsFailed", "RecordsPolled", "ChangesPolled", "RecordsInQuarantine",
        "BreakerOpen", "SweepRefused", "ListDoubtful", "OverlapMissed", "DuplicateIds",
      ] : ["Readplane", metric, "Stack", "readplane", "Source", "currencies"]
    ]
  }

  # --- The SNS topic

  assert {
    condition     = output.topic.kms_key == var.kms_key_arn
    error_message = "The customer managed key encrypts the topic. With AWS's key, no alarm would get through."
  }

  assert {
    condition     = output.topic_arn == "arn:aws:sns:eu-central-1:111122223333:readplane-alarms"
    error_message = "The ARN that the module composes for the policy is the topic's ARN."
  }

  assert {
    condition     = jsondecode(output.policies.topic).Statement == [var.expected_statement]
    error_message = "Only this account's alarms in this Region may publish."
  }

  assert {
    condition = { for endpoint, each in output.topic.subscriptions : endpoint => each.protocol } == {
      "operations@example.com" = "email", "+4915112345678" = "sms"
    }
    error_message = "Each address and each phone number of notify has a subscription."
  }

  assert {
    condition     = one(distinct(values(output.topic.subscriptions)[*].topic_arn)) == output.topic_arn
    error_message = "They get the alarms of the topic."
  }

  # --- The alarms

  assert {
    condition     = { for name, alarm in output.alarms : name => alarm.metric_name } == var.expected_metrics
    error_message = "Each source has an alarm of every kind, and apply has two. Each watches its own metric."
  }

  assert {
    condition = toset([
      for alarm in output.alarms : alarm.namespace if alarm.namespace != null
    ]) == toset(["AWS/SNS", "Readplane"])
    error_message = "The metrics are those that the functions emit."
  }

  assert {
    condition     = { for name, alarm in output.alarms : name => alarm.threshold } == var.expected_thresholds
    error_message = "A source's data may be as old as its budget. Of everything else, one is too much."
  }

  assert {
    condition = alltrue([
      for name, alarm in output.alarms :
      alarm.treat_missing_data == (startswith(name, "readplane-stale-") ? "breaching" : "notBreaching")
    ])
    error_message = "A missing age counts as too old. Otherwise, missing data raises no alarm."
  }

  assert {
    condition     = alltrue([for alarm in output.alarms : alarm.comparison_operator == "GreaterThanThreshold"])
    error_message = "Every alarm fires above its threshold."
  }

  assert {
    condition = jsonencode({
      for name, alarm in output.alarms : name => alarm.dimensions if alarm.dimensions != null
    }) == jsonencode(var.expected_dimensions)
    error_message = "The alarms of a source have its dimension, and those of apply have only the stack's."
  }

  assert {
    condition = alltrue([
      for alarm in module.staleness.alarms : alarm.period == 60 && alarm.datapoints_to_alarm == 3
    ])
    error_message = "Three minutes beyond the budget raise the alarm."
  }

  assert {
    condition     = alltrue([for alarm in module.staleness.alarms : alarm.statistic == "Maximum"])
    error_message = "The greatest age in a minute counts."
  }

  assert {
    condition     = alltrue([for alarm in module.sweep_refused.alarms : alarm.datapoints_to_alarm == 1])
    error_message = "One refused sweep raises the alarm."
  }

  assert {
    condition     = alltrue([for alarm in module.source_quarantine.alarms : alarm.statistic == "Maximum"])
    error_message = "The alarm on quarantine watches how many records are refused, and not how many a poll adds."
  }

  assert {
    condition     = alltrue([for alarm in module.list_doubtful.alarms : alarm.datapoints_to_alarm == 1])
    error_message = "One doubtful list raises the alarm."
  }

  assert {
    condition     = alltrue([for alarm in module.overlap_missed.alarms : alarm.datapoints_to_alarm == 2])
    error_message = "A deleted record is missing once, and raises no alarm."
  }

  assert {
    condition = alltrue([
      for alarm in module.sweep_refused.alarms : alarm.period * alarm.evaluation_periods == 86400
    ])
    error_message = "The alarm stays on for a day."
  }

  assert {
    condition = alltrue([for name in keys(var.sources) :
      jsonencode(module.region_behind.queries[name]["behind"].expression) == jsonencode(var.expected_expression)
    ])
    error_message = "A Region whose documents can't be written raises an alarm, although no poll fails."
  }

  assert {
    condition = {
      for id, query in module.region_behind.queries["currencies"] : id => query.metric[0].metric_name if id != "behind"
    } == var.expected_counts
    error_message = "The alarm compares the polls with their failures to write."
  }

  assert {
    condition = toset(flatten([
      for query in module.region_behind.queries["currencies"] : query.metric[*].dimensions
    ])) == toset([tomap(var.expected_source)])
    error_message = "The alarm compares the counts of one source."
  }

  assert {
    condition = toset(flatten([
      for query in module.region_behind.queries["currencies"] : query.metric[*].period
    ])) == toset([3600])
    error_message = "The alarm compares the counts of the same hour."
  }

  assert {
    condition = (
      output.alarms["readplane-apply-objects-failed"].period
      * output.alarms["readplane-apply-objects-failed"].evaluation_periods >= 1800
    )
    error_message = "Objects that fail repeatedly raise an alarm, and a transient fault doesn't."
  }

  assert {
    condition = var.expected_pages == [
      for name, alarm in output.alarms : name if !contains(alarm.alarm_actions, output.ticket_topic_arn)
    ]
    error_message = "Pages don't notify the topic of tickets."
  }

  assert {
    condition = alltrue([for name, alarm in output.alarms :
      length(setsubtract(local.pages, alarm.alarm_actions)) == 0 if !endswith(name, "-notifications-failed")
    ])
    error_message = "Pages notify the topic of pages and alarm_actions, and tickets do so by default."
  }

  assert {
    condition     = contains(output.alarms["readplane-notifications-failed"].alarm_actions, output.ticket_topic_arn)
    error_message = "A topic that fails is told to both topics."
  }

  assert {
    condition = alltrue([
      for name, alarm in output.alarms :
      alarm.ok_actions == (endswith(name, "notifications-failed") ? toset([]) : alarm.alarm_actions)
    ])
    error_message = <<-EOT
      Every alarm notifies the same topics when it stops. Only the alarms on failed notifications don't, because that
      message would fail too.
    EOT
  }

  # --- The dashboard

  assert {
    condition     = aws_cloudwatch_dashboard.this.dashboard_name == "readplane-eu-central-1"
    error_message = "The dashboard's name holds the Region."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 4 * (2 + 7)
    error_message = "One row for each source, and one each for clients, write, apply, publish, read, items and cost."
  }

  assert {
    condition = distinct([
      for widget in jsondecode(output.dashboard).widgets : regex("^[a-zA-Z]+", widget.properties.title)
    ]) == tolist(var.expected_order)
    error_message = "The dashboard shows what clients see first, then the stages, the stores and the cost."
  }

  assert {
    condition = [
      for w in jsondecode(output.dashboard).widgets : w.properties.annotations if can(w.properties.annotations)
    ] == var.expected_budgets
    error_message = "A source's staleness is shown beside its budget."
  }

  assert {
    condition = [
      for widget in jsondecode(output.dashboard).widgets : widget.properties.title
      if can(widget.properties.annotations)
    ] == var.expected_titles
    error_message = "Only the staleness has a budget."
  }

  assert {
    condition = flatten([
      for widget in slice(jsondecode(output.dashboard).widgets, 20, 24) : widget.properties.metrics
    ]) == flatten(var.expected_source_metrics)
    error_message = "A source's row shows the metrics of poll."
  }

  assert {
    condition = [
      for widget in jsondecode(output.dashboard).widgets : widget.y
      if startswith(widget.properties.title, "currencies: ")
    ] == [30, 30, 30, 30]
    error_message = "All widgets of the first source are in one row, after the other stages."
  }

  assert {
    condition = [
      for widget in jsondecode(output.dashboard).widgets : widget.y
      if startswith(widget.properties.title, "subdivisions: ")
    ] == [36, 36, 36, 36]
    error_message = "All widgets of the second source are in the next row."
  }

  assert {
    condition     = alltrue([for widget in jsondecode(output.dashboard).widgets : widget.x + widget.width <= 24])
    error_message = "The widgets fit into the 24 columns."
  }

  assert {
    condition = alltrue([
      for widget in jsondecode(output.dashboard).widgets : widget.properties.region == "eu-central-1"
    ])
    error_message = "The widgets show this Region."
  }

  assert {
    condition = length(distinct([
      for widget in jsondecode(output.dashboard).widgets : "${widget.x} ${widget.y}"
    ])) == 36
    error_message = "The widgets don't overlap."
  }
}

run "without_key_sources_and_recipients" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    notify        = { emails = [], phone_numbers = [] }
    kms_key_arn   = null
    alarm_actions = []
    sources       = {}

    expected_alarms = ["apply-objects-failed", "notifications-failed", "quarantine", "ticket-notifications-failed"]
  }

  assert {
    condition     = output.topic.kms_key == null
    error_message = "Without a customer managed key, the topic has none, because AWS's key would shut CloudWatch out."
  }

  assert {
    condition     = length(output.topic.subscriptions) == 0
    error_message = "Without recipients, nothing is subscribed to the topic."
  }

  assert {
    condition     = keys(output.alarms) == [for name in var.expected_alarms : "readplane-${name}"]
    error_message = "Without sources, the alarms of apply and of the topics still exist."
  }

  assert {
    condition     = length(jsondecode(output.dashboard).widgets) == 28
    error_message = "Without sources, the other rows still exist."
  }
}

run "in_the_replica_region" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    is_replica           = true
    alarms_with_commands = ["readplane-quarantine", "readplane-stale-currencies", "readplane-breaker-open-currencies"]
  }

  assert {
    condition = alltrue([
      for name in var.alarms_with_commands : strcontains(output.alarms[name].alarm_description, " --replica\n")
    ])
    error_message = "The commands in a notification work in the replica Region."
  }
}

run "tickets_go_elsewhere" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    tickets = {
      emails        = ["team@example.com"]
      alarm_actions = ["arn:aws:sns:eu-central-1:111122223333:team"]
    }
  }

  assert {
    condition     = output.alarm_actions.page == concat([output.topic_arn], var.alarm_actions)
    error_message = "Pages go where they went before."
  }

  assert {
    condition     = output.alarm_actions.ticket == concat([output.ticket_topic_arn], var.tickets.alarm_actions)
    error_message = "Tickets page nobody."
  }

  assert {
    condition     = keys(output.ticket_topic.subscriptions) == ["team@example.com"]
    error_message = "The team gets the tickets."
  }

  assert {
    condition     = keys(output.topic.subscriptions) == ["+4915112345678", "operations@example.com"]
    error_message = "The operators get the pages."
  }

  assert {
    condition     = output.ticket_topic.kms_key == var.kms_key_arn
    error_message = "The customer managed key encrypts both topics."
  }
}

run "in_another_partition_and_region" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  override_data {
    target = module.topic.data.aws_partition.current
    values = { partition = "aws-cn" }
  }

  override_data {
    target = module.topic.data.aws_region.current
    values = { name = "cn-north-1" }
  }

  assert {
    condition     = !strcontains(output.policies.topic, "arn:aws:")
    error_message = "The policy names no other partition."
  }

  assert {
    condition     = length(regexall("arn:aws-cn:[a-z]+:cn-north-1:", output.policies.topic)) == 2
    error_message = "The policy names the partition and the Region that the topic is in."
  }
}

run "as_many_topics_as_the_settings_may_name" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    alarm_actions = [for name in range(4) : "arn:aws:sns:eu-central-1:111122223333:t${name}"]
  }

  assert {
    condition     = alltrue([for alarm in output.alarms : length(alarm.alarm_actions) <= 5])
    error_message = "CloudWatch refuses an alarm that notifies more than five topics."
  }

  assert {
    condition     = length(setsubtract(var.alarm_actions, output.alarm_actions.page)) == 0
    error_message = "Pages notify every topic of alarm_actions."
  }

  assert {
    condition     = output.alarm_actions.ticket == output.alarm_actions.page
    error_message = "Tickets go where pages go."
  }
}

run "as_many_topics_of_each_severity_as_the_settings_may_name" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    alarm_actions = [for name in range(4) : "arn:aws:sns:eu-central-1:111122223333:t${name}"]
    tickets = {
      emails        = []
      alarm_actions = [for name in range(4) : "arn:aws:sns:eu-central-1:111122223333:u${name}"]
    }
  }

  assert {
    condition     = alltrue([for alarm in output.alarms : length(alarm.alarm_actions) <= 5])
    error_message = "CloudWatch refuses an alarm that notifies more than five topics."
  }

  assert {
    condition     = length(setsubtract(var.alarm_actions, output.alarm_actions.page)) == 0
    error_message = "Pages notify every topic of alarm_actions."
  }

  assert {
    condition     = output.alarm_actions.ticket == concat([output.ticket_topic_arn], var.tickets.alarm_actions)
    error_message = "Tickets notify every topic of tickets.alarm_actions."
  }
}
