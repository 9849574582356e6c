# A Cognito identity pool: users of the mobile client get AWS credentials, with which they read their own documents
# straight from S3, without the API and the edge.
#
# Cognito assumes one role for every user and tags the session with the user's id (`sub`). The role's policy names the
# tag, so each session reads below its own prefix only. Without the tag, the policy's resources match nothing.
# https://docs.aws.amazon.com/cognito/latest/developerguide/using-afac-with-cognito-identity-pools.html
locals {
  provider_name = trimprefix(var.issuer, "https://")

  # The keys are those that `publish` writes: owner/documents/<collection>/<sub>/<item_id>. An item id has no slash.
  own_documents = flatten([for bucket in values(var.documents) : [
    for collection in var.collections : "${bucket.arn}/owner/documents/${collection}/$${aws:PrincipalTag/sub}/*"
  ]])

  # Region -> its customer managed key, where it has one.
  keys = { for bucket in values(var.documents) : bucket.region => bucket.kms_key_arn if bucket.kms_key_arn != null }

  # The role may not list the bucket, so S3 answers 403 for a missing document as for another user's.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "ReadOwnDocuments"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = local.own_documents
      }],
      [for region, key in local.keys : {
        Sid       = "Decrypt${replace(title(replace(region, "-", " ")), " ", "")}"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [key]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.${region}.${local.dns_suffix}"] } }
      }],
    )
  })

  # Only signed-in users of this pool. sts:TagSession lets Cognito set the tag.
  trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "SignedInUsers"
      Effect    = "Allow"
      Principal = { Federated = local.identity_service }
      Action    = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]
      Condition = {
        StringEquals             = { "${local.identity_service}:aud" = aws_cognito_identity_pool.this.id }
        "ForAnyValue:StringLike" = { "${local.identity_service}:amr" = "authenticated" }
      }
    }]
  })

  identity_service = "cognito-identity.${local.dns_suffix}"

  dns_suffix = data.aws_partition.current.dns_suffix
  policy_max = 10240 # characters without white space, of all inline policies of a role
}

data "aws_partition" "current" {}

data "aws_region" "current" {}

resource "aws_cognito_identity_pool" "this" {
  identity_pool_name = var.name

  # Nobody without a token, and only the flow in which Cognito itself assumes the role. In the classic flow the client
  # would choose the role and the session's tags.
  allow_unauthenticated_identities = false
  allow_classic_flow               = false

  # Cognito asks the user pool whether the user still exists and the token isn't revoked.
  cognito_identity_providers {
    client_id               = var.client_id
    provider_name           = local.provider_name
    server_side_token_check = true
  }
}

resource "aws_cognito_identity_pool_provider_principal_tag" "this" {
  identity_pool_id       = aws_cognito_identity_pool.this.id
  identity_provider_name = local.provider_name
  use_defaults           = false
  principal_tags         = { sub = "sub" } # tag -> claim of the ID token
}

# The role's name contains the Region, because the names of IAM roles must be unique in the account across all Regions.
resource "aws_iam_role" "owner" {
  name                 = "${var.name}-${data.aws_region.current.name}-identity-pool"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.trust_policy
}

resource "aws_iam_role_policy" "owner" {
  name   = "read-own-documents"
  role   = aws_iam_role.owner.id
  policy = local.policy

  lifecycle {
    precondition {
      condition     = length(local.policy) <= local.policy_max
      error_message = <<-EOT
        Remove identity_pool, or declare fewer owner collections: the policy of its role names each of them in each
        Region, and IAM allows ${local.policy_max} characters.
      EOT
    }
  }
}

# Clients get credentials only when the role has its policy.
resource "aws_cognito_identity_pool_roles_attachment" "this" {
  identity_pool_id = aws_cognito_identity_pool.this.id
  roles            = { authenticated = aws_iam_role.owner.arn }

  depends_on = [aws_iam_role_policy.owner, aws_cognito_identity_pool_provider_principal_tag.this]
}
