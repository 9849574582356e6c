resource "aws_lambda_layer_version" "this" {
  layer_name               = "${var.name}-libraries"
  description              = "What the functions need beyond the runtime"
  filename                 = var.code.layer_zip
  source_code_hash         = filebase64sha256(var.code.layer_zip)
  compatible_runtimes      = ["python3.13"]
  compatible_architectures = [var.code.architecture]

  # Terraform creates the new layer version before it deletes the old one, because the live versions of the functions
  # use the old one until the new versions are live.
  lifecycle {
    create_before_destroy = true
  }
}

# The JSON Schemas of the collections that clients write. They don't fit into a function's environment variables (4 KB),
# so `write` reads them from an S3 object. The object's name contains the hash of its content. So new schemas get a new
# name, which changes the settings of `write`, and Terraform publishes a new version of `write`.
locals {
  schemas = jsonencode({
    for c, collection in local.written : c => jsondecode(collection.schema) if collection.schema != null
  })
  schemas_key = "config/schemas/${sha256(local.schemas)}.json"
}

resource "aws_s3_object" "schemas" {
  bucket       = module.write_log.bucket
  key          = local.schemas_key
  content      = local.schemas
  content_type = "application/json"
  kms_key_id   = var.kms_key_arn

  # Terraform creates the new object before it deletes the old one, because the live version of `write` loads the old
  # object until the new version of `write` is live.
  lifecycle {
    create_before_destroy = true
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
    for c, collection in var.collections : c => { read = collection.read, cache_ttl = collection.cache_ttl }
  }

  # Function -> its settings as JSON text.
  settings = {
    write = jsonencode(merge(local.identity_settings, {
      name            = var.name
      delivery_stream = module.write_log.delivery_stream
      items_table     = var.items.name
      collections     = local.collection_writers
      schemas = {
        bucket = module.write_log.bucket
        key    = aws_s3_object.schemas.key
        sha256 = sha256(local.schemas)
      }
    }))

    read = jsonencode(merge(local.identity_settings, {
      name             = var.name
      items_table      = var.items.name
      items_index      = var.items.index_name
      documents_bucket = local.documents_from_s3 ? null : module.documents.bucket
      pending_seconds  = local.pending_seconds
      horizon_days     = var.horizon_days
      collections      = local.collection_caches
      sources          = var.sources
    }))

    apply = jsonencode({
      name              = var.name
      queue_url         = module.write_log.queue_url_ahead
      items_table       = var.items.name
      log_bucket        = module.write_log.bucket
      quarantine_prefix = "quarantine/"
      horizon_days      = var.horizon_days
      collections       = local.collection_readers
    })

    publish = jsonencode({
      name             = var.name
      items_table      = var.items.name
      documents_bucket = module.documents.bucket
      horizon_days     = var.horizon_days
      collections      = local.collection_caches
    })
  }
}

locals {
  # The functions whose code is in the hot zip, the zip that is made to start fast. Clients wait for `read` and `write`
  # to start, and every import costs start time, so the hot zip holds only the modules that its functions import. It
  # includes `apply`, because `apply` uses the same AWS client.
  hot = ["write", "apply", "read"]

  # Function -> whether it calls AWS with boto3. `read`, `write` and `apply` use the slim client instead, unless
  # aws_client says boto3.
  uses_boto3 = {
    for function in keys(local.settings) : function => var.code.aws_client == "boto3" || !contains(local.hot, function)
  }

  # Function -> whether it needs the layer. The layer holds the JSON Schema validator for `write`, and the X-Ray SDK,
  # which traces the calls that functions make through boto3.
  uses_layer = { for function, boto3 in local.uses_boto3 : function => boto3 || function == "write" }
}

module "function" {
  source   = "../function"
  for_each = toset(["write", "apply", "publish", "read"])

  name     = var.name
  function = each.key
  code = {
    zip          = contains(local.hot, each.key) ? var.code.hot_zip : var.code.functions_zip
    architecture = var.code.architecture
    layers       = local.uses_layer[each.key] ? [aws_lambda_layer_version.this.arn] : []
  }

  # Only the functions of the hot zip can call AWS with either client. So only they need the variable that chooses one.
  environment = contains(local.hot, each.key) && local.uses_boto3[each.key] ? { READPLANE_CLIENT = "boto3" } : {}

  memory_mb            = var.functions[each.key].memory_mb
  timeout_seconds      = var.functions[each.key].timeout_seconds
  reserved_concurrency = var.functions[each.key].reserved_concurrency
  snap_start           = var.functions[each.key].snap_start
  settings             = local.settings[each.key]
  statements           = local.statements[each.key]

  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
  alarms             = var.alarms
  alarm_actions      = var.alarm_actions
}

locals {
  api_functions = { for key, function in module.function : key => {
    arn           = function.arn
    invoke_arn    = function.invoke_arn
    function_name = function.function_name
    qualifier     = function.qualifier
  } }
}
