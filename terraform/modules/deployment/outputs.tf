output "deployments" {
  description = <<-EOT
    The CodeDeploy application, and for each function its name in AWS, the deployment group, the alias that clients
    call, and the alarms that roll a deployment back.
  EOT
  value = {
    application = aws_codedeploy_app.this.name
    functions = { for key, function in var.functions : key => {
      name   = function.name
      group  = aws_codedeploy_deployment_group.this[key].deployment_group_name
      alias  = var.alias
      alarms = local.alarms[key]
    } }
  }
}

output "policies" {
  description = "Trust policy and policy of the role of CodeDeploy, for tests and reviews."
  value       = { trust = local.trust_policy, role = local.policy }
}
