output "user_pool_id" {
  description = "Id of the user pool."
  value       = aws_cognito_user_pool.this.id
}

output "user_pool_arn" {
  description = "ARN of the user pool, for the authorizers."
  value       = aws_cognito_user_pool.this.arn
}

output "web_client_id" {
  description = "Client id of the web application."
  value       = aws_cognito_user_pool_client.this["web"].id
}

output "mobile_client_id" {
  description = "Client id of the mobile application."
  value       = aws_cognito_user_pool_client.this["mobile"].id
}

output "client_ids" {
  description = "Ids of all clients of the pool. The functions refuse the tokens of other clients."
  value       = [aws_cognito_user_pool_client.this["web"].id, aws_cognito_user_pool_client.this["mobile"].id]
}

output "scopes" {
  description = <<-EOT
    Scopes that a protected method accepts. A token from SRP sign-in has only `aws.cognito.signin.user.admin`. A token
    from the hosted page can have the others too.
  EOT
  value = {
    read  = ["${aws_cognito_resource_server.this.identifier}/read", "aws.cognito.signin.user.admin"]
    write = ["${aws_cognito_resource_server.this.identifier}/write", "aws.cognito.signin.user.admin"]
  }
}

output "sign_in_url" {
  description = "URL of the hosted sign-in page."
  value       = "https://${aws_cognito_user_pool_domain.this.domain}.auth.${data.aws_region.current.name}.amazoncognito.com"
}

output "deletion_protection" {
  description = "Whether the pool is protected against deletion, for tests."
  value       = aws_cognito_user_pool.this.deletion_protection == "ACTIVE"
}
