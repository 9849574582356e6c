output "id" {
  description = "Id of the identity pool. With it, clients ask Cognito for credentials."
  value       = aws_cognito_identity_pool.this.id
}

output "role_arn" {
  description = "ARN of the role that signed-in users get."
  value       = aws_iam_role.owner.arn
}

output "opens" {
  description = "What the role may read, as it stands in the policy, for tests."
  value       = local.own_documents
}

output "policies" {
  description = "The policy and the trust policy of the role as JSON text, for tests."
  value       = { policy = local.policy, trust = local.trust_policy }
}
