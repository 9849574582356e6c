# What a team connects with its own alarms, dashboards, web ACLs and policies, by Region.
locals {
  poll_functions = { for poll in module.poll : "poll" => poll.function }
  poll_roles = merge(
    { for poll in module.poll : "poll" => poll.function.role_arn },
    { for poll in module.poll : "scheduler" => poll.scheduler_role_arn },
    { for stream in module.change_stream : "change_stream_archive" => stream.archive_role_arn },
  )

  feed_functions         = local.has_feed ? { feed = module.feed[0].function } : {}
  replica_feed_functions = local.has_feed && local.has_replica ? { feed = module.replica_feed[0].function } : {}

  feed_roles         = { for name, function in local.feed_functions : name => function.role_arn }
  replica_feed_roles = { for name, function in local.replica_feed_functions : name => function.role_arn }

  # The queues of `feed`, as those of the write log stand beside them.
  feed_resources         = local.has_feed ? module.feed[0].resources : {}
  replica_feed_resources = local.has_feed && local.has_replica ? module.replica_feed[0].resources : {}

  replica_poll_functions = { for poll in module.replica_poll : "poll" => poll.function }
  replica_poll_roles = merge(
    { for poll in module.replica_poll : "poll" => poll.function.role_arn },
    { for poll in module.replica_poll : "scheduler" => poll.scheduler_role_arn },
    { for stream in module.replica_change_stream : "change_stream_archive" => stream.archive_role_arn },
  )
}

output "primary" {
  description = <<-EOT
    What the stack has in the primary Region: its API (id, stage, domain), functions, queues, buckets, streams, items
    table, database, network of private stores, KMS key, alarm topics and roles, with names and ARNs.
  EOT
  value = merge(module.primary.resources, {
    functions        = merge(module.primary.resources.functions, local.poll_functions, local.feed_functions)
    queues           = merge(module.primary.resources.queues, local.feed_resources)
    roles            = merge(module.primary.resources.roles, local.poll_roles, local.feed_roles)
    network          = one(module.network[*].resources)
    change_stream    = one([for stream in module.change_stream : { name = stream.name, arn = stream.arn }])
    database         = one(module.relational[*].resources)
    alarm_topic_arn  = one(module.monitoring[*].topic_arn)
    ticket_topic_arn = one(module.monitoring[*].ticket_topic_arn)
  })
}

output "replica" {
  description = "The same as primary, for the replica Region; null without a replica."
  value = one([for region in module.replica : merge(region.resources, {
    functions        = merge(region.resources.functions, local.replica_poll_functions, local.replica_feed_functions)
    queues           = merge(region.resources.queues, local.replica_feed_resources)
    roles            = merge(region.resources.roles, local.replica_poll_roles, local.replica_feed_roles)
    network          = one(module.replica_network[*].resources)
    change_stream    = one([for stream in module.replica_change_stream : { name = stream.name, arn = stream.arn }])
    database         = one(module.replica_relational[*].resources)
    alarm_topic_arn  = one(module.replica_monitoring[*].topic_arn)
    ticket_topic_arn = one(module.replica_monitoring[*].ticket_topic_arn)
  })])
}

# Operators and clients read these documents, and each has up to 100 KB. As outputs of terraform/, Terraform would print
# them at the end of every apply.
module "published" {
  source = "../published_documents"

  bucket = module.primary.write_log_bucket
  documents = {
    "openapi.json" = module.contract.openapi
    "api.json"     = module.primary.api.document
  }
}

module "replica_published" {
  source    = "../published_documents"
  count     = module.settings.regions.replica == null ? 0 : 1
  providers = { aws = aws.replica }

  bucket    = module.replica[0].write_log_bucket
  documents = { "api.json" = module.replica[0].api.document }
}

output "openapi_uri" {
  description = <<-EOT
    S3 URI of the API's public contract, an OpenAPI 3.1 document with the JSON Schemas of the collections. Read it with
    `aws s3 cp "$(terraform output -raw openapi_uri)" -`.
  EOT
  value       = module.published.uris["openapi.json"]
}

output "api_document_uris" {
  description = <<-EOT
    Region -> the id of its REST API, and the S3 URI of the OpenAPI document that Terraform has imported into it.
  EOT
  value = merge(
    { (module.settings.region) = { id = module.primary.api_id, uri = module.published.uris["api.json"] } },
    { for index, region in module.replica : module.settings.regions.replica => {
      id = region.api_id, uri = module.replica_published[index].uris["api.json"]
    } },
  )
}
