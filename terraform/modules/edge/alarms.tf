# The alarm on the edge's errors. CloudFront emits its metrics in us-east-1, and only for minutes with requests, so
# missing data is calm.
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html
module "alarms" {
  source = "../alarm"
  count  = var.alarms ? 1 : 0

  name    = var.account_name
  actions = var.alarm_actions

  alarms = {
    # One period isn't enough, because a single failed request of a quiet stack is a large share of its requests.
    errors = {
      name     = "edge-errors"
      severity = "page"
      effect   = "some requests to the edge fail."
      first    = "ops/readplane status"
      description = join(" ", [
        "More than 5 % of the requests to the edge end with a 5xx. If an alarm on the API's errors is on too, begin",
        "there. Otherwise look at the paths and x-edge-detailed-result-type in the log ${local.log_group}",
        "(us-east-1, if edge.access_logs is on): a Lambda* there is an error of the function edge_auth, and an",
        "OriginError one of S3.",
      ])

      metric = {
        namespace   = "AWS/CloudFront"
        metric_name = "5xxErrorRate"
        dimensions  = { DistributionId = aws_cloudfront_distribution.this.id, Region = "Global" }
        statistic   = "Average"
      }

      periods      = { seconds = 300, evaluated = 3, breaching = 2 }
      threshold    = 5 # percent
      missing_data = "notBreaching"
    }
  }
}
