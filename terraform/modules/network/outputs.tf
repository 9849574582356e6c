output "network" {
  description = <<-EOT
    What a store needs to know: the VPC, the subnets for the store, the security group of the functions, and what module
    function takes as `vpc`.
  EOT
  value = {
    vpc_id             = local.vpc_id
    subnet_ids         = local.subnet_ids
    functions_group_id = aws_security_group.functions.id
    vpc = {
      subnet_ids         = local.subnet_ids
      security_group_ids = concat([aws_security_group.functions.id], local.more_group_ids)
    }
  }

  # A function that starts in the VPC must reach DynamoDB from its first request on.
  depends_on = [
    aws_route_table_association.this,
    aws_vpc_endpoint.gateway,
    aws_vpc_endpoint.interface,
    aws_vpc_security_group_egress_rule.service,
    aws_vpc_security_group_egress_rule.endpoints,
    aws_vpc_security_group_ingress_rule.endpoints,
  ]
}

output "resources" {
  description = "What a team connects with networks of its own: the VPC, its route tables, and the functions' group."
  value = {
    vpc_id                      = local.vpc_id
    subnet_ids                  = local.subnet_ids
    route_table_ids             = local.route_table_ids
    functions_security_group_id = aws_security_group.functions.id
  }
}

output "policies" {
  description = "Policies of the gateway endpoints, and the role of the flow log, for tests."
  value = {
    dynamodb       = local.table_policy
    s3             = local.documents_policy
    flow_log       = local.flow_log_policy
    flow_log_trust = local.flow_log_trust_policy
  }
}
