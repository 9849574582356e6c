# The CloudWatch dashboard, in the order in which an operator asks: What do clients see? Which stage is behind? Which
# store is in trouble? What does it cost? A row has four widgets, each 6 of the dashboard's 24 columns wide.
locals {
  # Metric name -> the metric in the form that a widget needs: namespace, name, and names and values of the dimensions.
  own_metrics = {
    for metric in [
      "ChangesAccepted", "ChangesUnconfirmed", "ChangesApplied", "ChangesDuplicate", "ChangesSuperseded",
      "ChangesQuarantined", "ChangesFailed", "ObjectsFailed", "DocumentsPublished", "RegressionsMended",
      "ProbeFailed", "RecordsHandled", "ReplicationLag", "RowsSkipped",
    ] : metric => ["Readplane", metric, "Stack", var.name]
  }

  # Source name -> the same for the metrics that `poll` emits about the source.
  source_metrics = { for source in keys(var.sources) : source => {
    for metric in [
      "Staleness", "PollsCompleted", "PollsFailed", "RecordsPolled", "ChangesPolled", "RecordsInQuarantine",
      "BreakerOpen", "SweepRefused", "ListDoubtful", "OverlapMissed", "DuplicateIds",
    ] : metric => ["Readplane", metric, "Stack", var.name, "Source", source]
  } }

  functions = { for function in ["write", "apply", "publish", "read"] : function => {
    duration  = ["AWS/Lambda", "Duration", "FunctionName", "${var.name}-${function}"]
    errors    = ["AWS/Lambda", "Errors", "FunctionName", "${var.name}-${function}"]
    throttles = ["AWS/Lambda", "Throttles", "FunctionName", "${var.name}-${function}"]
  } }

  api = {
    for name in ["Count", "Latency", "4XXError", "5XXError"] :
    name => ["AWS/ApiGateway", name, "ApiName", var.name, "Stage", "v1"]
  }

  items = {
    for name in [
      "ReadThrottleEvents", "WriteThrottleEvents", "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits",
    ] : name => ["AWS/DynamoDB", name, "TableName", var.items_table]
  }

  write_log = {
    for name in ["DeliveryToS3.Records", "IncomingBytes"] :
    name => ["AWS/Firehose", name, "DeliveryStreamName", "${var.name}-write-log"]
  }

  delivery_freshness = ["AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", "${var.name}-write-log"]
  apply_queue_age    = ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "${var.name}-apply"]
  publish_delay      = ["AWS/Lambda", "IteratorAge", "FunctionName", "${var.name}-publish"]
}

# The rows of the dashboard. Each row is a list of four widgets, and each widget has a title, metrics and a statistic. A
# widget with a budget shows it as a line.
locals {
  source_rows = [for name, source in var.sources : [
    {
      title   = "${name}: staleness in seconds"
      metrics = [local.source_metrics[name]["Staleness"]]
      stat    = "Maximum"
      budget  = source.staleness_budget
    },
    {
      title   = "${name}: polls"
      metrics = [local.source_metrics[name]["PollsCompleted"], local.source_metrics[name]["PollsFailed"]]
      stat    = "Sum"
    },
    {
      title   = "${name}: changes"
      metrics = [local.source_metrics[name]["RecordsPolled"], local.source_metrics[name]["ChangesPolled"]]
      stat    = "Sum"
    },
    {
      title = "${name}: in quarantine, breaker open, sweeps refused, doubtful lists"
      metrics = [
        local.source_metrics[name]["RecordsInQuarantine"],
        local.source_metrics[name]["BreakerOpen"],
        local.source_metrics[name]["SweepRefused"],
        local.source_metrics[name]["ListDoubtful"],
        local.source_metrics[name]["OverlapMissed"],
        local.source_metrics[name]["DuplicateIds"],
      ]
      stat = "Maximum"
    },
  ]]

  write_row = [
    {
      title   = "write: changes"
      metrics = [local.own_metrics["ChangesAccepted"], local.own_metrics["ChangesUnconfirmed"]]
      stat    = "Sum"
    },
    { title = "write: duration p99 in ms", metrics = [local.functions["write"].duration], stat = "p99" },
    { title = "write: errors", metrics = [local.functions["write"].errors], stat = "Sum" },
    { title = "write log: seconds until in S3", metrics = [local.delivery_freshness], stat = "Maximum" },
  ]

  apply_row = [
    {
      title = "apply: changes"
      metrics = [
        local.own_metrics["ChangesApplied"],
        local.own_metrics["ChangesDuplicate"],
        local.own_metrics["ChangesSuperseded"],
        local.own_metrics["ChangesQuarantined"],
      ]
      stat = "Sum"
    },
    {
      title   = "apply: failed, will be retried"
      metrics = [local.own_metrics["ObjectsFailed"], local.own_metrics["ChangesFailed"]]
      stat    = "Sum"
    },
    { title = "apply: duration p99 in ms", metrics = [local.functions["apply"].duration], stat = "p99" },
    { title = "apply: seconds in the queue", metrics = [local.apply_queue_age], stat = "Maximum" },
  ]

  publish_row = [
    {
      title   = "publish: documents"
      metrics = [local.own_metrics["DocumentsPublished"], local.own_metrics["RegressionsMended"]]
      stat    = "Sum"
    },
    { title = "publish: behind the items, in ms", metrics = [local.publish_delay], stat = "Maximum" },
    { title = "publish: duration p99 in ms", metrics = [local.functions["publish"].duration], stat = "p99" },
    { title = "publish: errors", metrics = [local.functions["publish"].errors], stat = "Sum" },
  ]

  read_row = [
    { title = "read: duration p99 in ms", metrics = [local.functions["read"].duration], stat = "p99" },
    { title = "read: errors", metrics = [local.functions["read"].errors], stat = "Sum" },
    { title = "read: throttles", metrics = [local.functions["read"].throttles], stat = "Sum" },
    { title = "malformed rows", metrics = [local.own_metrics["RowsSkipped"]], stat = "Sum" },
  ]

  client_row = [
    { title = "API: requests", metrics = [local.api["Count"]], stat = "Sum" },
    { title = "API: refused and failed", metrics = [local.api["4XXError"], local.api["5XXError"]], stat = "Sum" },
    { title = "API: latency p99 in ms", metrics = [local.api["Latency"]], stat = "p99" },
    {
      title   = "probe: failed requests; writes: unconfirmed"
      metrics = [local.own_metrics["ProbeFailed"], local.own_metrics["ChangesUnconfirmed"]]
      stat    = "Sum"
    },
  ]

  items_row = [
    {
      title   = "items: throttled requests"
      metrics = [local.items["ReadThrottleEvents"], local.items["WriteThrottleEvents"]]
      stat    = "Sum"
    },
    {
      title   = "items: seconds behind the other Region"
      metrics = [local.own_metrics["ReplicationLag"]]
      stat    = "Minimum"
    },
    {
      title   = "write log: records delivered and handled"
      metrics = [local.write_log["DeliveryToS3.Records"], local.own_metrics["RecordsHandled"]]
      stat    = "Sum"
    },
    { title = "quarantine: changes", metrics = [local.own_metrics["ChangesQuarantined"]], stat = "Sum" },
  ]

  # What AWS bills by use. docs/costs.md has the prices.
  cost_row = [
    { title = "cost: requests to the API", metrics = [local.api["Count"]], stat = "Sum", period = 3600 },
    {
      title   = "cost: milliseconds of the functions"
      metrics = values(local.functions)[*].duration
      stat    = "Sum"
      period  = 3600
    },
    {
      title   = "cost: capacity units of the items"
      metrics = [local.items["ConsumedReadCapacityUnits"], local.items["ConsumedWriteCapacityUnits"]]
      stat    = "Sum"
      period  = 3600
    },
    { title = "cost: bytes written", metrics = [local.write_log["IncomingBytes"]], stat = "Sum", period = 3600 },
  ]

  # The widgets from left to right and from top to bottom.
  widgets = flatten([
    local.client_row,
    local.write_row, local.apply_row, local.publish_row, local.read_row, local.source_rows,
    local.items_row, var.stores,
    local.cost_row,
  ])

  dashboard = jsonencode({ widgets = [for index, widget in local.widgets : {
    type   = "metric"
    x      = 6 * (index % 4)
    y      = 6 * floor(index / 4)
    width  = 6
    height = 6
    properties = merge(
      {
        title   = widget.title
        region  = local.region
        view    = "timeSeries"
        period  = try(widget.period, 60)
        stat    = widget.stat
        metrics = widget.metrics
      },
      can(widget.budget) ? { annotations = { horizontal = [{ label = "budget", value = widget.budget }] } } : {},
    )
  }] })
}

# The dashboard's name contains the Region, because CloudWatch lists the dashboards of all Regions together, but the
# widgets of this one show the metrics of a single Region. An account's first three dashboards are free. Each further
# one costs 3 $ a month.
resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "${var.name}-${local.region}"
  dashboard_body = local.dashboard
}
