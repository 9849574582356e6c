# The IAM policy statements of each function. Module function adds the statements for the function's own log, traces and
# settings.
locals {
  statements = {
    write        = concat(local.write_statements, local.key_statements["write"])
    apply        = concat(local.queue_statements, local.apply_statements, local.key_statements["apply"])
    apply-stream = concat(local.stream_statements, local.apply_statements, local.key_statements["apply-stream"])
    publish = concat(
      local.publish_statements, local.feed_statements, local.failed_batch_statements, local.key_statements["publish"],
    )
    read = concat(
      local.read_statements, local.document_statements, try(var.cache.statements, []), local.key_statements["read"],
    )
    query = concat(local.query_statements, local.key_statements["query"])
  }

  write_statements = [
    {
      Sid      = "PutChanges"
      Action   = ["firehose:PutRecord"]
      Resource = [module.write_log.delivery_stream_arn]
    },
    {
      Sid      = "ReadSchemas"
      Action   = ["s3:GetObjectVersion"]
      Resource = ["${module.write_log.bucket_arn}/config/schemas.json"]
    },
    {
      # Versions of `write` from before schemas had versions. One of them stays live until this apply is over.
      Sid      = "ReadOlderSchemas"
      Action   = ["s3:GetObject"]
      Resource = ["${module.write_log.bucket_arn}/config/schemas/*"]
    },
    {
      # Before `write` accepts a POST with Idempotency-Key, it reads the version of the item. The items table also holds
      # other records, which `write` may not read.
      Sid       = "ReadItems"
      Action    = ["dynamodb:GetItem"]
      Resource  = local.items_arns
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["item/*"] } }
    },
  ]

  # What only the function for the apply queue may do.
  queue_statements = [
    {
      Sid      = "ReceiveNotifications"
      Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
      Resource = [module.write_log.queue_arn]
    },
    {
      # A replay also reads the archive of the change stream.
      Sid      = "ReadLogObjects"
      Action   = ["s3:GetObject"]
      Resource = ["${module.write_log.bucket_arn}/log/*", "${module.write_log.bucket_arn}/stream/*"]
    },
  ]

  # DynamoDB's BatchExecuteStatement has no IAM action of its own. DynamoDB checks the PartiQL action of each statement
  # instead.
  fold_actions = [
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:BatchGetItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
  ]

  # What both functions that apply changes may do.
  apply_statements = [
    {
      Sid      = "QuarantineChanges"
      Action   = ["s3:PutObject"]
      Resource = ["${module.write_log.bucket_arn}/quarantine/*"]
    },
    {
      Sid      = "FoldItems"
      Action   = local.fold_actions
      Resource = [var.items.arn]
    },
  ]

  # `apply-stream` exists only in the Region that polls, because the other Region has no change stream.
  reads_stream = var.change_stream_arn != null

  # What only the function for the change stream may do.
  stream_statements = concat(local.change_stream_statements, local.failed_batch_statements)

  change_stream_statements = [
    {
      Sid = "ReadChangeStream"
      Action = [
        "kinesis:DescribeStream",
        "kinesis:DescribeStreamSummary",
        "kinesis:GetRecords",
        "kinesis:GetShardIterator",
        "kinesis:ListShards",
      ]
      Resource = [var.change_stream_arn]
    },
    # Lambda requires that the role has this permission when Terraform creates the event source mapping. The IAM action
    # can't be limited to a resource.
    {
      Sid      = "ListChangeStreams"
      Action   = ["kinesis:ListStreams"]
      Resource = ["*"]
    },
  ]

  # When Lambda stops retrying a batch, it assumes the function's role and stores the batch in the write-log bucket. For
  # this, the role needs both statements.
  failed_batch_statements = [
    {
      Sid      = "KeepFailedBatches"
      Action   = ["s3:PutObject"]
      Resource = ["${module.write_log.bucket_arn}/aws/lambda/*"]
    },
    {
      Sid      = "FindFailedBatches"
      Action   = ["s3:ListBucket"]
      Resource = [module.write_log.bucket_arn]
    },
  ]

  stream_actions = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]

  publish_statements = [
    {
      Sid      = "ReadStream"
      Action   = local.stream_actions
      Resource = [var.items.stream_arn]
    },
    # Lambda requires that the role has this permission when Terraform creates the event source mapping. The IAM action
    # can't be limited to a resource.
    {
      Sid      = "ListStreams"
      Action   = ["dynamodb:ListStreams"]
      Resource = ["*"]
    },
    {
      Sid      = "MendItems"
      Action   = ["dynamodb:PutItem"]
      Resource = [var.items.arn]
    },
    {
      Sid      = "PublishDocuments"
      Action   = ["s3:PutObject", "s3:DeleteObject"]
      Resource = ["${module.documents.bucket_arn}/*"]
    },
    {
      # `publish` keeps malformed rows of the items table, whole.
      Sid      = "QuarantineRows"
      Action   = ["s3:PutObject"]
      Resource = ["${module.write_log.bucket_arn}/quarantine/malformed_row/*"]
    },
  ]

  read_statements = [
    {
      Sid      = "ReadItems"
      Action   = ["dynamodb:GetItem", "dynamodb:BatchGetItem"]
      Resource = local.items_arns
    },
    {
      Sid      = "ListItems"
      Action   = ["dynamodb:Query"]
      Resource = local.items_index_arns
    },
  ]

  document_statements = local.documents_from_s3 ? [] : [
    {
      Sid      = "ReadDocuments"
      Action   = ["s3:GetObject"]
      Resource = ["${module.documents.bucket_arn}/*"]
    },
  ]
}

# The statements about a second items table.
locals {
  # While there is a second table, every function may do with both tables what it does with the live one, because old
  # and new versions of a function share a role during an apply, and a switch makes the second table the live one.
  items_arns       = values(local.items_tables)[*].arn
  items_index_arns = [for arn in local.items_arns : "${arn}/index/${var.items.index_name}"]

  # Function -> what it may do only while there is a second table. These functions use the second table until the apply
  # that removes it gives them other settings, so this is a policy of its own that goes after that.
  second_table_statements = { for function in keys(local.settings) : function => concat(
    local.has_second && contains(["apply", "apply-stream"], function) ? [local.fold_both] : [],
    local.has_second && function == "publish" ? local.publish_both_statements : [],
  ) }
  has_second = var.items.second != null

  fold_both = {
    Sid      = "FoldBothTables"
    Action   = local.fold_actions
    Resource = local.items_arns
  }

  publish_both_statements = [
    {
      Sid      = "ReadBothStreams"
      Action   = local.stream_actions
      Resource = values(local.items_tables)[*].stream_arn
    },
    {
      Sid      = "MendBothTables"
      Action   = ["dynamodb:PutItem"]
      Resource = local.items_arns
    },
    {
      # `publish` compares a record of the second table with the live item.
      Sid      = "ReadLiveItems"
      Action   = ["dynamodb:GetItem"]
      Resource = local.items_arns
    },
    {
      # `publish` compares each document with the one that it would replace.
      Sid      = "ReadDocuments"
      Action   = ["s3:GetObject"]
      Resource = ["${module.documents.bucket_arn}/*"]
    },
    {
      # Without this permission, S3 responds 403 for a missing document instead of 404.
      Sid      = "FindDocuments"
      Action   = ["s3:ListBucket"]
      Resource = [module.documents.bucket_arn]
    },
  ]
}

# The statements for the customer managed key.
locals {
  # Function -> the AWS services that hold its data. A function may use the key only through these services.
  key_services = {
    write        = ["s3", "dynamodb"]
    apply        = ["s3", "sqs", "dynamodb"]
    apply-stream = ["s3", "kinesis", "dynamodb"]
    publish      = concat(["s3", "dynamodb"], local.feed_services)
    read         = local.documents_from_s3 ? ["dynamodb"] : ["s3", "dynamodb"]
    query        = ["dynamodb"]
  }

  # Function -> what it may do with the key. Only `apply`, `apply-stream` and `publish` write data that this key
  # encrypts, so only they need kms:GenerateDataKey. Firehose encrypts the changes that `write` sends.
  key_actions = {
    write        = ["kms:Decrypt"]
    apply        = ["kms:Decrypt", "kms:GenerateDataKey"]
    apply-stream = ["kms:Decrypt", "kms:GenerateDataKey"]
    publish      = ["kms:Decrypt", "kms:GenerateDataKey"]
    read         = ["kms:Decrypt"]
    query        = ["kms:Decrypt"]
  }

  key_conditions = { for function, services in local.key_services : function => {
    StringEquals = { "kms:ViaService" = [for service in services : "${service}.${local.region}.${local.dns_suffix}"] }
  } }

  key_statements = { for function, actions in local.key_actions : function => var.kms_key_arn == null ? [] : [{
    Sid       = "UseKey"
    Action    = actions
    Resource  = [var.kms_key_arn]
    Condition = local.key_conditions[function]
  }] }
}
