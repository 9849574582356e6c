# The settings of the sources as `poll` gets them. `ops/readplane sources check` evaluates this file without a provider,
# so it may refer to variables only.
locals {
  # Source name -> the secret's settings; null if the source has no secret. Only the IAM policy of `poll` needs the ARN
  # of the KMS key that encrypts the secret, so the settings leave this ARN out.
  source_secrets = { for name, source in var.sources : name => source.secret == null ? null : {
    arn    = source.secret.arn
    header = source.secret.header
    query  = source.secret.query
    format = source.secret.format
    field  = source.secret.field
  } }

  # Source name -> the same for `poll` in the replica Region. A replica of a Secrets Manager secret has the ARN of the
  # secret with its own Region, and an SSM parameter must be there under the same name.
  # https://docs.aws.amazon.com/secretsmanager/latest/userguide/replicate-secrets.html
  replica_source_secrets = { for name, secret in local.source_secrets : name => secret == null ? null : merge(secret, {
    arn = replace(secret.arn, ":${var.region}:", ":${coalesce(local.named_replica_region, "none")}:")
  }) }

  # Source name -> the source's settings as JSON text, for the S3 object that `poll` reads when it starts. `poll` has no
  # defaults of its own, so the text contains every field.
  source_settings = { for name, source in var.sources : name => jsonencode(merge(source, {
    name   = name
    secret = local.source_secrets[name]
  })) }
  replica_source_settings = { for name, source in var.sources : name => jsonencode(merge(source, {
    name   = name
    secret = local.replica_source_secrets[name]
  })) }
}
