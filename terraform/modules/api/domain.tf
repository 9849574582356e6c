# A domain name of the team for the API, with TLS 1.2 or later. Terraform can't prove the domain's ownership by itself,
# so the team brings a certificate of AWS Certificate Manager, in this Region.
#
# The mapping's base path is the stage's name. So the paths are the same on the domain as on the API's own address, and
# clients change only the host.
locals {
  # Whether the API also answers on its own address, which API Gateway calls the default endpoint.
  default_endpoint = var.domain == null || try(var.domain.default_endpoint, true)

  dns_name = one(aws_api_gateway_domain_name.this[*].regional_domain_name)
  dns_zone = one(aws_api_gateway_domain_name.this[*].regional_zone_id)
}

# AWS lets an account create the same REGIONAL domain name in several Regions. So both Regions of a stack may share one
# name.
resource "aws_api_gateway_domain_name" "this" {
  count = var.domain == null ? 0 : 1

  domain_name              = var.domain.name
  regional_certificate_arn = var.domain.certificate_arn
  security_policy          = "TLS_1_2" # refuses older versions

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  # A new name works before the old one stops.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_base_path_mapping" "this" {
  count = var.domain == null ? 0 : 1

  domain_name = aws_api_gateway_domain_name.this[0].domain_name
  api_id      = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  base_path   = local.stage_name

  lifecycle {
    create_before_destroy = true
  }
}

# The record that leads the name to API Gateway. It is a latency record even if there is only one Region, because Route
# 53 refuses a latency record beside a simple record of the same name. So a replica can share the name later, and
# nothing has to be deleted first. Clients then reach the nearer Region.
resource "aws_route53_record" "this" {
  count = try(var.domain.hosted_zone_id, null) == null ? 0 : 1

  zone_id        = var.domain.hosted_zone_id
  name           = var.domain.name
  type           = "A"
  set_identifier = "${var.name}-${data.aws_region.current.name}"

  alias {
    name                   = local.dns_name
    zone_id                = local.dns_zone
    evaluate_target_health = true
  }

  latency_routing_policy {
    region = data.aws_region.current.name
  }

  # While it fails, Route 53 answers with the other Region's record.
  health_check_id = one(aws_route53_health_check.this[*].id)

  # Nobody resolves the name before API Gateway serves it.
  depends_on = [aws_api_gateway_base_path_mapping.this]
}
