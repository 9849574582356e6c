output "user_pool_id" {
  description = "Id of the Cognito user pool."
  value       = aws_cognito_user_pool.this.id
}

output "user_pool_arn" {
  description = "ARN of the Cognito user pool, for the API's authorizers."
  value       = aws_cognito_user_pool.this.arn
}

output "web_client_id" {
  description = "Cognito client id of the web application."
  value       = aws_cognito_user_pool_client.this["web"].id
}

output "mobile_client_id" {
  description = "Cognito client id of the mobile application."
  value       = aws_cognito_user_pool_client.this["mobile"].id
}

output "client_ids" {
  description = "Ids of all clients of the user pool. The functions refuse tokens of other clients."
  value       = [aws_cognito_user_pool_client.this["web"].id, aws_cognito_user_pool_client.this["mobile"].id]
}

output "scopes" {
  description = <<-EOT
    read or write -> the scopes that a protected API method accepts. A token needs only one of them. A token from SRP
    sign-in has only `aws.cognito.signin.user.admin`. A token from Cognito's hosted page can have the others too.
  EOT
  value = {
    read  = ["${aws_cognito_resource_server.this.identifier}/read", "aws.cognito.signin.user.admin"]
    write = ["${aws_cognito_resource_server.this.identifier}/write", "aws.cognito.signin.user.admin"]
  }
}

output "sign_in_url" {
  description = "URL of Cognito's hosted sign-in page."
  value       = "https://${aws_cognito_user_pool_domain.this.domain}.auth.${local.region}.amazoncognito.com"
}

output "deletion_protection" {
  description = "Whether the user pool is protected against deletion, for tests."
  value       = aws_cognito_user_pool.this.deletion_protection == "ACTIVE"
}
