output "name" {
  description = "Name of the stack, which Terraform uses only once it has written what the apply begins."
  value       = var.name

  # The stack's resources are named after this value, or refer to such resources. So an apply that can't write the
  # parameter makes and changes none of them. Waiting makes no value unknown, as depends_on of the modules would.
  depends_on = [aws_ssm_parameter.begun]
}

output "parameter" {
  description = "Name of the SSM parameter that holds the record."
  value       = local.parameter
}
