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

  assert {
    condition = alltrue([for visibility in ["public", "authenticated", "owner"] :
      jsondecode(aws_iam_role_policy.reader[visibility].policy).Statement == jsondecode(jsonencode([
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
      ]))
    ])
    error_message = "Each visibility's role reads only its own prefix and can't list the bucket."
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.reader : jsondecode(role.assume_role_policy).Statement[0].Principal == jsondecode("{\"Service\":\"apigateway.amazonaws.com\"}")])
    error_message = "Only API Gateway may assume the roles."
  }

  assert {
    condition     = toset([for role in aws_iam_role.reader : role.name]) == toset(["readplane-eu-central-1-documents-public", "readplane-eu-central-1-documents-authenticated", "readplane-eu-central-1-documents-owner"])
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
    condition     = alltrue([for policy in values(output.role_policies) : [for s in jsondecode(policy).Statement : s.Sid] == ["ReadDocuments"]])
    error_message = "Without a key, the roles have no statement to decrypt."
  }
}
