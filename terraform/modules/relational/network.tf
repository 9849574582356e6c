# Where the cluster is, and who reaches it: only the functions in the VPC.
resource "aws_db_subnet_group" "this" {
  name        = local.identifier
  description = "${var.name}: database"
  subnet_ids  = var.network.subnet_ids
}

resource "aws_security_group" "this" {
  name        = local.identifier
  description = "${var.name}: database"
  vpc_id      = var.network.vpc_id

  tags = { Name = local.identifier }
}

# Each rule is a resource of its own, so that a team can add rules to the groups.
resource "aws_vpc_security_group_ingress_rule" "functions" {
  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL from query and feed"
  referenced_security_group_id = var.network.functions_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_egress_rule" "functions" {
  security_group_id            = var.network.functions_group_id
  description                  = "PostgreSQL: query and feed to the database"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}
