# The row of `feed` in the dashboard of module monitoring.
locals {
  own_metrics = { for metric in ["KeysFed", "KeysFailed", "FeedLag"] : metric => [
    "Readplane", metric, "Stack", var.name
  ] }

  widgets = [
    {
      title   = "feed: keys written and failed"
      metrics = [local.own_metrics["KeysFed"], local.own_metrics["KeysFailed"]]
      stat    = "Sum"
    },
    { title = "feed: seconds until in the store", metrics = [local.own_metrics["FeedLag"]], stat = "Maximum" },
    {
      title = "feed: seconds in the queues"
      metrics = [for store in keys(local.stores) : [
        "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", local.queue_names[store]
      ]]
      stat = "Maximum"
    },
    {
      title   = "feed: errors"
      metrics = [["AWS/Lambda", "Errors", "FunctionName", "${var.name}-feed"]]
      stat    = "Sum"
    },
  ]
}
