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

  # Source name -> the source's settings as JSON text, for the S3 object that `poll` reads when it starts. `poll` has no
  # defaults of its own, so the text contains every field.
  source_settings = { for name, source in var.sources : name => jsonencode(merge(source, {
    name   = name
    secret = local.source_secrets[name]
  })) }
}
