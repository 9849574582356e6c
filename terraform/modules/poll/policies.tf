# The IAM policy statements of `poll`. Module function adds the statements for the function's own log, traces and
# settings.
locals {
  # Source name -> the visibility of its freshness document. All signed-in users may read the freshness of a source that
  # feeds an owner collection, because a source belongs to no owner.
  freshness_visibility = {
    for name, source in var.sources : name =>
    var.collections[source.collection].read == "public" ? "public" : "authenticated"
  }

  # The key prefixes of the documents that `poll` publishes: the sources' freshness, and snapshots.
  document_prefixes = concat(
    [for visibility in distinct(values(local.freshness_visibility)) : "${visibility}/documents/sources"],
    [
      for source in values(var.sources) : "${var.collections[source.collection].read}/documents/${source.collection}"
      if source.mode == "snapshot"
    ],
  )

  # The same prefixes in the documents bucket of every Region.
  document_arns = [
    for pair in setproduct(var.documents[*].arn, local.document_prefixes) : "${pair[0]}/${pair[1]}/*"
  ]

  secrets             = flatten(values(var.sources)[*].secrets)
  secret_arns         = distinct(local.secrets[*].arn)
  secret_manager_arns = [for arn in local.secret_arns : arn if strcontains(arn, ":secretsmanager:")]
  parameter_arns      = [for arn in local.secret_arns : arn if strcontains(arn, ":ssm:")]

  secret_keys = distinct([for secret in local.secrets : secret.kms_key_arn if secret.kms_key_arn != null])

  # `poll` reads the switches and the published freshness of the sources only if two Regions can poll. The switches are
  # for operators to write.
  item_reads = concat(["dynamodb:BatchGetItem"], var.first_region == null ? [] : ["dynamodb:GetItem"])

  # The services through which `poll` may use the keys of the secrets and the customer managed key of the stack.
  secret_services = [for service in ["secretsmanager", "ssm"] : "${service}.${local.region}.${local.dns_suffix}"]
  data_services   = [for service in ["s3", "dynamodb", "kinesis"] : "${service}.${local.region}.${local.dns_suffix}"]
}

locals {
  # The policy statements of `poll`. A statement without a resource is left out: for example, ReadSecrets if no source
  # has a secret.
  statements = [
    for statement in concat(local.store_statements, local.secret_statements, local.key_statements) : statement
    if length(statement.Resource) > 0
  ]

  store_statements = [
    {
      Sid      = "PutChanges"
      Action   = ["kinesis:PutRecords"]
      Resource = [var.stream.arn]
    },
    {
      Sid      = "KeepCheckpoints"
      Action   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      Resource = [aws_dynamodb_table.checkpoints.arn]
    },
    {
      Sid      = "ReadItems"
      Action   = local.item_reads
      Resource = var.items.arns
    },
    {
      Sid      = "ListItems"
      Action   = ["dynamodb:Query"]
      Resource = [for arn in var.items.arns : "${arn}/index/${var.items.index_name}"]
    },
    {
      # In the items table, `poll` may write only the freshness records of the sources. It doesn't write items, but
      # sends changes of items to `apply` through the change stream.
      Sid       = "RecordFreshness"
      Action    = ["dynamodb:PutItem"]
      Resource  = var.items.arns
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["source/*"] } }
    },
    {
      Sid      = "ReadSources"
      Action   = ["s3:GetObjectVersion"]
      Resource = ["${var.log_bucket.arn}/config/sources.json"]
    },
    {
      # Versions of `poll` from before the sources stood in S3. One of them stays live until this apply is over.
      Sid      = "ReadOlderSchemas"
      Action   = ["s3:GetObject"]
      Resource = ["${var.log_bucket.arn}/config/poll-schemas/*"]
    },
    {
      # `poll` quarantines records, and reads and deletes them for a redrive.
      Sid      = "KeepQuarantine"
      Action   = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
      Resource = ["${var.log_bucket.arn}/quarantine/*"]
    },
    {
      # `poll` needs s3:GetObject for two reasons: `poll` reads the published document, and S3 requires the permission
      # when `poll` replaces an object conditionally. `poll` has no s3:ListBucket, so S3 responds 403 for a missing
      # document. `poll` therefore treats a 403 as a missing document.
      Sid      = "PublishDocuments"
      Action   = ["s3:PutObject", "s3:GetObject"]
      Resource = local.document_arns
    },
  ]

  secret_statements = [
    {
      Sid      = "ReadSecrets"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = local.secret_manager_arns
    },
    {
      Sid      = "ReadParameters"
      Action   = ["ssm:GetParameter"]
      Resource = local.parameter_arns
    },
    {
      Sid       = "DecryptSecrets"
      Action    = ["kms:Decrypt"]
      Resource  = local.secret_keys
      Condition = { StringEquals = { "kms:ViaService" = local.secret_services } }
    },
  ]

  # `poll` may use the customer managed key only through S3, DynamoDB and Kinesis, the services that hold its data. In
  # other Regions, `poll` writes only documents, so it may use their keys only through S3.
  key_statements = concat(
    [{
      Sid       = "UseKey"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = var.kms_key_arn[*]
      Condition = { StringEquals = { "kms:ViaService" = local.data_services } }
    }],
    [for bucket in var.documents : {
      Sid       = "UseKeyIn${replace(title(replace(bucket.region, "-", " ")), " ", "")}"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = bucket.kms_key_arn[*]
      Condition = { StringEquals = { "kms:ViaService" = ["s3.${bucket.region}.${local.dns_suffix}"] } }
    } if bucket.region != local.region],
  )
}
