# The health check of the record in domain.tf. While it fails, Route 53 leaves this Region out of its answers, unless
# the other Region fails too. It consists of two: `endpoint` asks the API, and `switch` is on or off as an operator
# wants. Both must be healthy.
#
# create_before_destroy: Terraform deletes a check only when nothing refers to it any more. Route 53 would delete it
# before, and the record's health would then be unpredictable.
# https://docs.aws.amazon.com/Route53/latest/APIReference/API_DeleteHealthCheck.html
locals {
  health_checks = var.health_check == null ? 0 : 1

  # A name that leads to this Region's API only. The API's own address is one while it is on, even behind the lock,
  # because the lock lets the health check through. If Route 53 asked the name of the record, the answer would come from
  # whichever Region the name leads to.
  own_host   = "${aws_api_gateway_rest_api.this.id}.execute-api.${data.aws_region.current.name}.${local.dns_suffix}"
  asked_host = length(local.regional_names) == 0 ? local.own_host : aws_route53_record.regional[0].name
  dns_suffix = data.aws_partition.current.dns_suffix

  ask_every       = 10 # seconds
  failures        = 3  # in a row
  seconds_to_fail = local.ask_every * local.failures
}

# About 15 places ask every 10 seconds. The Region counts as failing if at most 18 % of them got an answer in their last
# three tries, so after about 30 seconds. /v1/health is a fixed answer of API Gateway: it shows that the Region's API
# answers, not that its functions do. A check that called functions and stores would move all clients whenever one of
# these had a bad minute, and the other Region may have the same trouble.
# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
resource "aws_route53_health_check" "endpoint" {
  count = local.health_checks

  type              = "HTTPS"
  fqdn              = local.asked_host
  port              = 443
  resource_path     = "/${local.stage_name}/health"
  request_interval  = local.ask_every
  failure_threshold = local.failures
  measure_latency   = false # costs more

  tags = { Name = "${var.name}-${data.aws_region.current.name}-endpoint" }

  lifecycle {
    create_before_destroy = true
  }
}

# Route 53 reads the data of the alarm's metric, not the alarm's state, so `aws cloudwatch set-alarm-state` doesn't move
# it. Without data, it stays as it was.
resource "aws_route53_health_check" "switch" {
  count = local.health_checks

  type                            = "CLOUDWATCH_METRIC"
  cloudwatch_alarm_name           = var.health_check.alarm_name
  cloudwatch_alarm_region         = var.health_check.alarm_region
  insufficient_data_health_status = "LastKnownStatus"

  # Route 53 copies the alarm's settings when the health check changes, and doesn't notice a change of the alarm.
  # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-updating-cloudwatch-alarm-settings.html
  triggers = { settings = var.health_check.settings }

  tags = { Name = "${var.name}-${data.aws_region.current.name}-switch" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_health_check" "this" {
  count = local.health_checks

  type                   = "CALCULATED"
  child_healthchecks     = [aws_route53_health_check.endpoint[0].id, aws_route53_health_check.switch[0].id]
  child_health_threshold = 2 # both

  tags = { Name = "${var.name}-${data.aws_region.current.name}" }

  lifecycle {
    create_before_destroy = true
  }
}
