mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name          = "readplane"
  kms_key_arn   = "arn:aws:kms:eu-central-1:111122223333:key/k"
  force_destroy = false
  tls_only      = true
}

run "keyed" {
  command = plan

  module {
    source = "./modules/documents"
  }

  variables {
    expected_statements = { for visibility in ["public", "authenticated", "owner"] : visibility => [
      {
        Sid      = "ReadDocuments"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["arn:aws:s3:::a-bucket/${visibility}/*"]
      },
      {
        Sid       = "DecryptDocuments"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } }
      },
    ] }

    expected_trust = {
      Sid       = "ApiGatewayReads"
      Effect    = "Allow"
      Principal = { Service = "apigateway.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }

    expected_names = {
      authenticated = "readplane-eu-central-1-documents-authenticated"
      owner         = "readplane-eu-central-1-documents-owner"
      public        = "readplane-eu-central-1-documents-public"
    }
  }

  assert {
    condition = { for visibility, role in aws_iam_role_policy.reader :
      visibility => jsondecode(role.policy).Statement
    } == var.expected_statements
    error_message = "Each visibility's role reads only its own prefix and can't list the bucket."
  }

  assert {
    condition = alltrue([
      for role in aws_iam_role.reader : jsondecode(role.assume_role_policy).Statement == [var.expected_trust]
    ])
    error_message = "Only API Gateway may assume the roles."
  }

  assert {
    condition     = { for visibility, role in aws_iam_role.reader : visibility => role.name } == var.expected_names
    error_message = "The roles' names hold the Region."
  }
}

run "unkeyed" {
  command = plan

  module {
    source = "./modules/documents"
  }

  variables {
    kms_key_arn = null
  }

  assert {
    condition = alltrue([
      for policy in values(output.role_policies) : jsondecode(policy).Statement[*].Sid == ["ReadDocuments"]
    ])
    error_message = "Without a key, the roles have no statement to decrypt."
  }
}
