# Tests of module alarm. The tests of the modules that call it check each alarm of the stack.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name = "readplane"
  actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators", "arn:aws:sns:eu-central-1:111122223333:alarms"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:tickets"]
  }

  alarms = {
    errors = {
      name        = "write-errors"
      severity    = "page"
      effect      = "some writes fail."
      first       = "aws logs tail /aws/lambda/readplane-write --since 1h"
      description = "readplane-write fails. Look for the reason in /aws/lambda/readplane-write."
      metric = {
        namespace   = "AWS/Lambda"
        metric_name = "Errors"
        dimensions  = { FunctionName = "readplane-write" }
        statistic   = "Sum"
      }
      periods      = { seconds = 60, evaluated = 5, breaching = 2 }
      threshold    = 7
      missing_data = "notBreaching"
    }

    lost = {
      name        = "records-lost"
      severity    = "ticket"
      effect      = "some writes don't show."
      first       = "ops/readplane dead-letters list"
      runbook     = "write-log-records-lost"
      description = "Apply has handled fewer records than Firehose delivered. Replay the hours in question."
      expression = {
        id    = "lost"
        label = "Records delivered but not handled"
        text  = "RUNNING_SUM(missing)"
        steps = { missing = "FILL(delivered, 0) - FILL(handled, 0)" }
        metrics = {
          delivered = {
            namespace   = "AWS/Firehose"
            metric_name = "DeliveryToS3.Records"
            dimensions  = { DeliveryStreamName = "readplane-write-log" }
            statistic   = "Sum"
          }
          handled = {
            namespace   = "Readplane"
            metric_name = "RecordsHandled"
            dimensions  = { Stack = "readplane" }
            statistic   = "SampleCount"
          }
        }
      }
      periods      = { seconds = 900, evaluated = 24 }
      threshold    = 0
      missing_data = "breaching"
    }
  }
}

run "metric_and_expression" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    expected_texts = {
      errors = <<-EOT
        readplane-write fails. Look for the reason in /aws/lambda/readplane-write.
        Clients: some writes fail.
        Region: eu-central-1
        First: aws logs tail /aws/lambda/readplane-write --since 1h --region eu-central-1
        Runbook: docs/runbooks/write-errors.md
      EOT
      lost   = <<-EOT
        Apply has handled fewer records than Firehose delivered. Replay the hours in question.
        Clients: some writes don't show.
        Region: eu-central-1
        First: ops/readplane dead-letters list
        Runbook: docs/runbooks/write-log-records-lost.md
      EOT
    }

    expected_expressions = {
      delivered = null
      handled   = null
      lost      = "RUNNING_SUM(missing)"
      missing   = "FILL(delivered, 0) - FILL(handled, 0)"
    }

    expected_handled = {
      namespace   = "Readplane"
      metric_name = "RecordsHandled"
      dimensions  = { Stack = "readplane" }
      stat        = "SampleCount"
      period      = 900
      unit        = null
    }
  }

  assert {
    condition = { for key, alarm in output.alarms : key => alarm.alarm_name } == {
      errors = "readplane-write-errors"
      lost   = "readplane-records-lost"
    }
    error_message = "The name of each alarm begins with the stack name."
  }

  assert {
    condition     = { for key, alarm in output.alarms : key => "${alarm.alarm_description}\n" } == var.expected_texts
    error_message = "Notifications say what is wrong, what clients notice, where, what to run first, and what helps."
  }

  assert {
    condition = alltrue([for key, severity in { errors = "page", lost = "ticket" } :
      output.alarms[key].alarm_actions == toset(var.actions[severity])
    ])
    error_message = "An alarm notifies every topic of its severity when it starts to fire."
  }

  assert {
    condition = alltrue([for key, severity in { errors = "page", lost = "ticket" } :
      output.alarms[key].ok_actions == toset(var.actions[severity])
    ])
    error_message = "An alarm notifies every topic of its severity when it stops."
  }

  assert {
    condition     = values(output.alarms)[*].treat_missing_data == ["notBreaching", "breaching"]
    error_message = "Each alarm says itself what missing data counts as."
  }

  # --- The alarm on a metric

  assert {
    condition = (
      output.alarms["errors"].namespace == "AWS/Lambda"
      && output.alarms["errors"].metric_name == "Errors"
    )
    error_message = "The alarm watches the metric."
  }

  assert {
    condition = (
      output.alarms["errors"].dimensions == tomap({ FunctionName = "readplane-write" })
      && output.alarms["errors"].statistic == "Sum"
    )
    error_message = "The metric has its dimensions and its statistic."
  }

  assert {
    condition = (
      output.alarms["errors"].threshold == 7
      && output.alarms["errors"].comparison_operator == "GreaterThanThreshold"
    )
    error_message = "The alarm fires above the threshold."
  }

  assert {
    condition = (
      output.alarms["errors"].period == 60
      && output.alarms["errors"].evaluation_periods == 5
      && output.alarms["errors"].datapoints_to_alarm == 2
    )
    error_message = "Two of five periods of a minute must breach the threshold."
  }

  assert {
    condition     = length(output.alarms["errors"].metric_query) == 0
    error_message = "An alarm on a metric has no expression."
  }

  # --- The alarm on an expression

  assert {
    condition = jsonencode({
      for id, query in output.queries["lost"] : id => query.expression
    }) == jsonencode(var.expected_expressions)
    error_message = "The expression, its steps and its metrics have their keys as ids."
  }

  assert {
    condition     = jsonencode(output.queries["lost"]["handled"].metric[0]) == jsonencode(var.expected_handled)
    error_message = "A metric of the expression has its dimensions, its statistic and the period of the alarm."
  }

  assert {
    condition = [
      for query in output.queries["lost"] : query.label if query.return_data == true
    ] == ["Records delivered but not handled"]
    error_message = "An alarm watches exactly one series, which is the result of the expression."
  }

  # CloudWatch refuses these attributes beside an expression.
  assert {
    condition = jsonencode([
      output.alarms["lost"].metric_name,
      output.alarms["lost"].statistic,
    ]) == "[null,null]"
    error_message = "An alarm on an expression has no metric and no statistic of its own."
  }

  assert {
    condition = jsonencode([
      output.alarms["lost"].namespace,
      output.alarms["lost"].period,
    ]) == "[null,null]"
    error_message = "An alarm on an expression has no namespace and no period of its own."
  }

  assert {
    condition     = output.alarms["lost"].evaluation_periods == 24
    error_message = "The alarm evaluates 24 periods."
  }
}

run "without_alarms" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = {}
  }

  assert {
    condition     = length(output.alarms) == 0
    error_message = "Without sources, for example, there is no alarm."
  }
}

run "neither_metric_nor_expression" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { nothing = {
      name         = "nothing"
      severity     = "page"
      effect       = "none."
      first        = "ops/readplane status"
      description  = "This alarm watches nothing."
      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  expect_failures = [var.alarms]
}

run "metric_and_expression_in_one_alarm" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { both = {
      name         = "both"
      severity     = "page"
      effect       = "none."
      first        = "ops/readplane status"
      description  = "This alarm watches two things."
      metric       = { namespace = "Readplane", metric_name = "Staleness", dimensions = {}, statistic = "Sum" }
      expression   = { id = "sum", label = "Sum", text = "1 + 1", metrics = {} }
      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  expect_failures = [var.alarms]
}

run "more_breaching_periods_than_evaluated_ones" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { never = {
      name         = "never"
      severity     = "page"
      effect       = "none."
      first        = "ops/readplane status"
      description  = "This alarm can't fire."
      metric       = { namespace = "Readplane", metric_name = "Staleness", dimensions = {}, statistic = "Sum" }
      periods      = { seconds = 60, evaluated = 3, breaching = 4 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  expect_failures = [var.alarms]
}

run "minutes_of_more_than_a_day" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { long = {
      name         = "long"
      severity     = "page"
      effect       = "none."
      first        = "ops/readplane status"
      description  = "This alarm looks back for a day and a minute."
      metric       = { namespace = "Readplane", metric_name = "Staleness", dimensions = {}, statistic = "Sum" }
      periods      = { seconds = 60, evaluated = 1441 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  expect_failures = [var.alarms]
}

run "hours_of_a_week" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { week = {
      name         = "week"
      severity     = "page"
      effect       = "none."
      first        = "ops/readplane status"
      description  = "This alarm looks back as long as CloudWatch allows."
      metric       = { namespace = "Readplane", metric_name = "Staleness", dimensions = {}, statistic = "Sum" }
      periods      = { seconds = 3600, evaluated = 168 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  assert {
    condition     = output.alarms["week"].evaluation_periods == 168
    error_message = "With periods of an hour, an alarm may look back for a week."
  }
}

run "hours_of_more_than_a_week" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { long = {
      name         = "long"
      severity     = "page"
      effect       = "none."
      first        = "ops/readplane status"
      description  = "This alarm looks back for a week and an hour."
      metric       = { namespace = "Readplane", metric_name = "Staleness", dimensions = {}, statistic = "Sum" }
      periods      = { seconds = 3600, evaluated = 169 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  expect_failures = [var.alarms]
}

run "below_a_percentile" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { slow = {
      name         = "slow"
      severity     = "page"
      effect       = "none."
      first        = "ops/readplane status"
      description  = "This alarm fires below a percentile and doesn't say when it stops."
      metric       = { namespace = "AWS/ApiGateway", metric_name = "Latency", dimensions = {}, statistic = "p99" }
      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 5
      fires_below  = true
      missing_data = "missing"
      notifies_ok  = false
    } }
  }

  assert {
    condition     = output.alarms["slow"].extended_statistic == "p99" && output.alarms["slow"].statistic == null
    error_message = "CloudWatch takes a percentile in an attribute of its own."
  }

  assert {
    condition     = output.alarms["slow"].comparison_operator == "LessThanThreshold"
    error_message = "The alarm fires below the threshold."
  }

  assert {
    condition = (
      output.alarms["slow"].alarm_actions == toset(var.actions.page)
      && length(coalesce(output.alarms["slow"].ok_actions, [])) == 0
    )
    error_message = "The alarm notifies only when it starts to fire."
  }
}

run "expression_without_metric" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { nothing = {
      name         = "nothing"
      severity     = "page"
      effect       = "none."
      first        = "ops/readplane status"
      description  = "CloudWatch refuses this alarm: Period must not be null."
      expression   = { id = "sum", label = "Sum", text = "1 + 1", metrics = {} }
      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  expect_failures = [var.alarms]
}

run "series_without_period" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { turn = {
      name        = "turn"
      severity    = "page"
      effect      = "none."
      first       = "ops/readplane status"
      description = "CloudWatch refuses this alarm: TIME_SERIES has no period."
      expression = {
        id      = "sum"
        label   = "Sum"
        text    = "errors + turn"
        steps   = { turn = "RUNNING_SUM(TIME_SERIES(1))" }
        metrics = { errors = { namespace = "Readplane", metric_name = "E", dimensions = {}, statistic = "Sum" } }
      }
      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  expect_failures = [var.alarms]
}

run "part_of_a_composite_alarm" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    parts_of_composite = ["part"]
    alarms = { part = {
      name         = "part"
      severity     = "page"
      description  = "This alarm is a part of the composite alarm."
      effect       = "requests fail."
      first        = "ops/readplane status"
      metric       = { namespace = "Readplane", metric_name = "Staleness", dimensions = {}, statistic = "Sum" }
      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  assert {
    condition = (
      length(coalesce(output.alarms["part"].alarm_actions, [])) == 0
      && length(coalesce(output.alarms["part"].ok_actions, [])) == 0
    )
    error_message = "The composite alarm notifies for its parts, so that one fault notifies once."
  }
}

run "unknown_severity" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { urgent = {
      name         = "urgent"
      severity     = "urgent"
      description  = "This alarm is a part of the composite alarm."
      effect       = "requests fail."
      first        = "ops/readplane status"
      metric       = { namespace = "Readplane", metric_name = "Staleness", dimensions = {}, statistic = "Sum" }
      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  expect_failures = [var.alarms]
}

run "metric_of_dynamodb" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { throttled = {
      name        = "throttled"
      severity    = "ticket"
      effect      = "none."
      first       = "ops/readplane status"
      description = "This alarm ignores missing data, as CloudWatch does with a metric of DynamoDB."
      expression = {
        id      = "sum"
        label   = "Sum"
        text    = "FILL(errors, 0)"
        metrics = { errors = { namespace = "AWS/DynamoDB", metric_name = "E", dimensions = {}, statistic = "Sum" } }
      }
      periods      = { seconds = 60, evaluated = 15, breaching = 5 }
      threshold    = 0
      missing_data = "ignore"
    } }
  }

  assert {
    condition     = output.alarms["throttled"].treat_missing_data == "ignore"
    error_message = "The alarm says what CloudWatch does."
  }
}

run "missing_data_of_dynamodb_that_counts" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { throttled = {
      name         = "throttled"
      severity     = "ticket"
      effect       = "none."
      first        = "ops/readplane status"
      description  = "CloudWatch would ignore missing data, so this alarm would stay on."
      metric       = { namespace = "AWS/DynamoDB", metric_name = "E", dimensions = {}, statistic = "Sum" }
      periods      = { seconds = 60, evaluated = 15, breaching = 5 }
      threshold    = 0
      missing_data = "notBreaching"
    } }
  }

  expect_failures = [aws_cloudwatch_metric_alarm.this]
}

run "text_that_is_too_long" {
  command = plan

  module {
    source = "./modules/alarm"
  }

  variables {
    alarms = { long = {
      name         = "long"
      severity     = "page"
      description  = "This alarm is a part of the composite alarm."
      effect       = join(" ", [for number in range(400) : "text"])
      first        = "ops/readplane status"
      metric       = { namespace = "Readplane", metric_name = "Staleness", dimensions = {}, statistic = "Sum" }
      periods      = { seconds = 60, evaluated = 1 }
      threshold    = 0
      missing_data = "missing"
    } }
  }

  expect_failures = [aws_cloudwatch_metric_alarm.this]
}
