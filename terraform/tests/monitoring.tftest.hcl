# Tests of module monitoring: the SNS topic, its policy, the alarms and the dashboard.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name          = "readplane"
  notify        = { emails = ["operations@example.com"], phone_numbers = ["+4915112345678"] }
  kms_key_arn   = "arn:aws:kms:eu-central-1:111122223333:key/k"
  alarm_actions = ["arn:aws:sns:eu-central-1:111122223333:operators"]
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

  # --- The SNS topic

  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == var.kms_key_arn && output.topic_arn == "arn:aws:sns:eu-central-1:111122223333:readplane-alarms"
    error_message = "The customer managed key encrypts the topic. With AWS's key, no alarm would get through."
  }

  assert {
    condition = jsondecode(aws_sns_topic_policy.alarms.policy).Statement == jsondecode(jsonencode([{
      Sid       = "AlarmsPublish"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = ["sns:Publish"]
      Resource  = ["arn:aws:sns:eu-central-1:111122223333:readplane-alarms"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = "111122223333" }
        ArnLike      = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:*" }
      }
    }]))
    error_message = "Only this account's alarms in this Region may publish."
  }

  assert {
    condition = (
      aws_sns_topic_subscription.email["operations@example.com"].protocol == "email"
      && aws_sns_topic_subscription.phone["+4915112345678"].protocol == "sms"
      && alltrue([for s in concat(values(aws_sns_topic_subscription.email), values(aws_sns_topic_subscription.phone)) : s.topic_arn == output.topic_arn])
    )
    error_message = "Each address and number of notify has a subscription."
  }

  # --- The alarms

  assert {
    condition = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.staleness : (
      alarm.namespace == "Readplane" && alarm.metric_name == "Staleness" && alarm.dimensions == tomap({ Stack = "readplane", Source = name })
      && alarm.threshold == var.sources[name].staleness_budget && alarm.comparison_operator == "GreaterThanThreshold" && alarm.statistic == "Maximum"
      && alarm.period == 60 && alarm.treat_missing_data == "breaching"
    )]) && toset(keys(aws_cloudwatch_metric_alarm.staleness)) == toset(["currencies", "subdivisions"])
    error_message = "Each source has an alarm at its own budget, and a missing age counts as too old."
  }

  assert {
    condition = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.source_quarantine : (
      alarm.metric_name == "RecordsQuarantined" && alarm.dimensions == tomap({ Stack = "readplane", Source = name })
      && alarm.threshold == 0 && alarm.treat_missing_data == "notBreaching"
    )]) && length(aws_cloudwatch_metric_alarm.source_quarantine) == 2
    error_message = "One quarantined record of a source raises the alarm, and missing data doesn't."
  }

  assert {
    condition = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.sweep_refused : (
      alarm.metric_name == "SweepRefused" && alarm.dimensions == tomap({ Stack = "readplane", Source = name }) && alarm.threshold == 0
      && alarm.datapoints_to_alarm == 1 && alarm.period * alarm.evaluation_periods <= 86400
    )]) && length(aws_cloudwatch_metric_alarm.sweep_refused) == 2
    error_message = "One refused sweep raises the alarm, for a day, the longest that CloudWatch looks back."
  }

  assert {
    condition = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.region_behind : (
      toset(flatten([for query in alarm.metric_query : query.metric[*].metric_name])) == toset(["PollsCompleted", "SnapshotsFailed", "FreshnessFailed"])
      && alltrue([for query in alarm.metric_query : alltrue([for metric in query.metric : metric.dimensions == tomap({ Stack = "readplane", Source = name })])])
      && alarm.treat_missing_data == "notBreaching"
    )]) && length(aws_cloudwatch_metric_alarm.region_behind) == 2
    error_message = "A Region whose documents can't be written raises an alarm, although no poll fails."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.quarantine.metric_name == "ChangesQuarantined" && aws_cloudwatch_metric_alarm.quarantine.dimensions == tomap({ Stack = "readplane" })
      && aws_cloudwatch_metric_alarm.objects_failed.metric_name == "ObjectsFailed" && aws_cloudwatch_metric_alarm.objects_failed.dimensions == tomap({ Stack = "readplane" })
      && aws_cloudwatch_metric_alarm.objects_failed.period * aws_cloudwatch_metric_alarm.objects_failed.evaluation_periods >= 1800
    )
    error_message = "Changes that apply quarantines, and objects that fail repeatedly, raise an alarm."
  }

  assert {
    condition = alltrue([for alarm in concat(
      values(aws_cloudwatch_metric_alarm.staleness), values(aws_cloudwatch_metric_alarm.source_quarantine), values(aws_cloudwatch_metric_alarm.sweep_refused),
      values(aws_cloudwatch_metric_alarm.region_behind), [aws_cloudwatch_metric_alarm.quarantine, aws_cloudwatch_metric_alarm.objects_failed],
      ) : alarm.alarm_actions == toset(concat([output.topic_arn], var.alarm_actions)) && alarm.ok_actions == alarm.alarm_actions
    ])
    error_message = "Every alarm notifies the topic and alarm_actions, when it starts and when it ends."
  }

  # --- The dashboard

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 4 * (2 + 4) && aws_cloudwatch_dashboard.this.dashboard_name == "readplane-eu-central-1"
    error_message = "One row for each source, and one each for write, apply, publish and read."
  }

  assert {
    condition = alltrue([for name, source in var.sources : [for widget in jsondecode(output.dashboard).widgets : widget.properties.annotations.horizontal[0].value
    if widget.properties.title == "${name}: staleness in seconds"] == [source.staleness_budget]])
    error_message = "A source's staleness is shown beside its budget."
  }

  assert {
    condition = alltrue([for name in keys(var.sources) : toset(flatten([for widget in jsondecode(output.dashboard).widgets : [
      for metric in widget.properties.metrics : metric[1] if metric[length(metric) - 1] == name
    ]])) == toset(["Staleness", "PollsCompleted", "PollsFailed", "RecordsPolled", "ChangesPolled", "RecordsQuarantined", "BreakerOpen", "SweepRefused"])])
    error_message = "A source's row shows the metrics of poll."
  }

  assert {
    condition = alltrue([for name in keys(var.sources) : length(distinct([
      for widget in jsondecode(output.dashboard).widgets : widget.y if startswith(widget.properties.title, "${name}: ")
    ])) == 1])
    error_message = "All widgets of a source are in one row."
  }

  assert {
    condition = (
      alltrue([for widget in jsondecode(output.dashboard).widgets : widget.properties.region == "eu-central-1" && widget.x + widget.width <= 24])
      && length(distinct([for widget in jsondecode(output.dashboard).widgets : "${widget.x} ${widget.y}"])) == length(jsondecode(output.dashboard).widgets)
    )
    error_message = "The widgets show this Region, fit into the 24 columns and don't overlap."
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
  }

  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == null
    error_message = "Without a customer managed key, the topic has none, because AWS's key would shut CloudWatch out."
  }

  assert {
    condition     = length(aws_sns_topic_subscription.email) + length(aws_sns_topic_subscription.phone) + length(aws_cloudwatch_metric_alarm.staleness) == 0 && length(jsondecode(output.dashboard).widgets) == 16
    error_message = "Without recipients and sources, the topic, the other alarms and the other rows still exist."
  }
}

run "in_another_partition_and_region" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn" }
  }

  override_data {
    target = data.aws_region.current
    values = { name = "cn-north-1" }
  }

  assert {
    condition     = length(regexall("arn:aws:", output.policies.topic)) == 0 && length(regexall("arn:aws-cn:[a-z]+:cn-north-1:", output.policies.topic)) == 2
    error_message = "The policy names the partition and the Region that the topic is in."
  }
}
