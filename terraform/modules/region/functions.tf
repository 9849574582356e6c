resource "aws_lambda_layer_version" "this" {
  layer_name               = "${var.name}-libraries"
  description              = "What the functions need beyond the runtime"
  filename                 = var.code.s3 == null ? var.code.layer_zip : null
  source_code_hash         = var.code.s3 == null ? filebase64sha256(var.code.layer_zip) : null
  s3_bucket                = try(var.code.s3.bucket, null)
  s3_key                   = try(var.code.s3.keys[var.code.layer_zip], null)
  compatible_runtimes      = ["python3.13"]
  compatible_architectures = [var.code.architecture]

  # Terraform creates the new layer version before it deletes the old one, because the live versions of the functions
  # use the old one until the new versions are live.
  lifecycle {
    create_before_destroy = true
  }
}

# The JSON Schemas of the collections that clients write. They don't fit into a function's environment variables (4 KB),
# so `write` reads them from an S3 object. Its settings name the version of the object. So new schemas change the
# settings of `write`, and Terraform publishes a new version of `write`. An older version of `write` still reads its own
# schemas, because the bucket keeps every version of the objects under config/.
locals {
  schemas = jsonencode({
    for c, collection in local.written : c => jsondecode(collection.schema) if collection.schema != null
  })
}

resource "aws_s3_object" "write_schemas" {
  bucket       = module.write_log.bucket
  key          = "config/schemas.json"
  content      = local.schemas
  content_type = "application/json"

  # The bucket's default encryption applies. With `kms_key_id`, a stack that gets a key later couldn't be applied: the
  # provider reports version_id as known at plan, although the key isn't.

  # S3 allows 10 tags per object, and the provider's default_tags may be more.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}

# Before, each content had an object of its own, config/schemas/<hash>.json. Terraform forgets the last of them and
# leaves it in the bucket, because the versions of `write` from that time read it. It can be deleted with them.
#
# Move the object before Terraform forgets it. In the state, `write` and the API's deployment depend on the old address.
# Under that address, Terraform 1.11 would forget the object before it updates `write`, and after it has replaced the
# deployment, which comes after `write`. So it would refuse the plan as a cycle (hashicorp/terraform, issue 38898).
moved {
  from = aws_s3_object.schemas
  to   = aws_s3_object.former_schemas
}

removed {
  from = aws_s3_object.former_schemas

  lifecycle {
    destroy = false
  }
}

locals {
  identity_settings = { client_ids = var.identity.client_ids, cors_origins = var.api.cors_origins }

  # The collections as the functions need to know them: who may read one, who may write it, and how long caches may keep
  # its items.
  collection_readers = { for c, collection in var.collections : c => { read = collection.read } }
  collection_writers = {
    for c, collection in local.written : c => { read = collection.read, write_groups = collection.write_groups }
  }
  collection_caches = {
    for c, collection in local.live : c => { read = collection.read, cache_ttl = collection.cache_ttl }
  }

  # `apply` and `publish` know retired collections too, so that purging them works. `moved` tells `publish` that the
  # collection has had another visibility, so it removes documents under that one as well.
  collection_documents = { for c, collection in var.collections : c => {
    read      = collection.read
    cache_ttl = collection.cache_ttl
    edge_ttl  = collection.edge_ttl
    moved     = collection.read_changes > 0
  } }

  # Function -> its settings as JSON text. query.tf has those of `query`. `apply-stream` runs the package of `apply`,
  # with the same settings.
  settings = merge(
    local.function_settings,
    local.query_settings,
    { for function in local.stream_functions : function => local.function_settings["apply"] },
  )
  stream_functions = local.reads_stream ? ["apply-stream"] : []

  # What `apply` and `publish` know of a second items table. Without one, the settings don't name it, so that they stay
  # as they were before there could be one.
  second_table_settings = { for second in var.items.second[*] : "second_table" => second.name }
  follow_settings       = { for second in var.items.second[*] : "follows_second" => second.role == "former" }

  function_settings = {
    write = jsonencode(merge(local.identity_settings, {
      name            = var.name
      delivery_stream = module.write_log.delivery_stream
      items_table     = var.items.name
      collections     = local.collection_writers
      schemas = {
        bucket = module.write_log.bucket
        key    = aws_s3_object.write_schemas.key
        # S3 gives the version "null" to an object that it stored before it knew that the bucket is versioned.
        version_id = coalesce(aws_s3_object.write_schemas.version_id, "null")
        sha256     = sha256(local.schemas)
      }
    }))

    read = jsonencode(merge(local.identity_settings, local.cache_settings, {
      name             = var.name
      items_table      = var.items.name
      items_index      = var.items.index_name
      documents_bucket = local.documents_from_s3 ? null : module.documents.bucket
      pending_seconds  = local.pending_seconds
      horizon_days     = var.horizon_days
      collections      = local.collection_caches
      sources          = var.sources
    }))

    apply = jsonencode(merge(local.second_table_settings, {
      name              = var.name
      queue_url         = module.write_log.queue_url_ahead
      items_table       = var.items.name
      log_bucket        = module.write_log.bucket
      quarantine_prefix = "quarantine/"
      horizon_days      = var.horizon_days
      collections       = local.collection_readers
    }))

    publish = jsonencode(merge(local.feed_settings, local.second_table_settings, local.follow_settings, {
      name              = var.name
      items_table       = var.items.name
      documents_bucket  = module.documents.bucket
      log_bucket        = module.write_log.bucket
      quarantine_prefix = "quarantine/"
      horizon_days      = var.horizon_days
      collections       = local.collection_documents
    }))
  }
}

locals {
  # The functions whose code is in the hot zip, the zip that is made to start fast. Clients wait for `read` and `write`
  # to start, and every import costs start time, so the hot zip holds only the modules that its functions import. It
  # includes `apply`, because `apply` uses the same AWS client.
  hot = ["write", "apply", "apply-stream", "read"]

  # `apply-stream` has the settings of its own in the variable functions, where a name has no hyphen.
  function_sizes = { for function in keys(local.settings) : function => var.functions[replace(function, "-", "_")] }

  # Function -> its zip, and the S3 object with the same file if the zips are in S3.
  function_zips = { for function in keys(local.settings) :
    function => contains(local.hot, function) ? var.code.hot_zip : var.code.functions_zip
  }
  function_objects = { for function, zip in local.function_zips : function =>
    var.code.s3 == null ? null : { bucket = var.code.s3.bucket, key = var.code.s3.keys[zip] }
  }

  # Function -> whether it calls AWS with boto3. `read`, `write` and `apply` use the slim client instead, unless
  # aws_client says boto3.
  uses_boto3 = {
    for function in keys(local.settings) : function => var.code.aws_client == "boto3" || !contains(local.hot, function)
  }

  # Function -> whether it needs the layer. The layer holds the JSON Schema validator for `write`, and the X-Ray SDK,
  # which traces the calls that functions make through boto3.
  uses_layer = { for function, boto3 in local.uses_boto3 : function => boto3 || function == "write" }

  # Function -> the executions that Lambda reserves for it. Each execution of `query` has a connection to the database.
  concurrency = { for function, size in local.function_sizes :
    function => function == "query" ? var.query.concurrency : size.reserved_concurrency
  }

  # Function -> its network, for the functions that are in a VPC.
  vpcs = { query = try(var.query.vpc, null), read = try(var.cache.vpc, null) }

  # Function -> the passwords of external stores in its environment.
  secrets = { query = var.query_secrets, read = var.cache_secrets }

  # Function -> its layers. `query` also needs the driver of the database, and `read` the client of DAX.
  layers = { for function, shared in local.uses_layer : function => concat(
    shared ? [aws_lambda_layer_version.this.arn] : [],
    function == "query" ? aws_lambda_layer_version.database[*].arn : [],
    function == "read" ? aws_lambda_layer_version.dax[*].arn : [],
  ) }
}

module "function" {
  source   = "../function"
  for_each = toset(concat(["write", "apply", "publish", "read"], local.stream_functions, local.query_functions))

  name     = var.name
  function = each.key
  package  = each.key == "apply-stream" ? "apply" : each.key
  code = {
    zip          = local.function_zips[each.key]
    s3           = local.function_objects[each.key]
    architecture = var.code.architecture
    layers       = local.layers[each.key]
  }

  # Only the functions of the hot zip can call AWS with either client. So only they need the variable that chooses one.
  environment = contains(local.hot, each.key) && local.uses_boto3[each.key] ? { READPLANE_CLIENT = "boto3" } : {}

  memory_mb            = local.function_sizes[each.key].memory_mb
  timeout_seconds      = local.function_sizes[each.key].timeout_seconds
  reserved_concurrency = local.concurrency[each.key]
  vpc                  = lookup(local.vpcs, each.key, null)
  snap_start           = local.function_sizes[each.key].snap_start
  republish            = var.republish
  release              = var.release
  settings             = local.settings[each.key]
  secrets              = try(local.secrets[each.key], {})
  statements           = local.statements[each.key]
  temporary_statements = local.second_table_statements[each.key]

  kms_key_arn        = var.kms_key_arn
  roles              = var.roles
  log_retention_days = var.log_retention_days
  alarms             = var.alarms
  alarm_actions      = var.alarm_actions
}

locals {
  api_functions = { for key, function in module.function : key => {
    arn            = function.arn
    invoke_arn     = function.invoke_arn
    function_name  = function.function_name
    qualifier      = function.qualifier
    released_alias = function.released_alias
  } }
}
