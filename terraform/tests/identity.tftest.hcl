mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                = "readplane"
  groups              = ["editors", "pricing"]
  mfa                 = "OPTIONAL"
  self_sign_up        = false
  deletion_protection = true
  web                 = { callback_urls = ["https://app.example.com/callback"], logout_urls = ["https://app.example.com/"] }
  mobile              = { callback_urls = ["com.example.app://callback"], logout_urls = ["com.example.app://signed-out"] }
  tokens              = { access_minutes = 30, id_minutes = 20, refresh_days = 10 }
}

run "safe_shape" {
  command = plan

  module {
    source = "./modules/identity"
  }

  assert {
    condition = alltrue([for client in aws_cognito_user_pool_client.this :
      !client.generate_secret
      && client.allowed_oauth_flows == toset(["code"])
      && client.explicit_auth_flows == toset(["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
      && client.prevent_user_existence_errors == "ENABLED"
      && client.enable_token_revocation
    ])
    error_message = "Clients sign in by code or SRP, without secret or implicit flow, and can't probe for users."
  }

  assert {
    condition     = toset(keys(aws_cognito_user_pool_client.this)) == toset(["web", "mobile"])
    error_message = "The pool holds only this stack's clients, because API Gateway doesn't check the client."
  }

  assert {
    condition = alltrue([for client in aws_cognito_user_pool_client.this :
      toset(client.allowed_oauth_scopes) == toset(["openid", "email", "aws.cognito.signin.user.admin", "readplane/read", "readplane/write"])
    ])
    error_message = "The hosted page can grant reading and writing."
  }

  assert {
    condition = alltrue([for client in aws_cognito_user_pool_client.this :
      client.access_token_validity == 30 && client.id_token_validity == 20 && client.refresh_token_validity == 10
      && client.token_validity_units[0].access_token == "minutes" && client.token_validity_units[0].id_token == "minutes" && client.token_validity_units[0].refresh_token == "days"
    ])
    error_message = "Token lifetimes follow the variables, in the right units."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this["web"].callback_urls == toset(["https://app.example.com/callback"]) && aws_cognito_user_pool_client.this["mobile"].logout_urls == toset(["com.example.app://signed-out"])
    error_message = "Each client has its own application's callback URLs."
  }

  assert {
    condition = (
      aws_cognito_user_pool.this.password_policy[0].minimum_length >= 12
      && aws_cognito_user_pool.this.password_policy[0].require_lowercase && aws_cognito_user_pool.this.password_policy[0].require_uppercase
      && aws_cognito_user_pool.this.password_policy[0].require_numbers && aws_cognito_user_pool.this.password_policy[0].require_symbols
    )
    error_message = "Passwords are long and mixed."
  }

  assert {
    condition     = aws_cognito_user_pool.this.user_pool_tier == "ESSENTIALS" && aws_cognito_user_pool.this.password_policy[0].password_history_size == 5
    error_message = "Old passwords are refused, which needs the tier ESSENTIALS."
  }

  assert {
    condition     = aws_cognito_user_pool.this.mfa_configuration == "OPTIONAL" && aws_cognito_user_pool.this.software_token_mfa_configuration[0].enabled
    error_message = "A user can add an authenticator app."
  }

  assert {
    condition     = aws_cognito_user_pool.this.deletion_protection == "ACTIVE" && aws_cognito_user_pool.this.admin_create_user_config[0].allow_admin_create_user_only
    error_message = "The pool is protected against deletion, and only administrators create users."
  }

  assert {
    condition     = toset([for scope in aws_cognito_resource_server.this.scope : scope.scope_name]) == toset(["read", "write"]) && aws_cognito_resource_server.this.identifier == "readplane"
    error_message = "The resource server offers reading and writing."
  }

  assert {
    condition = output.scopes == {
      read  = ["readplane/read", "aws.cognito.signin.user.admin"]
      write = ["readplane/write", "aws.cognito.signin.user.admin"]
    }
    error_message = "Protected methods accept this stack's scope or SRP's. The scope read doesn't allow writing."
  }

  assert {
    condition     = toset(keys(aws_cognito_user_group.this)) == toset(["editors", "pricing"])
    error_message = "Every group of a collection's write_groups is created."
  }

  assert {
    condition     = aws_cognito_user_pool_domain.this.domain == "readplane-111122223333-eu-central-1"
    error_message = "The sign-in domain holds account id and Region, which make it unique across AWS."
  }
}

run "open_shape" {
  command = plan

  module {
    source = "./modules/identity"
  }

  variables {
    groups              = []
    mfa                 = "OFF"
    self_sign_up        = true
    deletion_protection = false
  }

  assert {
    condition     = length(aws_cognito_user_pool.this.software_token_mfa_configuration) == 0 && aws_cognito_user_pool.this.mfa_configuration == "OFF"
    error_message = "Cognito refuses token settings while MFA is off."
  }

  assert {
    condition = (
      aws_cognito_user_pool.this.deletion_protection == "INACTIVE"
      && !aws_cognito_user_pool.this.admin_create_user_config[0].allow_admin_create_user_only
      && length(aws_cognito_user_group.this) == 0
    )
    error_message = "Protection, registration and groups follow the variables."
  }
}
