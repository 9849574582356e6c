# A second domain name of the API, which leads to this Region only. The name in domain.tf may lead to another Region, so
# it can't tell whether this one works. Route 53 asks this name, and so can people.
locals {
  regional_names = compact([try(var.domain.regional_name, null)])
}

# The certificate of the first name must cover this one too. API Gateway refuses the name otherwise.
resource "aws_api_gateway_domain_name" "regional" {
  count = length(local.regional_names)

  domain_name              = local.regional_names[count.index]
  regional_certificate_arn = var.domain.certificate_arn
  security_policy          = "TLS_1_2"

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_base_path_mapping" "regional" {
  count = length(local.regional_names)

  domain_name = aws_api_gateway_domain_name.regional[count.index].domain_name
  api_id      = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  base_path   = local.stage_name

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "regional" {
  count = length(local.regional_names)

  zone_id = var.domain.hosted_zone_id
  name    = local.regional_names[count.index]
  type    = "A"

  alias {
    name                   = aws_api_gateway_domain_name.regional[count.index].regional_domain_name
    zone_id                = aws_api_gateway_domain_name.regional[count.index].regional_zone_id
    evaluate_target_health = false # there is no other place to lead clients to
  }

  # A new name works, and its health is asked, before the old one stops.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_api_gateway_base_path_mapping.regional]
}
