variable "name" {
  description = "Stack name. The name of every alarm begins with it."
  type        = string
}

variable "alarms" {
  description = <<-EOT
    Key -> one alarm, which fires while its metric or expression is greater than `threshold`, or less if `fires_below`
    is true.

    - name: the rest of the alarm's name, after the stack name.
    - severity: `page` if clients notice the fault, or if data may be lost before the next working day. Otherwise
      `ticket`.
    - description: says what is wrong and what to look at. Notifications contain it, the next three and the Region.
    - effect: what clients notice, after the word "Clients:".
    - first: the first command to run. The module adds the Region to a command of the AWS CLI.
    - runbook: name of the file in docs/runbooks, without the ending; the alarm's name if it is null.
    - metric: the metric that the alarm watches; null if it watches an expression.
    - expression: the metric maths that the alarm watches; null if it watches a metric. `text` is the expression that
      the alarm compares with the threshold. It refers to `metrics` and `steps` by their keys. A step is an expression
      whose result only other expressions use.
    - periods: the length of a period in seconds, how many of the newest periods the alarm evaluates, and how many of
      these must breach the threshold. Without `breaching`, all of them must.
    - missing_data: what a period without data counts as: breaching, notBreaching, ignore or missing. `ignore` keeps the
      alarm's state while there is no data at all. With a metric of DynamoDB, CloudWatch knows only `ignore`.
    - notifies_ok: whether the alarm also notifies when it stops.
  EOT
  type = map(object({
    name        = string
    severity    = string
    description = string
    effect      = string
    first       = string
    runbook     = optional(string)

    metric = optional(object({
      namespace   = string
      metric_name = string
      dimensions  = map(string)
      statistic   = string
    }))

    expression = optional(object({
      id    = string
      label = string
      text  = string
      steps = optional(map(string), {})
      metrics = map(object({
        namespace   = string
        metric_name = string
        dimensions  = map(string)
        statistic   = string
      }))
    }))

    periods = object({
      seconds   = number
      evaluated = number
      breaching = optional(number)
    })

    threshold    = number
    fires_below  = optional(bool, false)
    missing_data = string
    notifies_ok  = optional(bool, true)
  }))

  validation {
    condition     = alltrue([for alarm in values(var.alarms) : contains(["page", "ticket"], alarm.severity)])
    error_message = "Give each alarm the severity page or ticket."
  }

  validation {
    condition     = alltrue([for alarm in values(var.alarms) : (alarm.metric == null) != (alarm.expression == null)])
    error_message = "Give each alarm either a metric or an expression, and not both."
  }

  # CloudWatch refuses an alarm whose expression uses no metric ("Period must not be null"), or more than ten.
  validation {
    condition = alltrue([
      for expression in values(var.alarms)[*].expression : contains(range(1, 11), length(expression.metrics))
      if expression != null
    ])
    error_message = "Give an alarm's expression 1 to 10 metrics: CloudWatch refuses any other number."
  }

  # The period of a series comes from the metrics that it is computed from. A series made of constants has no period, so
  # CloudWatch refuses it. For a series of ones, compute FILL(metric, 0) * 0 + 1.
  validation {
    condition = !strcontains(
      join(" ", flatten([for e in values(var.alarms)[*].expression : try([e.text, values(e.steps)], [])])),
      "TIME_SERIES("
    )
    error_message = "Compute each series of an alarm from a metric. CloudWatch refuses TIME_SERIES: it has no period."
  }

  validation {
    condition = alltrue([
      for periods in values(var.alarms)[*].periods : coalesce(periods.breaching, 1) <= periods.evaluated
    ])
    error_message = "Set periods.breaching to at most periods.evaluated: more periods can't breach than are evaluated."
  }

  validation {
    condition = alltrue([
      for periods in values(var.alarms)[*].periods :
      periods.seconds * periods.evaluated <= (periods.seconds < 3600 ? local.day : local.week)
    ])
    error_message = <<-EOT
      Let an alarm look back at most 86,400 seconds, or 604,800 if its periods last an hour or more: CloudWatch refuses
      more. Lower periods.seconds or periods.evaluated.
    EOT
  }
}

variable "parts_of_composite" {
  description = "Names of the alarms for which a composite alarm notifies. They notify nobody themselves."
  type        = list(string)
  default     = []
}

variable "actions" {
  description = <<-EOT
    Severity -> ARNs of the SNS topics that its alarms notify, when they start to fire and when they stop.
  EOT
  type        = object({ page = list(string), ticket = list(string) })
}
