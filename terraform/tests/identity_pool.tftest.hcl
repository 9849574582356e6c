# Tests of the identity pool: what its credentials open, and for whom.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias           = "replica"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "eu-west-1"
    }
  }
}

mock_provider "aws" {
  alias           = "edge"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "us-east-1"
    }
  }
}

variables {
  name      = "readplane"
  issuer    = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"
  client_id = "1h57kf5cpq17m0eml12EXAMPLE"
  documents = {
    primary = {
      region      = "eu-central-1"
      arn         = "arn:aws:s3:::documents-111122223333-eu-central-1"
      kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
    }
    replica = {
      region      = "eu-west-1"
      arn         = "arn:aws:s3:::documents-111122223333-eu-west-1"
      kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
    }
  }
  collections = ["profiles"]

  # What the runs expect. The module has no such variables.
  expected_statements = [
    {
      Sid    = "ReadOwnDocuments"
      Effect = "Allow"
      Action = ["s3:GetObject"]
      Resource = [
        "arn:aws:s3:::documents-111122223333-eu-central-1/owner/documents/profiles/$${aws:PrincipalTag/sub}/*",
        "arn:aws:s3:::documents-111122223333-eu-west-1/owner/documents/profiles/$${aws:PrincipalTag/sub}/*",
      ]
    },
    {
      Sid       = "DecryptEuCentral1"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"]
      Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } }
    },
    {
      Sid       = "DecryptEuWest1"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = ["arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"]
      Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-west-1.amazonaws.com"] } }
    },
  ]

  own_profiles = "/owner/documents/profiles/$${aws:PrincipalTag/sub}/*"

  expected_provider = {
    client_id               = "1h57kf5cpq17m0eml12EXAMPLE"
    provider_name           = "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"
    server_side_token_check = true
  }

  expected_trust = {
    Sid       = "SignedInUsers"
    Effect    = "Allow"
    Principal = { Federated = "cognito-identity.amazonaws.com" }
    Action    = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]
    Condition = {
      StringEquals = {
        "cognito-identity.amazonaws.com:aud" = "eu-central-1:11111111-2222-3333-4444-555555555555"
      }
      "ForAnyValue:StringLike" = { "cognito-identity.amazonaws.com:amr" = "authenticated" }
    }
  }

  region         = "eu-central-1"
  hot_zip        = "tests/mocks/hot.txt"
  functions_zip  = "tests/mocks/artefact.txt"
  layer_zip      = "tests/mocks/artefact.txt"
  poll_layer_zip = "tests/mocks/artefact.txt"
}

run "own_documents_in_two_regions" {
  command = plan

  module {
    source = "./modules/identity_pool"
  }

  assert {
    condition     = jsonencode(jsondecode(output.policies.policy).Statement) == jsonencode(var.expected_statements)
    error_message = "Users read below their own prefix in both Regions, decrypt through S3, and can do nothing else."
  }

  assert {
    condition     = jsonencode(jsondecode(output.policies.trust).Statement) == jsonencode([var.expected_trust])
    error_message = "Only signed-in users of this pool get the role, and Cognito may tag their sessions."
  }

  assert {
    condition     = !aws_cognito_identity_pool_provider_principal_tag.this.use_defaults
    error_message = "Cognito's own choice of tags doesn't apply."
  }

  assert {
    condition     = aws_cognito_identity_pool_provider_principal_tag.this.principal_tags == tomap({ sub = "sub" })
    error_message = "The session has the user's id as its only tag."
  }

  assert {
    condition = (
      !aws_cognito_identity_pool.this.allow_unauthenticated_identities
      && !aws_cognito_identity_pool.this.allow_classic_flow
    )
    error_message = "Nobody without a token gets credentials, and no client chooses a role or tags."
  }

  assert {
    condition     = one(aws_cognito_identity_pool.this.cognito_identity_providers) == var.expected_provider
    error_message = "Tokens of the mobile client count, and Cognito asks whether they are revoked."
  }

  assert {
    condition     = keys(aws_cognito_identity_pool_roles_attachment.this.roles) == tolist(["authenticated"])
    error_message = "There is no role for guests."
  }
}

run "keys_that_aws_owns" {
  command = plan

  module {
    source = "./modules/identity_pool"
  }

  variables {
    documents = { primary = {
      region = "eu-central-1"
      arn    = "arn:aws:s3:::documents-111122223333-eu-central-1"
    } }
  }

  assert {
    condition     = length(jsondecode(output.policies.policy).Statement) == 1
    error_message = "Without a key of the stack, the role needs no right to decrypt."
  }
}

run "policy_that_is_too_long" {
  command = plan

  module {
    source = "./modules/identity_pool"
  }

  variables {
    collections = [for number in range(40) : "collection-with-a-long-name-${number}"]
  }

  expect_failures = [aws_iam_role_policy.owner]
}

run "stack" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    replica              = { region = "eu-west-1" }
    customer_managed_key = true
    identity_pool        = true
    collections = {
      products = { read = "public" }
      prices   = { read = "authenticated" }
      profiles = { read = "owner" }
      old      = { read = "owner", retired = true }
    }
  }

  assert {
    condition     = output.identity_pool_id == "eu-central-1:11111111-2222-3333-4444-555555555555"
    error_message = "The output has the id that clients need."
  }

  assert {
    condition     = alltrue([for key in module.identity_pool[0].opens : endswith(key, var.own_profiles)])
    error_message = "The credentials open documents of owner collections that aren't retired, and nothing else."
  }

  assert {
    condition     = length(module.identity_pool[0].opens) == 2
    error_message = "The credentials open the documents of both Regions."
  }
}

run "stack_without" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  variables {
    collections = { profiles = { read = "owner" } }
  }

  assert {
    condition     = output.identity_pool_id == null && length(module.identity_pool) == 0
    error_message = "There is no identity pool unless identity_pool is true."
  }
}
