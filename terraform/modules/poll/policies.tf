# The IAM policy statements of `poll`. Module function adds the statements for the function's own log, traces and
# settings.
locals {
  # The visibilities under which the sources' freshness documents are published. All signed-in users may read the
  # freshness of a source that feeds an owner collection, because a source belongs to no owner.
  visibilities = distinct([for source in values(var.sources) : var.collections[source.collection].read == "public" ? "public" : "authenticated"])

  snapshot_prefixes = [for source in values(var.sources) : "${var.collections[source.collection].read}/${source.collection}" if source.mode == "snapshot"]

  secret_arns = {
    for service in ["secretsmanager", "ssm"] : service => distinct([for source in values(var.sources) : source.secret.arn if strcontains(try(source.secret.arn, ""), ":${service}:")])
  }

  secret_keys = distinct([for source in values(var.sources) : source.secret.kms_key_arn if try(source.secret.kms_key_arn, null) != null])

  # The policy statements of `poll`. A statement without a resource is left out: for example, ReadSecrets if no source
  # has a secret.
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
        # In the items table, `poll` may write only the freshness records of the sources. It doesn't write items, but
        # sends changes of items to `apply` through the change stream.
        Sid       = "RecordFreshness"
        Action    = ["dynamodb:PutItem"]
        Resource  = [var.items.arn]
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["source/*"] } }
      },
      { Sid = "ReadSchemas", Action = ["s3:GetObject"], Resource = ["${var.log_bucket.arn}/config/poll-schemas/*"], Condition = null },
      {
        Sid       = "KeepQuarantine" # `poll` quarantines records, and reads and deletes them for a redrive
        Action    = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
        Resource  = ["${var.log_bucket.arn}/quarantine/*"]
        Condition = null
      },
      {
        # `poll` needs s3:GetObject for two reasons: `poll` reads the published document, and S3 requires the permission
        # when `poll` replaces an object conditionally. `poll` has no s3:ListBucket, so S3 responds 403 for a missing
        # document. `poll` therefore treats a 403 as a missing document.
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
      # `poll` may use the customer managed key only through S3, DynamoDB and Kinesis, the services that hold its data.
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
