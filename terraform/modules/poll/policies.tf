# The policy statements of `poll`, in addition to those for its own log, traces and settings (module function).
locals {
  # The visibilities of the sources' freshness documents. All signed-in users may read the freshness of an owner
  # collection, because a source has no owner.
  visibilities = distinct([for source in values(var.sources) : var.collections[source.collection].read == "public" ? "public" : "authenticated"])

  snapshot_prefixes = [for source in values(var.sources) : "${var.collections[source.collection].read}/${source.collection}" if source.mode == "snapshot"]

  secret_arns = {
    for service in ["secretsmanager", "ssm"] : service => distinct([for source in values(var.sources) : source.secret.arn if strcontains(try(source.secret.arn, ""), ":${service}:")])
  }

  secret_keys = distinct([for source in values(var.sources) : source.secret.kms_key_arn if try(source.secret.kms_key_arn, null) != null])

  # Statements without a resource (because there is no secret or no key) are left out.
  statements = [for statement in concat(
    [
      { Sid = "PutChanges", Action = ["kinesis:PutRecords"], Resource = [var.stream.arn], Condition = null },
      {
        Sid       = "KeepCheckpoints"
        Action    = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource  = [aws_dynamodb_table.checkpoints.arn]
        Condition = null
      },
      { Sid = "ReadItems", Action = ["dynamodb:BatchGetItem"], Resource = [var.items.arn], Condition = null },
      { Sid = "ListItems", Action = ["dynamodb:Query"], Resource = ["${var.items.arn}/index/${var.items.index_name}"], Condition = null },
      {
        # Only `apply` writes items. In the items table `poll` writes only the sources' freshness records.
        Sid       = "RecordFreshness"
        Action    = ["dynamodb:PutItem"]
        Resource  = [var.items.arn]
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["source/*"] } }
      },
      { Sid = "ReadSchemas", Action = ["s3:GetObject"], Resource = ["${var.log_bucket.arn}/config/poll-schemas/*"], Condition = null },
      {
        Sid       = "KeepQuarantine" # `poll` writes refused records, and reads and deletes redriven ones
        Action    = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
        Resource  = ["${var.log_bucket.arn}/quarantine/*"]
        Condition = null
      },
      {
        # `poll` needs s3:GetObject to read the published document, and also because S3 requires it for replacing an
        # object conditionally. `poll` doesn't have s3:ListBucket, so S3 responds 403 for a missing document, and `poll`
        # treats a 403 as missing.
        Sid    = "PublishDocuments"
        Action = ["s3:PutObject", "s3:GetObject"]
        Resource = flatten([for place in var.documents : concat(
          [for visibility in local.visibilities : "${place.arn}/${visibility}/sources/*"],
          [for prefix in local.snapshot_prefixes : "${place.arn}/${prefix}/*"],
        )])
        Condition = null
      },
      { Sid = "ReadSecrets", Action = ["secretsmanager:GetSecretValue"], Resource = local.secret_arns["secretsmanager"], Condition = null },
      { Sid = "ReadParameters", Action = ["ssm:GetParameter"], Resource = local.secret_arns["ssm"], Condition = null },
      {
        Sid       = "DecryptSecrets"
        Action    = ["kms:Decrypt"]
        Resource  = local.secret_keys
        Condition = { StringEquals = { "kms:ViaService" = ["secretsmanager.${local.region}.amazonaws.com", "ssm.${local.region}.amazonaws.com"] } }
      },
      # The function may use the key only through the services that hold its data.
      {
        Sid       = "UseKey"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.kms_key_arn[*]
        Condition = { StringEquals = { "kms:ViaService" = [for service in ["s3", "dynamodb", "kinesis"] : "${service}.${local.region}.amazonaws.com"] } }
      },
    ],
    [for place in var.documents : {
      Sid       = "UseKeyIn${replace(title(replace(place.region, "-", " ")), " ", "")}"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = place.kms_key_arn[*]
      Condition = { StringEquals = { "kms:ViaService" = ["s3.${place.region}.amazonaws.com"] } }
    } if place.region != local.region],
  ) : statement if length(statement.Resource) > 0]
}
