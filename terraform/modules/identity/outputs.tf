output "user_pool_id" {
  description = "Id of the Cognito user pool."
  value       = local.user_pool_id
}

output "user_pool_arn" {
  description = "ARN of the Cognito user pool, for the API's authorizers."
  value       = local.user_pool_arn
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
  description = "Ids of the clients whose tokens the functions accept: the stack's own and those that user_pool names."
  value = concat(
    [aws_cognito_user_pool_client.this["web"].id, aws_cognito_user_pool_client.this["mobile"].id],
    try(var.user_pool.client_ids, []),
  )
}

output "scopes" {
  description = <<-EOT
    read or write -> the scopes that a protected API method accepts. A token needs only one of them. A token from SRP
    sign-in has only `aws.cognito.signin.user.admin`. A token from Cognito's hosted page can have the others too.
  EOT
  value = {
    read  = concat(["${aws_cognito_resource_server.this.identifier}/read"], local.srp_scopes)
    write = concat(["${aws_cognito_resource_server.this.identifier}/write"], local.srp_scopes)
  }
}

locals {
  # The scope of every token that SRP sign-in yields, whatever the client. In a pool that other applications use, their
  # tokens would open documents and backends, because API Gateway doesn't check the client. So the team must ask for it.
  srp_scopes = local.own_pool || try(var.user_pool.accept_srp, false) ? ["aws.cognito.signin.user.admin"] : []

  # Cognito serves the sign-in pages of AWS GovCloud from hosts with FIPS endpoints, and from no others.
  sign_in_host = data.aws_partition.current.partition == "aws-us-gov" ? "auth-fips" : "auth"
  own_sign_in_url = one([for domain in aws_cognito_user_pool_domain.this :
    "https://${domain.domain}.${local.sign_in_host}.${local.region}.amazoncognito.com"
  ])
}

output "sign_in_url" {
  description = "URL of Cognito's hosted sign-in page; null if user_pool doesn't say it."
  value       = local.own_pool ? local.own_sign_in_url : var.user_pool.sign_in_url
}

output "deletion_protection" {
  description = "Whether the stack's own user pool is protected against deletion, for tests; null without one."
  value       = one([for pool in aws_cognito_user_pool.this : pool.deletion_protection == "ACTIVE"])
}
