# What brings changes into the private stores of one Region: a queue for each store, and the function `feed`, which
# takes the keys of changed items from the queues, reads the items in DynamoDB, and writes what is newer. `publish`
# fills the queues. Each store has its own queue and its own share of executions, so a store that is down delays no
# other.
data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  keyed      = var.kms_key_arn != null

  # Store -> how many batches of its queue `feed` handles at once. The names are those of stores/key_queue.py.
  stores = merge(
    { for cache in var.cache[*] : "cache" => cache.concurrency },
    { for database in var.database[*] : "database" => database.concurrency },
  )

  settings = jsonencode({
    name         = var.name
    items_table  = var.items.name
    horizon_days = var.horizon_days
    collections  = local.collections
    cache        = one([for cache in var.cache[*] : jsondecode(cache.settings)])
    database     = one([for database in var.database[*] : jsondecode(database.settings)])
  })

  # A collection that isn't in the database has no attribute `relational`.
  collections = { for name, collection in var.collections : name => merge(
    { read = collection.read },
    { for relational in collection.relational[*] : "relational" => jsondecode(relational) },
  ) }

  statements = concat(
    [
      {
        Sid      = "ReceiveKeys"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        Resource = values(local.queue_arns)
      },
      {
        # `feed` reads the items that a message names, and for the command `verify` all items. It writes none.
        Sid      = "ReadItems"
        Action   = ["dynamodb:BatchGetItem", "dynamodb:Scan"]
        Resource = var.items.arns
      },
    ],
    flatten(var.cache[*].statements),
    flatten(var.database[*].statements),
    local.keyed ? [{
      Sid       = "UseKey"
      Action    = ["kms:Decrypt"]
      Resource  = [var.kms_key_arn]
      Condition = { StringEquals = { "kms:ViaService" = local.key_services } }
    }] : [],
  )

  key_services = [for service in ["sqs", "dynamodb"] : "${service}.${local.region}.${local.dns_suffix}"]
}

module "function" {
  source = "../function"

  name     = var.name
  function = "feed"
  code     = var.code

  memory_mb            = var.function.memory_mb
  timeout_seconds      = var.function.timeout_seconds
  reserved_concurrency = var.function.reserved_concurrency
  snap_start           = false # no client waits for `feed` to start
  vpc                  = var.vpc
  republish            = var.republish
  release              = var.release
  settings             = local.settings
  secrets              = var.secrets
  statements           = local.statements

  kms_key_arn        = var.kms_key_arn
  roles              = var.roles
  log_retention_days = var.log_retention_days
  alarms             = var.alarms
  alarm_actions      = var.alarm_actions
}

# Delivers the keys of one store to `feed`. maximum_concurrency bounds how much of `feed` a store takes, and how much
# `feed` asks of the store. If only the reserved concurrency of `feed` set a limit, Lambda would throttle deliveries,
# and SQS would count each as a failure.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
resource "aws_lambda_event_source_mapping" "this" {
  for_each = local.stores

  event_source_arn        = aws_sqs_queue.this[each.key].arn
  function_name           = module.function.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = each.value
  }
}
