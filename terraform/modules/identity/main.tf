data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  region = data.aws_region.current.name

  # The pool that the team already has, or else the stack's own one. An ARN of a user pool ends in the pool's id.
  own_pool      = var.user_pool == null
  user_pool_arn = local.own_pool ? one(aws_cognito_user_pool.this[*].arn) : var.user_pool.arn
  user_pool_id  = local.own_pool ? one(aws_cognito_user_pool.this[*].id) : split("/", var.user_pool.arn)[1]
}

# The stack's own user pool. Don't add clients of other stacks or applications to it. API Gateway's Cognito authorizer
# checks the signature, issuer, expiry and scopes of a token, but not the client that the token was issued to. So it
# would accept the tokens of any other client of this pool. The functions also check `client_id`, but routes without a
# function (documents and backends) can't.
resource "aws_cognito_user_pool" "this" {
  count = local.own_pool ? 1 : 0

  name                = var.name
  deletion_protection = var.deletion_protection ? "ACTIVE" : "INACTIVE"
  mfa_configuration   = var.mfa

  # ESSENTIALS is the cheapest tier that keeps a password history. The tier LITE costs less but keeps none. The tier
  # PLUS costs more and adds threat protection.
  user_pool_tier = "ESSENTIALS"

  username_attributes      = ["email"]
  auto_verified_attributes = ["email"]

  username_configuration {
    case_sensitive = false
  }

  admin_create_user_config {
    allow_admin_create_user_only = !var.self_sign_up
  }

  # A password needs at least 12 characters, because length protects more than character classes do. (Cognito allows a
  # minimum length of at most 99.)
  password_policy {
    minimum_length                   = 12
    require_lowercase                = true
    require_uppercase                = true
    require_numbers                  = true
    require_symbols                  = true
    password_history_size            = 5
    temporary_password_validity_days = 3
  }

  # Who sends sign-in codes and invitations. Cognito itself sends at most 50 e-mails a day. DEVELOPER means SES, for
  # which Cognito creates a service-linked role. The block is here even without SES, because Terraform would leave the
  # setting as it is if the block went away.
  email_configuration {
    email_sending_account  = var.email == null ? "COGNITO_DEFAULT" : "DEVELOPER"
    source_arn             = try(var.email.ses_arn, null)
    from_email_address     = try(var.email.from, null)
    reply_to_email_address = try(var.email.reply_to, null)
  }

  # Leave this block out if MFA is off. Cognito refuses a user pool that has the block but no MFA.
  dynamic "software_token_mfa_configuration" {
    for_each = var.mfa == "OFF" ? [] : [1]

    content {
      enabled = true
    }
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }

  # A new e-mail address of a user takes effect only after the user has confirmed it. Until then, the user signs in with
  # the old address.
  user_attribute_update_settings {
    attributes_require_verification_before_update = ["email"]
  }
}

# The name of a sign-in domain contains the account id and the Region, because all AWS accounts share one namespace of
# sign-in domains per Region.
resource "aws_cognito_user_pool_domain" "this" {
  count = local.own_pool ? 1 : 0

  domain       = "${var.name}-${data.aws_caller_identity.current.account_id}-${local.region}"
  user_pool_id = local.user_pool_id
}

resource "aws_cognito_resource_server" "this" {
  identifier   = var.name
  name         = var.name
  user_pool_id = local.user_pool_id

  scope {
    scope_name        = "read"
    scope_description = "Read collections that aren't public"
  }

  scope {
    scope_name        = "write"
    scope_description = "Write to the collections that the user's groups may write"
  }
}

resource "aws_cognito_user_group" "this" {
  for_each = try(var.user_pool.create_groups, true) ? var.groups : toset([])

  name         = each.value
  description  = "May write to the collections that name this group"
  user_pool_id = local.user_pool_id
}

locals {
  clients = { web = var.web, mobile = var.mobile }
}

resource "aws_cognito_user_pool_client" "this" {
  for_each = local.clients

  name         = "${var.name}-${each.key}"
  user_pool_id = local.user_pool_id

  # The web client and the mobile client have no secret, because an application in a browser or on a phone can't keep
  # one. PKCE takes the place of a secret: if such a client sends a PKCE challenge, Cognito requires the verifier.
  generate_secret = false

  # Only the authorisation code flow is allowed. The implicit flow would put tokens into URLs, which end up in browser
  # histories and logs.
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["code"]
  allowed_oauth_scopes = concat(
    ["openid", "email", "aws.cognito.signin.user.admin"],
    aws_cognito_resource_server.this.scope_identifiers,
  )
  supported_identity_providers = ["COGNITO"]
  callback_urls                = each.value.callback_urls
  logout_urls                  = each.value.logout_urls

  # Users sign in by SRP, which proves that the user knows the password without sending it. The flows that send the
  # password stay off.
  explicit_auth_flows = ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]

  # With this setting, Cognito sends the same response for an unknown user as for a wrong password, so that nobody can
  # find out which users exist.
  prevent_user_existence_errors = "ENABLED"
  enable_token_revocation       = true

  access_token_validity  = var.tokens.access_minutes
  id_token_validity      = var.tokens.id_minutes
  refresh_token_validity = var.tokens.refresh_days

  token_validity_units {
    access_token  = "minutes"
    id_token      = "minutes"
    refresh_token = "days"
  }
}
