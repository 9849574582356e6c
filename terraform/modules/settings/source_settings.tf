# The settings of the sources as `poll` gets them. `ops/readplane sources check` evaluates this file without a provider,
# so it may refer to variables only.
locals {
  # The Regions in which `poll` reads the sources' secrets. A replica of a Secrets Manager secret has the ARN of the
  # secret with its own Region, and an SSM parameter must be there under the same name.
  # https://docs.aws.amazon.com/secretsmanager/latest/userguide/replicate-secrets.html
  secret_regions = { primary = var.region, replica = coalesce(local.named_replica_region, "none") }

  # Source name -> where its secrets are stored: an API key, the secret of an OAuth 2 client, and a client certificate.
  stored_secrets = { for name, source in var.sources : name => [
    for secret in [source.secret, try(source.oauth2.secret, null), try(source.tls.client_certificate, null)] : secret
    if secret != null
  ] }

  # Region's role -> source name -> the ARN of each secret, and of the KMS key that encrypts it (null: AWS manages the
  # key).
  source_secrets = { for role, region in local.secret_regions : role => {
    for name, secrets in local.stored_secrets : name => [for secret in secrets : {
      arn         = replace(secret.arn, ":${var.region}:", ":${region}:")
      kms_key_arn = role == "primary" ? secret.kms_key_arn : secret.replica_kms_key_arn
    }]
  } }

  # Region's role -> source name -> the settings of its secrets. Only the IAM policy of `poll` needs the ARNs of the KMS
  # keys, so the settings leave them out.
  secret_settings = { for role, region in local.secret_regions : role => {
    for name, source in var.sources : name => {
      secret = source.secret == null ? null : {
        arn            = replace(source.secret.arn, ":${var.region}:", ":${region}:")
        header         = source.secret.header
        query          = source.secret.query
        basic_username = source.secret.basic_username
        format         = source.secret.format
        field          = source.secret.field
      }
      oauth2 = source.oauth2 == null ? null : merge(source.oauth2, { secret = {
        arn   = replace(source.oauth2.secret.arn, ":${var.region}:", ":${region}:")
        field = source.oauth2.secret.field
      } })
      tls = source.tls == null ? null : merge(source.tls, {
        client_certificate = source.tls.client_certificate == null ? null : {
          arn   = replace(source.tls.client_certificate.arn, ":${var.region}:", ":${region}:")
          field = source.tls.client_certificate.field
        }
      })
    }
  } }

  # Source name -> the source's settings as JSON text, for the S3 object that `poll` reads when it starts. `poll` has no
  # defaults of its own, so the text contains every field.
  source_settings = { for name, source in var.sources : name => jsonencode(
    merge(source, { name = name }, local.secret_settings.primary[name])
  ) }

  # The same for `poll` in the replica Region.
  replica_source_settings = { for name, source in var.sources : name => jsonencode(
    merge(source, { name = name }, local.secret_settings.replica[name])
  ) }
}
