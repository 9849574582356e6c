# The CloudWatch dashboard. It has one row for each source, and one row each for write, apply, publish and read. A row
# has four widgets, each 6 of the dashboard's 24 columns wide.
locals {
  own_metrics = { for name in [
    "ChangesAccepted", "ChangesUnconfirmed", "ChangesApplied", "ChangesDuplicate", "ChangesSuperseded", "ChangesQuarantined", "ChangesFailed",
    "ObjectsFailed", "DocumentsPublished", "RegressionsMended",
  ] : name => ["Readplane", name, "Stack", var.name] }

  functions = { for function in ["write", "apply", "publish", "read"] : function => {
    duration = ["AWS/Lambda", "Duration", "FunctionName", "${var.name}-${function}"]
    errors   = ["AWS/Lambda", "Errors", "FunctionName", "${var.name}-${function}"]
  } }

  api = { for name in ["Count", "Latency", "4XXError", "5XXError"] : name => ["AWS/ApiGateway", name, "ApiName", var.name, "Stage", "v1"] }

  # The rows of the dashboard. Each row is a list of widgets, and each widget has a title, metrics, a statistic and a
  # budget. The widget shows the budget as a line; null means no line.
  rows = concat(
    [for name, source in var.sources : [
      { title = "${name}: staleness in seconds", metrics = [["Readplane", "Staleness", "Stack", var.name, "Source", name]], stat = "Maximum", budget = source.staleness_budget },
      { title = "${name}: polls", metrics = [for metric in ["PollsCompleted", "PollsFailed"] : ["Readplane", metric, "Stack", var.name, "Source", name]], stat = "Sum", budget = null },
      { title = "${name}: changes", metrics = [for metric in ["RecordsPolled", "ChangesPolled"] : ["Readplane", metric, "Stack", var.name, "Source", name]], stat = "Sum", budget = null },
      { title = "${name}: quarantined, breaker open, sweeps refused", metrics = [for metric in ["RecordsQuarantined", "BreakerOpen", "SweepRefused"] : ["Readplane", metric, "Stack", var.name, "Source", name]], stat = "Sum", budget = null },
    ]],
    [
      [
        {
          title   = "write: changes"
          metrics = [local.own_metrics["ChangesAccepted"], local.own_metrics["ChangesUnconfirmed"]]
          stat    = "Sum"
          budget  = null
        },
        { title = "write: duration p99 in ms", metrics = [local.functions["write"].duration], stat = "p99", budget = null },
        { title = "write: errors", metrics = [local.functions["write"].errors], stat = "Sum", budget = null },
        { title = "write log: seconds until in S3", metrics = [["AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", "${var.name}-write-log"]], stat = "Maximum", budget = null },
      ],
      [
        {
          title = "apply: changes"
          metrics = [
            for outcome in ["ChangesApplied", "ChangesDuplicate", "ChangesSuperseded", "ChangesQuarantined"] :
            local.own_metrics[outcome]
          ]
          stat   = "Sum"
          budget = null
        },
        {
          title   = "apply: failed, will be retried"
          metrics = [local.own_metrics["ObjectsFailed"], local.own_metrics["ChangesFailed"]]
          stat    = "Sum"
          budget  = null
        },
        { title = "apply: duration p99 in ms", metrics = [local.functions["apply"].duration], stat = "p99", budget = null },
        { title = "apply: seconds in the queue", metrics = [["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "${var.name}-apply"]], stat = "Maximum", budget = null },
      ],
      [
        {
          title   = "publish: documents"
          metrics = [local.own_metrics["DocumentsPublished"], local.own_metrics["RegressionsMended"]]
          stat    = "Sum"
          budget  = null
        },
        { title = "publish: behind the items, in ms", metrics = [["AWS/Lambda", "IteratorAge", "FunctionName", "${var.name}-publish"]], stat = "Maximum", budget = null },
        { title = "publish: duration p99 in ms", metrics = [local.functions["publish"].duration], stat = "p99", budget = null },
        { title = "publish: errors", metrics = [local.functions["publish"].errors], stat = "Sum", budget = null },
      ],
      [
        { title = "API: requests", metrics = [local.api["Count"]], stat = "Sum", budget = null },
        { title = "API: refused and failed", metrics = [local.api["4XXError"], local.api["5XXError"]], stat = "Sum", budget = null },
        { title = "API: latency p99 in ms", metrics = [local.api["Latency"]], stat = "p99", budget = null },
        { title = "read: duration p99 in ms", metrics = [local.functions["read"].duration], stat = "p99", budget = null },
      ],
    ],
  )

  dashboard = jsonencode({ widgets = flatten([for y, row in local.rows : [for x, widget in row : {
    type   = "metric"
    x      = 6 * x
    y      = 6 * y
    width  = 6
    height = 6
    properties = merge(
      { title = widget.title, region = local.region, view = "timeSeries", period = 60, stat = widget.stat, metrics = widget.metrics },
      widget.budget == null ? {} : { annotations = { horizontal = [{ label = "budget", value = widget.budget }] } },
    )
  }]]) })
}

# The dashboard's name contains the Region, because CloudWatch lists the dashboards of all Regions together, but the
# widgets of this one show the metrics of a single Region. An account's first three dashboards are free. Each further
# one costs 3 $ a month.
resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "${var.name}-${local.region}"
  dashboard_body = local.dashboard
}
