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
  tokens              = { access_minutes = 30, id_minutes = 20, refresh_days = 10 }

  web = {
    callback_urls = ["https://app.example.com/callback"]
    logout_urls   = ["https://app.example.com/"]
  }

  mobile = {
    callback_urls = ["com.example.app://callback"]
    logout_urls   = ["com.example.app://signed-out"]
  }
}

run "safe_shape" {
  command = plan

  module {
    source = "./modules/identity"
  }

  variables {
    expected_rules  = ["require_lowercase", "require_uppercase", "require_numbers", "require_symbols"]
    expected_units  = { access_token = "minutes", id_token = "minutes", refresh_token = "days" }
    expected_scopes = ["openid", "email", "aws.cognito.signin.user.admin", "readplane/read", "readplane/write"]
  }

  assert {
    condition = alltrue([for client in aws_cognito_user_pool_client.this :
      !client.generate_secret && client.allowed_oauth_flows == toset(["code"])
    ])
    error_message = "Clients sign in without a secret and without the implicit flow."
  }

  assert {
    condition = alltrue([for client in aws_cognito_user_pool_client.this :
      client.explicit_auth_flows == toset(["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
    ])
    error_message = "Users sign in by SRP, which doesn't send the password."
  }

  assert {
    condition = alltrue([for client in aws_cognito_user_pool_client.this :
      client.prevent_user_existence_errors == "ENABLED" && client.enable_token_revocation
    ])
    error_message = "Nobody can find out which users exist, and tokens can be revoked."
  }

  assert {
    condition     = toset(keys(aws_cognito_user_pool_client.this)) == toset(["web", "mobile"])
    error_message = "The pool holds only this stack's clients, because API Gateway doesn't check the client."
  }

  assert {
    condition = alltrue([for client in aws_cognito_user_pool_client.this :
      toset(client.allowed_oauth_scopes) == toset(var.expected_scopes)
    ])
    error_message = "The hosted page can grant reading and writing."
  }

  assert {
    condition = alltrue([for client in aws_cognito_user_pool_client.this :
      client.access_token_validity == 30 && client.id_token_validity == 20
    ])
    error_message = "The lifetimes of access and ID tokens follow the variables."
  }

  assert {
    condition = alltrue([
      for client in aws_cognito_user_pool_client.this : client.refresh_token_validity == 10
    ])
    error_message = "The lifetime of refresh tokens follows the variables."
  }

  assert {
    condition = alltrue([for client in aws_cognito_user_pool_client.this :
      client.token_validity_units[0] == var.expected_units
    ])
    error_message = "Token lifetimes have the right units."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this["web"].callback_urls == toset(var.web.callback_urls)
    error_message = "The web client has the web application's URLs."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this["mobile"].logout_urls == toset(var.mobile.logout_urls)
    error_message = "The mobile client has the mobile application's URLs."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].password_policy[0].minimum_length >= 12
    error_message = "Passwords are long."
  }

  assert {
    condition = alltrue([
      for rule in var.expected_rules : aws_cognito_user_pool.this[0].password_policy[0][rule]
    ])
    error_message = "Passwords are mixed."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].password_policy[0].password_history_size == 5
    error_message = "Old passwords are refused."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].user_pool_tier == "ESSENTIALS"
    error_message = "The pool has the tier that keeps a password history."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].mfa_configuration == "OPTIONAL"
    error_message = "A user may sign in without a second factor."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].software_token_mfa_configuration[0].enabled
    error_message = "A user can add an authenticator app."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].deletion_protection == "ACTIVE"
    error_message = "The pool is protected against deletion."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].admin_create_user_config[0].allow_admin_create_user_only
    error_message = "Only administrators create users."
  }

  assert {
    condition     = toset(aws_cognito_resource_server.this.scope[*].scope_name) == toset(["read", "write"])
    error_message = "The resource server offers reading and writing."
  }

  assert {
    condition     = aws_cognito_resource_server.this.identifier == "readplane"
    error_message = "The scopes begin with the stack's name."
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
    condition     = aws_cognito_user_pool_domain.this[0].domain == "readplane-111122223333-eu-central-1"
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
    condition = (
      aws_cognito_user_pool.this[0].mfa_configuration == "OFF"
      && length(aws_cognito_user_pool.this[0].software_token_mfa_configuration) == 0
    )
    error_message = "Cognito refuses token settings while MFA is off."
  }

  assert {
    condition     = !aws_cognito_user_pool.this[0].admin_create_user_config[0].allow_admin_create_user_only
    error_message = "self_sign_up = true lets anybody register."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].deletion_protection == "INACTIVE"
    error_message = "deletion_protection = false lets the pool be deleted."
  }

  assert {
    condition     = length(aws_cognito_user_group.this) == 0
    error_message = "Without write_groups, there are no groups."
  }
}

run "mail_by_cognito" {
  command = plan

  module {
    source = "./modules/identity"
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].email_configuration[0].email_sending_account == "COGNITO_DEFAULT"
    error_message = "Without an SES identity, Cognito sends the e-mails, also after there was one."
  }
}

run "mail_by_ses" {
  command = plan

  module {
    source = "./modules/identity"
  }

  variables {
    email = {
      ses_arn  = "arn:aws:ses:eu-central-1:111122223333:identity/example.com"
      from     = "Shop <no-reply@example.com>"
      reply_to = "help@example.com"
    }
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].email_configuration[0].email_sending_account == "DEVELOPER"
    error_message = "SES sends the e-mails."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].email_configuration[0].source_arn == var.email.ses_arn
    error_message = "The e-mails come from the team's identity."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].email_configuration[0].from_email_address == var.email.from
    error_message = "The e-mails come from the team's address."
  }

  assert {
    condition     = aws_cognito_user_pool.this[0].email_configuration[0].reply_to_email_address == var.email.reply_to
    error_message = "Answers go to the team's address."
  }
}

run "pool_of_the_team" {
  command = plan

  module {
    source = "./modules/identity"
  }

  variables {
    user_pool = {
      arn         = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_TeamsPool"
      client_ids  = ["portal"]
      sign_in_url = "https://sign-in.example.com"
    }
  }

  assert {
    condition     = length(aws_cognito_user_pool.this) + length(aws_cognito_user_pool_domain.this) == 0
    error_message = "The stack creates no pool and no sign-in page."
  }

  assert {
    condition     = output.user_pool_arn == var.user_pool.arn && output.user_pool_id == "eu-central-1_TeamsPool"
    error_message = "The API and the clients use the team's pool."
  }

  assert {
    condition     = output.sign_in_url == "https://sign-in.example.com"
    error_message = "Users sign in at the team's page."
  }

  assert {
    condition = alltrue([
      for client in aws_cognito_user_pool_client.this : client.user_pool_id == "eu-central-1_TeamsPool"
    ])
    error_message = "The clients go into the team's pool."
  }

  assert {
    condition = alltrue([
      for group in aws_cognito_user_group.this : group.user_pool_id == "eu-central-1_TeamsPool"
    ])
    error_message = "The groups go into the team's pool."
  }

  assert {
    condition     = aws_cognito_resource_server.this.user_pool_id == "eu-central-1_TeamsPool"
    error_message = "The scopes go into the team's pool."
  }

  assert {
    condition     = contains(output.client_ids, "portal") && length(output.client_ids) == 3
    error_message = "The functions accept the tokens of the team's client too."
  }

  assert {
    condition     = output.scopes == { read = ["readplane/read"], write = ["readplane/write"] }
    error_message = "A token of another application, which has only Cognito's own scope, opens nothing."
  }
}

run "pool_of_the_team_with_srp_and_groups" {
  command = plan

  module {
    source = "./modules/identity"
  }

  variables {
    user_pool = {
      arn           = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_TeamsPool"
      accept_srp    = true
      create_groups = false
    }
  }

  assert {
    condition     = contains(output.scopes.read, "aws.cognito.signin.user.admin")
    error_message = "The team can accept SRP sign-in."
  }

  assert {
    condition     = length(aws_cognito_user_group.this) == 0 && output.sign_in_url == null
    error_message = "The stack leaves groups alone that the pool already has."
  }
}

run "govcloud" {
  command = plan

  module {
    source = "./modules/identity"
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-us-gov", dns_suffix = "amazonaws.com" }
  }

  override_data {
    target = data.aws_region.current
    values = { name = "us-gov-west-1" }
  }

  assert {
    condition     = endswith(output.sign_in_url, ".auth-fips.us-gov-west-1.amazoncognito.com")
    error_message = "In AWS GovCloud, the sign-in page has a FIPS endpoint."
  }
}
