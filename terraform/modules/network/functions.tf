# The security group of `read`, `query` and `feed`. All of them have the same subnets and the same group, because Lambda
# shares network interfaces between functions that do. A shared interface takes 65,000 connections, and Lambda makes a
# new one within minutes, in which a function can't be updated.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
#
# The rules are resources of their own, so that store modules and teams can add theirs. Rules inside the group would
# remove all others.
resource "aws_security_group" "functions" {
  #checkov:skip=CKV2_AWS_5:Module function attaches it to the functions.

  name        = "${var.name}-functions"
  description = "The functions of ${var.name} that reach private stores"
  vpc_id      = local.vpc_id

  # Lambda takes up to 45 minutes to give back the network interfaces of a function that has left the VPC. AWS deletes
  # no group that an interface has.
  timeouts {
    delete = "60m"
  }
}

# The addresses of DynamoDB and S3 in this Region. AWS keeps the lists. A gateway endpoint answers at these addresses
# too, and so does a NAT gateway of an existing VPC. A security group doesn't filter questions to the VPC's resolver.
data "aws_ec2_managed_prefix_list" "service" {
  for_each = toset(["dynamodb", "s3"])

  name = "com.amazonaws.${local.region}.${each.key}"
}

resource "aws_vpc_security_group_egress_rule" "service" {
  for_each = data.aws_ec2_managed_prefix_list.service

  security_group_id = aws_security_group.functions.id
  description       = "To ${each.key}"
  prefix_list_id    = each.value.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  count = length(local.interface_services) == 0 ? 0 : 1

  security_group_id            = aws_security_group.functions.id
  description                  = "To the interface endpoints"
  referenced_security_group_id = aws_security_group.endpoints[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}
