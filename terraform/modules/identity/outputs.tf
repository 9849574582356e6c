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
  description = "Every client of the pool: the functions refuse tokens of any other."
  value       = [aws_cognito_user_pool_client.this["web"].id, aws_cognito_user_pool_client.this["mobile"].id]
}

output "scopes" {
  description = "Scopes that a protected method accepts. SRP sign-in yields only `aws.cognito.signin.user.admin`, the hosted page the others too."
  value = {
    read  = ["${aws_cognito_resource_server.this.identifier}/read", "aws.cognito.signin.user.admin"]
    write = ["${aws_cognito_resource_server.this.identifier}/write", "aws.cognito.signin.user.admin"]
  }
}

output "sign_in_url" {
  description = "Hosted sign-in page."
  value       = "https://${aws_cognito_user_pool_domain.this.domain}.auth.${data.aws_region.current.name}.amazoncognito.com"
}

output "deletion_protection" {
  description = "Whether the pool is protected, for tests."
  value       = aws_cognito_user_pool.this.deletion_protection == "ACTIVE"
}
