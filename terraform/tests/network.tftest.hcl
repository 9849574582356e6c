# Tests of module network.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_ec2_managed_prefix_list" {
    defaults = { id = "pl-0a" }
  }

  mock_resource "aws_vpc" {
    defaults = { id = "vpc-0c" }
  }

  mock_resource "aws_subnet" {
    defaults = { id = "subnet-0c" }
  }

  mock_resource "aws_route_table" {
    defaults = { id = "rtb-0c" }
  }

  mock_resource "aws_security_group" {
    defaults = { id = "sg-0c" }
  }
}

variables {
  name = "readplane"
  items = {
    arns       = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
    index_name = "by-owner"
  }
  documents_arn = "arn:aws:s3:::readplane-documents-111122223333-eu-central-1"

  kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/k"
  log_retention_days = 30
}

run "new_network" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    network = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1c"] } }

    expected_table_policy = { Version = "2012-10-17", Statement = [{
      Sid       = "ReadItems"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"]
      Resource = [
        "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items",
        "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/index/by-owner",
      ]
      Condition = { StringEquals = { "aws:PrincipalAccount" = "111122223333" } }
    }] }

    expected_documents_policy = { Version = "2012-10-17", Statement = [{
      Sid       = "ReadDocuments"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["s3:GetObject"]
      Resource  = ["arn:aws:s3:::readplane-documents-111122223333-eu-central-1/*"]
      Condition = { StringEquals = { "aws:PrincipalAccount" = "111122223333" } }
    }] }

    flow_log_streams = join(":", [
      "arn:aws:logs:eu-central-1:111122223333:log-group", "/readplane/readplane/refused-connections", "*",
    ])
    flow_log_actions = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    flow_log_condition = {
      StringEquals = { "aws:SourceAccount" = "111122223333" }
      ArnLike      = { "aws:SourceArn" = "arn:aws:ec2:eu-central-1:111122223333:vpc-flow-log/*" }
    }

    expected_endpoints = {
      dynamodb = ["com.amazonaws.eu-central-1.dynamodb", "Gateway", "vpc-0c"]
      s3       = ["com.amazonaws.eu-central-1.s3", "Gateway", "vpc-0c"]
    }

    expected_network = jsonencode({
      vpc_id             = "vpc-0c"
      subnet_ids         = ["subnet-0c", "subnet-0c"]
      functions_group_id = "sg-0c"
      vpc                = { subnet_ids = ["subnet-0c", "subnet-0c"], security_group_ids = ["sg-0c"] }
    })
  }

  assert {
    condition     = aws_vpc.this[0].enable_dns_support && aws_vpc.this[0].enable_dns_hostnames
    error_message = "The VPC resolves names, because the functions find DynamoDB and the stores by names."
  }

  # A zone's subnet follows from its letter, so eu-central-1b would be between these and move none of them.
  assert {
    condition = { for zone, subnet in aws_subnet.this : zone => subnet.cidr_block } == {
      "eu-central-1a" = "10.20.0.0/24"
      "eu-central-1c" = "10.20.2.0/24"
    }
    error_message = "Each zone has a subnet of its own."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.this : !subnet.map_public_ip_on_launch])
    error_message = "No subnet is public."
  }

  assert {
    condition     = toset(keys(aws_route_table_association.this)) == toset(keys(aws_subnet.this))
    error_message = "Every subnet has the route table with the gateway endpoints."
  }

  assert {
    condition = {
      for key, each in aws_vpc_endpoint.gateway : key => [each.service_name, each.vpc_endpoint_type, each.vpc_id]
    } == var.expected_endpoints
    error_message = "Gateway endpoints lead to DynamoDB and S3."
  }

  assert {
    condition     = alltrue([for each in aws_vpc_endpoint.gateway : each.route_table_ids == toset(["rtb-0c"])])
    error_message = "The gateway endpoints are in the route table of the subnets."
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.gateway["dynamodb"].policy) == var.expected_table_policy
    error_message = "The endpoint to DynamoDB leads to the stack's own table and index only, and only to reads."
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.gateway["s3"].policy) == var.expected_documents_policy
    error_message = "The endpoint to S3 leads to the stack's own documents only, and only to reads."
  }

  assert {
    condition = alltrue([
      for each in aws_vpc_security_group_egress_rule.service : each.prefix_list_id == "pl-0a"
    ])
    error_message = "The functions' way out leads to DynamoDB and S3, and to no range of addresses."
  }

  assert {
    condition = alltrue([
      for each in aws_vpc_security_group_egress_rule.service : each.security_group_id == "sg-0c"
    ])
    error_message = "The rules are those of the functions' group."
  }

  assert {
    condition = alltrue([
      for each in aws_vpc_security_group_egress_rule.service : [each.from_port, each.to_port] == [443, 443]
    ])
    error_message = "The functions' way out leads to HTTPS only."
  }

  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && length(aws_security_group.endpoints) == 0
    error_message = "Without interface_endpoints there is nothing that costs money."
  }

  assert {
    condition     = aws_flow_log.this[0].traffic_type == "REJECT" && aws_flow_log.this[0].vpc_id == "vpc-0c"
    error_message = "The flow log has what the VPC refuses, and nothing that costs money in ordinary use."
  }

  assert {
    condition = [for group in aws_cloudwatch_log_group.refused : [group.name, group.kms_key_id]] == [
      ["/readplane/readplane/refused-connections", var.kms_key_arn],
    ]
    error_message = "The stack's key encrypts the flow log."
  }

  assert {
    condition = { for s in jsondecode(output.policies.flow_log).Statement : s.Sid => s.Resource } == {
      WriteLog = [var.flow_log_streams], FindLogGroup = ["*"]
    }
    error_message = "The flow log writes to its own log group only."
  }

  assert {
    condition = [for s in jsondecode(output.policies.flow_log).Statement : s.Action] == [
      var.flow_log_actions, ["logs:DescribeLogGroups"],
    ]
    error_message = "The flow log writes, and changes nothing else."
  }

  assert {
    condition     = jsondecode(output.policies.flow_log_trust).Statement[0].Condition == var.flow_log_condition
    error_message = "Only flow logs of this account and Region use the role."
  }

  assert {
    condition     = jsonencode(output.network) == var.expected_network
    error_message = "Stores and functions get the VPC, the subnets and the functions' group."
  }
}

run "new_network_with_interface_endpoints" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    network = { create = {
      cidr                = "10.20.0.0/20"
      zones               = ["eu-central-1a", "eu-central-1b"]
      interface_endpoints = ["xray"]
    } }
  }

  assert {
    condition     = aws_vpc_endpoint.interface["xray"].service_name == "com.amazonaws.eu-central-1.xray"
    error_message = "The functions reach the service under its usual name."
  }

  assert {
    condition     = aws_vpc_endpoint.interface["xray"].private_dns_enabled
    error_message = "The functions reach the service under its usual name."
  }

  assert {
    condition     = tolist(aws_vpc_endpoint.interface["xray"].security_group_ids) == tolist(["sg-0c"])
    error_message = "The functions reach the service under its usual name."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].from_port == 443
    error_message = "Only the functions reach the endpoints."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].referenced_security_group_id == "sg-0c"
    error_message = "Only the functions reach the endpoints."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.endpoints[0].from_port == 443
    error_message = "Only the functions reach the endpoints."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.endpoints[0].referenced_security_group_id == "sg-0c"
    error_message = "Only the functions reach the endpoints."
  }
}

run "existing_network" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    network = { existing = {
      vpc_id             = "vpc-0e"
      subnet_ids         = ["subnet-0e", "subnet-0f"]
      route_table_ids    = ["rtb-0e"]
      security_group_ids = ["sg-0e"]
    } }

    expected_network = jsonencode({
      vpc_id             = "vpc-0e"
      subnet_ids         = ["subnet-0e", "subnet-0f"]
      functions_group_id = "sg-0c"
      vpc = {
        subnet_ids         = ["subnet-0e", "subnet-0f"]
        security_group_ids = ["sg-0c", "sg-0e"]
      }
    })
  }

  assert {
    condition     = length(aws_vpc.this) + length(aws_subnet.this) + length(aws_route_table.this) == 0
    error_message = "The stack makes no VPC."
  }

  assert {
    condition     = length(aws_flow_log.this) + length(aws_cloudwatch_log_group.refused) == 0
    error_message = "The team logs its own VPC as it likes."
  }

  assert {
    condition     = length(aws_default_security_group.this) == 0
    error_message = "The default group of an existing VPC stays as it is."
  }

  assert {
    condition     = tolist(aws_vpc_endpoint.gateway["s3"].route_table_ids) == tolist(["rtb-0e"])
    error_message = "The gateway endpoints are in the route tables that the team names."
  }

  assert {
    condition     = jsonencode(output.network) == var.expected_network
    error_message = "The functions have the stack's group and the team's groups."
  }
}

run "existing_network_with_endpoints" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    network = { existing = { vpc_id = "vpc-0e", subnet_ids = ["subnet-0e", "subnet-0f"] } }
  }

  assert {
    condition     = length(aws_vpc_endpoint.gateway) == 0
    error_message = "Without route_table_ids the stack makes no endpoints, which others in the VPC would have to share."
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.service) == 2
    error_message = "The functions' group lets them reach DynamoDB and S3 all the same."
  }
}
