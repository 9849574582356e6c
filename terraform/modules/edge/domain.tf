# A domain name of the team for the edge. With a zone, the stack proves that the name is the team's and makes its own
# certificate and the name's records. With a certificate, the team does both.
locals {
  zone_id = try(var.domain.zone_id, null)
  in_zone = local.zone_id == null ? 0 : 1

  certificate_arn = one(concat(
    aws_acm_certificate_validation.this[*].certificate_arn,
    compact([try(var.domain.certificate_arn, null)]),
  ))

  # For one name, ACM asks for one record.
  proof = one([for certificate in aws_acm_certificate.this : one(certificate.domain_validation_options)])
}

# CloudFront takes certificates from us-east-1 only.
resource "aws_acm_certificate" "this" {
  count = local.in_zone

  domain_name       = var.domain.name
  validation_method = "DNS"

  # The distribution uses the new certificate before the old one goes.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "proof" {
  count = local.in_zone

  zone_id = local.zone_id
  name    = local.proof.resource_record_name
  type    = local.proof.resource_record_type
  records = [local.proof.resource_record_value]
  ttl     = 300

  # Another certificate for the same name needs the same record.
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  count = local.in_zone

  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = aws_route53_record.proof[*].fqdn
}

# IPv4, IPv6, and the record that tells browsers of HTTP/3 before they connect.
resource "aws_route53_record" "this" {
  for_each = toset(local.in_zone == 0 ? [] : ["A", "AAAA", "HTTPS"])

  zone_id = local.zone_id
  name    = var.domain.name
  type    = each.value

  alias {
    name                   = aws_cloudfront_distribution.this.domain_name
    zone_id                = aws_cloudfront_distribution.this.hosted_zone_id
    evaluate_target_health = false
  }
}
