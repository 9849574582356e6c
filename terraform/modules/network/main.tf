# The network of one Region in which `read`, `query` and `feed` reach the private stores. Nothing in it is public: it
# has no internet gateway, no NAT gateway and no public subnet. The functions' way out leads to the stores, to DynamoDB
# and to S3, and nowhere else. The functions sign their tokens for the stores themselves, so they need no other service.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition

  create = var.network.create
  zones  = toset(try(local.create.zones, []))

  # Zone -> the number of its subnet among the sixteen of the VPC, from the zone's last letter. So a zone that comes or
  # goes moves no other subnet.
  letters = split("", "abcdefghijklmnop")
  numbers = { for zone in local.zones : zone => index(local.letters, substr(zone, -1, 1)) }

  vpc_id          = try(var.network.existing.vpc_id, one(aws_vpc.this[*].id))
  subnet_ids      = try(var.network.existing.subnet_ids, values(aws_subnet.this)[*].id)
  route_table_ids = try(var.network.existing.route_table_ids, aws_route_table.this[*].id)

  # The team's groups for an existing VPC, for example those that let the functions reach external stores.
  more_group_ids = try(var.network.existing.security_group_ids, [])
}

resource "aws_vpc" "this" {
  count = local.create == null ? 0 : 1

  cidr_block = local.create.cidr

  # The functions find DynamoDB and the stores by names, which the VPC's own resolver must answer.
  # https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-ddb.html
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

# AWS makes this group with every VPC, and lets everything in it talk to everything. Terraform takes its rules away.
resource "aws_default_security_group" "this" {
  count = local.create == null ? 0 : 1

  vpc_id = aws_vpc.this[0].id
}

resource "aws_subnet" "this" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(local.create.cidr, 4, local.numbers[each.key])
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-${each.key}" }

  # AWS deletes no subnet while Lambda has a network interface in it (functions.tf).
  timeouts {
    delete = "60m"
  }
}

# Has no route but those inside the VPC and those of the gateway endpoints.
resource "aws_route_table" "this" {
  count = local.create == null ? 0 : 1

  vpc_id = aws_vpc.this[0].id

  tags = { Name = var.name }
}

resource "aws_route_table_association" "this" {
  for_each = local.zones

  subnet_id      = aws_subnet.this[each.key].id
  route_table_id = aws_route_table.this[0].id
}
