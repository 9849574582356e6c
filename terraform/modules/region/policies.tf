locals {
  reads_stream = var.change_stream_arn != null
}

# The IAM policy statements of each function. Module function adds the statements for the function's own log, traces and
# settings.
locals {
  # Function -> its policy statement for the customer managed key. A function may use the key only through the AWS
  # services that hold its data.
  use_key = { for function, services in {
    write   = ["s3"]
    apply   = concat(["s3", "sqs", "dynamodb"], local.reads_stream ? ["kinesis"] : [])
    publish = ["s3", "dynamodb"]
    read    = local.documents_from_s3 ? ["dynamodb"] : ["s3", "dynamodb"]
    } : function => var.kms_key_arn == null ? [] : [{
      Sid = "UseKey"
      # Only `apply` and `publish` write data that this key encrypts, so only they need kms:GenerateDataKey. Firehose
      # encrypts the changes that `write` sends.
      Action    = contains(["apply", "publish"], function) ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
      Resource  = [var.kms_key_arn]
      Condition = { StringEquals = { "kms:ViaService" = [for service in services : "${service}.${local.region}.amazonaws.com"] } }
  }] }

  statements = {
    write = concat(
      [
        { Sid = "PutChanges", Action = ["firehose:PutRecord"], Resource = [module.write_log.delivery_stream_arn], Condition = null },
        { Sid = "ReadSchemas", Action = ["s3:GetObject"], Resource = ["${module.write_log.bucket_arn}/config/schemas/*"], Condition = null },
      ],
      local.use_key["write"],
    )

    apply = concat(
      [
        {
          Sid       = "ReceiveNotifications"
          Action    = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
          Resource  = [module.write_log.queue_arn]
          Condition = null
        },
        { Sid = "ReadLogObjects", Action = ["s3:GetObject"], Resource = ["${module.write_log.bucket_arn}/log/*"], Condition = null },
        { Sid = "QuarantineChanges", Action = ["s3:PutObject"], Resource = ["${module.write_log.bucket_arn}/quarantine/*"], Condition = null },
        {
          Sid = "FoldItems"
          # DynamoDB's BatchExecuteStatement has no IAM action of its own. DynamoDB checks the PartiQL action of each
          # statement instead.
          Action    = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"]
          Resource  = [var.items.arn]
          Condition = null
        },
      ],
      # `apply` reads the change stream only in the Region that polls, because the other Region has no change stream.
      local.reads_stream ? [
        {
          Sid       = "ReadChangeStream"
          Action    = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
          Resource  = [var.change_stream_arn]
          Condition = null
        },
        # Lambda requires that the role has this permission when Terraform creates the event source mapping. The IAM
        # action can't be limited to a resource.
        { Sid = "ListChangeStreams", Action = ["kinesis:ListStreams"], Resource = ["*"], Condition = null },
        # When Lambda stops retrying a batch, it assumes the function's role and stores the batch in the write-log
        # bucket. For this, the role needs both of the next statements, s3:PutObject and s3:ListBucket.
        { Sid = "KeepFailedBatches", Action = ["s3:PutObject"], Resource = ["${module.write_log.bucket_arn}/aws/lambda/*"], Condition = null },
        { Sid = "FindFailedBatches", Action = ["s3:ListBucket"], Resource = [module.write_log.bucket_arn], Condition = null },
      ] : [],
      local.use_key["apply"],
    )

    publish = concat(
      [
        {
          Sid       = "ReadStream"
          Action    = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
          Resource  = [var.items.stream_arn]
          Condition = null
        },
        # Lambda requires that the role has this permission when Terraform creates the event source mapping. The IAM
        # action can't be limited to a resource.
        { Sid = "ListStreams", Action = ["dynamodb:ListStreams"], Resource = ["*"], Condition = null },
        { Sid = "MendItems", Action = ["dynamodb:PutItem"], Resource = [var.items.arn], Condition = null },
        { Sid = "PublishDocuments", Action = ["s3:PutObject", "s3:DeleteObject"], Resource = ["${module.documents.bucket_arn}/*"], Condition = null },
        # When Lambda stops retrying a batch, it assumes the function's role and stores the batch in the write-log
        # bucket. For this, the role needs both of the next statements, s3:PutObject and s3:ListBucket.
        { Sid = "KeepFailedBatches", Action = ["s3:PutObject"], Resource = ["${module.write_log.bucket_arn}/aws/lambda/*"], Condition = null },
        { Sid = "FindFailedBatches", Action = ["s3:ListBucket"], Resource = [module.write_log.bucket_arn], Condition = null },
      ],
      local.use_key["publish"],
    )

    read = concat(
      [
        { Sid = "ReadItems", Action = ["dynamodb:GetItem", "dynamodb:BatchGetItem"], Resource = [var.items.arn], Condition = null },
        { Sid = "ListItems", Action = ["dynamodb:Query"], Resource = ["${var.items.arn}/index/${var.items.index_name}"], Condition = null },
      ],
      local.documents_from_s3 ? [] : [
        { Sid = "ReadDocuments", Action = ["s3:GetObject"], Resource = ["${module.documents.bucket_arn}/*"], Condition = null },
      ],
      local.use_key["read"],
    )
  }
}
