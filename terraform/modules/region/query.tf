# The function `query`, which serves the lists of relational collections: plain ones from the items table, and those
# with filter, sort or q from the readers of the database. It is a function of its own, so that slow lists can't take
# the executions in which `read` serves items.
locals {
  # The collections whose lists `query` serves.
  relational = { for c, collection in local.live : c => collection
    if var.query != null && collection.relational != null
  }
  query_functions = length(local.relational) > 0 ? ["query"] : []

  # The functions that routes of the API call.
  called_functions = concat(["write", "read"], local.query_functions)

  query_collections = { for c, collection in local.relational : c => {
    read       = collection.read
    cache_ttl  = collection.cache_ttl
    relational = { for key, value in collection.relational : key => value if value != null }
  } }

  # The sources whose freshness a list's response names.
  query_sources = { for name, source in var.sources : name => source
    if contains(keys(local.relational), source.collection)
  }

  query_settings = { for function in local.query_functions : function => jsonencode(merge(local.identity_settings, {
    name         = var.name
    items_table  = var.items.name
    items_index  = var.items.index_name
    horizon_days = var.horizon_days
    collections  = local.query_collections
    sources      = local.query_sources
    database     = { for key, value in var.query.database : key => value if value != null }
  })) }

  query_statements = concat(
    [
      {
        Sid      = "ListItems"
        Action   = ["dynamodb:Query"]
        Resource = local.items_index_arns
      },
    ],
    [for sources in [local.query_sources] : {
      # The items table also holds the freshness of sources. `query` may read nothing else there by key.
      Sid       = "ReadFreshness"
      Action    = ["dynamodb:GetItem"]
      Resource  = local.items_arns
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["source/*"] } }
    } if length(sources) > 0],
    try(var.query.statements, []),
  )
}

# The driver of the database, for `query` and `feed`. It exists even without a relational collection, as the database.
resource "aws_lambda_layer_version" "database" {
  count = var.code.database_layer_zip == null ? 0 : 1

  layer_name               = "${var.name}-database"
  description              = "The PostgreSQL driver"
  filename                 = var.code.s3 == null ? var.code.database_layer_zip : null
  source_code_hash         = var.code.s3 == null ? filebase64sha256(var.code.database_layer_zip) : null
  s3_bucket                = try(var.code.s3.bucket, null)
  s3_key                   = try(var.code.s3.keys[var.code.database_layer_zip], null)
  compatible_runtimes      = ["python3.13"]
  compatible_architectures = [var.code.architecture]

  # As the other layer (functions.tf).
  lifecycle {
    create_before_destroy = true
  }
}
