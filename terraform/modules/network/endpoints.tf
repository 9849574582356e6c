# The ways to AWS's services. Gateway endpoints are free. They lead only to what this stack owns, so code that gets into
# a function can't carry data into somebody else's table or bucket.
locals {
  table_arns = concat(var.items.arns, [for arn in var.items.arns : "${arn}/index/${var.items.index_name}"])
  table_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ReadItems"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"]
      Resource  = local.table_arns
      Condition = { StringEquals = { "aws:PrincipalAccount" = local.account_id } }
    }]
  })

  # `read` serves documents itself if API Gateway can't.
  documents_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ReadDocuments"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["s3:GetObject"]
      Resource  = ["${var.documents_arn}/*"]
      Condition = { StringEquals = { "aws:PrincipalAccount" = local.account_id } }
    }]
  })

  gateways = length(local.gateway_tables) == 0 ? {} : {
    dynamodb = local.table_policy
    s3       = local.documents_policy
  }

  # A route table that is known when Terraform plans says whether there are gateway endpoints.
  gateway_tables = local.create == null ? var.network.existing.route_table_ids : ["new"]

  interface_services = toset(try(local.create.interface_endpoints, []))
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateways

  vpc_id            = local.vpc_id
  service_name      = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = local.route_table_ids
  policy            = each.value

  tags = { Name = "${var.name}-${each.key}" }
}

# Endpoints that the team asks for. Each has a network interface in every zone, which AWS bills by the hour. They have
# AWS's own policy, which allows everything: what a service does for a function is up to the function's role.
resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_services

  vpc_id              = local.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = local.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_security_group" "endpoints" {
  count = length(local.interface_services) == 0 ? 0 : 1

  name        = "${var.name}-endpoints"
  description = "Interface endpoints of the functions of ${var.name}"
  vpc_id      = local.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = length(local.interface_services) == 0 ? 0 : 1

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "From the functions"
  referenced_security_group_id = aws_security_group.functions.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}
