# Tests of the whole stack, with and without the replica Region. Other test files test each module by itself.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias           = "replica"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "eu-west-1"
    }
  }

  mock_resource "aws_sns_topic" {
    defaults = {
      arn = "arn:aws:sns:eu-west-1:111122223333:readplane-alarms"
    }
  }

  mock_resource "aws_kms_key" {
    defaults = {
      id  = "99999999-8888-7777-6666-555555555555"
      arn = "arn:aws:kms:eu-west-1:111122223333:key/99999999-8888-7777-6666-555555555555"
    }
  }
}

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  collections = {
    products = { read = "public", write_groups = ["editors", "pricing"], cache_ttl = 60 }
    prices   = { read = "authenticated", write_groups = ["pricing"] }
    profiles = { read = "owner" }
  }
  cache_size = "0.5"
}

run "two_regions_with_keys" {
  command = plan

  variables {
    replica_region = "eu-west-1"
    aws_client     = "boto3"
  }

  assert {
    condition     = alltrue([for region in [module.region, module.replica[0]] : jsonencode(region.functions.read.environment) == "{\"READPLANE_CLIENT\":\"boto3\"}" && region.functions.read.zip == "tests/mocks/hot.txt" && region.functions.publish.zip == "tests/mocks/artefact.txt"])
    error_message = "Both Regions run the same zips with the same client."
  }

  assert {
    condition     = length(module.replica) == 1 && output.replica_api_url != null && output.replica_documents_bucket != null && output.replica_region == "eu-west-1"
    error_message = "The replica Region has its own API, documents and write log."
  }

  assert {
    condition     = aws_kms_key.primary[0].enable_key_rotation && aws_kms_key.replica[0].enable_key_rotation
    error_message = "One key per Region, rotated."
  }

  assert {
    condition = jsonencode([for s in jsondecode(aws_kms_key.replica[0].policy).Statement : [s.Sid, s.Effect, s.Principal, try(s.Condition, null)]]) == jsonencode([
      ["AccountDecides", "Allow", { AWS = "arn:aws:iam::111122223333:root" }, null],
      ["WriteLogNotifiesQueue", "Allow", { Service = "s3.amazonaws.com" }, {
        StringEquals                               = { "aws:SourceAccount" = "111122223333" }
        ArnLike                                    = { "aws:SourceArn" = "arn:aws:s3:::readplane-write-log-111122223333-eu-west-1" }
      }],
      ["AlarmsPublish", "Allow", { Service = "cloudwatch.amazonaws.com" }, {
        StringEquals                       = { "aws:SourceAccount" = "111122223333" }
        ArnLike                            = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:*" }
      }],
      ["LogsEncrypt", "Allow", { Service = "logs.eu-west-1.amazonaws.com" }, {
        ArnLike                          = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:eu-west-1:111122223333:log-group:*" }
      }],
    ])
    error_message = "Only the account, its bucket notifications, alarms and log groups of this Region may use the key."
  }

  assert {
    condition = (
      jsonencode([for s in jsondecode(output.policies.keys["primary"]).Statement : s.Action if s.Sid == "WriteLogNotifiesQueue"]) == "[[\"kms:GenerateDataKey\",\"kms:Decrypt\"]]"
      && one([for s in jsondecode(output.policies.keys["primary"]).Statement : s.Principal.Service if s.Sid == "LogsEncrypt"]) == "logs.eu-central-1.amazonaws.com"
      && !strcontains(output.policies.keys["primary"], "kms:*")
    )
    error_message = "S3 has the two actions for an encrypted queue, the logs service is the Region's, no wildcards."
  }

  assert {
    condition = alltrue([for sid, resource in {
      FoldItems = "arn:aws:dynamodb:eu-west-1:111122223333:table/readplane-items"
      UseKey    = "arn:aws:kms:eu-west-1:111122223333:key/99999999-8888-7777-6666-555555555555"
    } : one([for s in jsondecode(module.replica[0].policies.functions.apply).Statement : s.Resource if s.Sid == sid]) == jsondecode(jsonencode([resource]))])
    error_message = "The replica's functions use their own Region's table and key."
  }

  assert {
    condition     = one([for s in jsondecode(output.policies.functions.apply).Statement : s.Resource if s.Sid == "FoldItems"]) == jsondecode("[\"arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items\"]")
    error_message = "The primary Region's functions use its own table."
  }

  assert {
    condition     = module.items.deletion_protection && module.identity.deletion_protection && !anytrue(concat(values(module.region.force_destroy), values(module.replica[0].force_destroy)))
    error_message = "By default, Terraform refuses to delete anything that holds data."
  }

  assert {
    condition     = contains([for s in jsondecode(output.policies.write_log.apply_queue).Statement : s.Sid], "DenyPlainHttp")
    error_message = "By default plain HTTP is refused."
  }

  assert {
    condition     = module.region.route_table["GET /documents/products/{item_id}"].document != null
    error_message = "By default API Gateway reads documents itself."
  }

  assert {
    condition     = module.region.freshness_alarm_seconds == 900 && module.replica[0].freshness_alarm_seconds == 900
    error_message = "By default both Regions have alarms."
  }

  assert {
    condition     = output.api_url == "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com" && output.edge_url == null
    error_message = "The API's URL is without its stage, because every path begins with /v1."
  }

  assert {
    condition     = output.sign_in_url == "https://readplane-111122223333-eu-central-1.auth.eu-central-1.amazoncognito.com"
    error_message = "Users sign in at the primary Region's pool."
  }

  assert {
    condition     = contains(output.routes, "PUT /items/profiles/{item_id}") && contains(output.routes, "GET /health")
    error_message = "The API has the routes that the collections ask for."
  }
}

run "back_offices_and_alarms_in_two_regions" {
  command = plan

  variables {
    replica_region   = "eu-west-1"
    notify           = { emails = ["operations@example.com"] }
    alarm_actions    = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    backend_api_keys = { crm = "a-key-of-ours-0123456789" }
    backends = {
      crm = {
        url              = "https://crm.example.internal/api"
        vpc_link         = { nlb_arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/crm/1" }
        replica_vpc_link = { id = "abc123" }
      }
      erp   = { url = "https://erp.example.com" }
      staff = { url = "https://staff.example.com", api_key = false, scopes = ["read"] }
    }
  }

  assert {
    condition = (
      module.region.route_table["GET /backends/crm/{proxy+}"].backend.vpc_link_id == "link01"
      && module.replica[0].route_table["GET /backends/crm/{proxy+}"].backend.vpc_link_id == "abc123"
      && module.region.route_table["GET /backends/erp/{proxy+}"].backend.vpc_link_id == null
    )
    error_message = "Each Region reaches a private back office by its own VPC link, made for a load balancer or given."
  }

  assert {
    condition     = toset(module.region.route_table["GET /backends/staff/{proxy+}"].scopes) == toset(module.identity.scopes.read) && length(module.region.route_table["GET /backends/erp/{proxy+}"].scopes) == 0
    error_message = "The scopes of a backend are this stack's scopes."
  }

  assert {
    condition     = nonsensitive(output.backend_api_keys) == { crm = "a-key-of-ours-0123456789", erp = "a-key-that-aws-has-generated-0123" } && nonsensitive(module.replica[0].backend_api_keys) == nonsensitive(output.backend_api_keys)
    error_message = "Each backend with api_key has a key, given or generated, the same in both Regions."
  }

  assert {
    condition     = output.backends["crm"] == { url = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1/backends/crm", api_key = true } && !output.backends["staff"].api_key && toset(keys(output.backends)) == toset(["crm", "erp", "staff"])
    error_message = "The output backends says under which URL each back office is reached."
  }

  assert {
    condition = (
      local.alarm_actions == ["arn:aws:sns:eu-central-1:111122223333:readplane-alarms", "arn:aws:sns:eu-central-1:111122223333:operators"]
      && local.replica_alarm_actions == ["arn:aws:sns:eu-west-1:111122223333:readplane-alarms"]
      && output.alarm_topic_arn == local.alarm_actions[0] && output.replica_alarm_topic_arn == local.replica_alarm_actions[0]
    )
    error_message = "Every Region's alarms notify its own topic and the topics that alarm_actions names."
  }
}

run "polled_back_offices_in_two_regions" {
  command = plan

  variables {
    replica_region = "eu-west-1"
    poll_layer_zip = "tests/mocks/artefact.txt"
    collections = {
      products = { read = "public", write_groups = ["editors"] }
      prices   = { read = "authenticated" }
      rates    = { read = "public", cache_ttl = 60, schema = "{}" }
    }
    cache_size = "0.5"
    sources = {
      prices = {
        mode             = "changes"
        collection       = "prices"
        schedule         = "rate(1 minute)"
        staleness_budget = 90
        url              = "https://erp.example.com/prices?since={cursor}"
        headers          = { X-Tenant = "1" }
        secret           = { arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf", header = "Authorization", format = "Bearer {secret}", kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/theirs" }
        records          = "rows"
        id               = "code"
        version          = { expression = "changed", format = "rfc3339" }
        translation      = "@"
        paging           = { style = "link", next = "next_url" }
        sweep            = { schedule = "rate(1 day)" }
      }
      rates = {
        mode             = "snapshot"
        collection       = "rates"
        schedule         = "rate(1 hour)"
        staleness_budget = 7200
        url              = "https://erp.example.com/rates"
      }
    }
  }

  assert {
    condition = jsondecode(output.sources["prices"]) == jsondecode(jsonencode({
      sweep = false
      source = {
        name             = "prices"
        mode             = "changes"
        collection       = "prices"
        schedule         = "rate(1 minute)"
        staleness_budget = 90
        url              = "https://erp.example.com/prices?since={cursor}"
        headers          = { X-Tenant = "1" }
        secret           = { arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf", header = "Authorization", format = "Bearer {secret}" }
        records          = "rows"
        id               = "code"
        version          = { expression = "changed", format = "rfc3339" }
        translation      = "@"
        paging           = { style = "link", next = "next_url", first = 1 }
        lag_seconds      = 60
        timeout_seconds  = 10
        attempts         = 3
        max_pages        = 100
        max_seconds      = 45
        max_bytes        = 8388608
        breaker          = { failures = 5, cooldown_seconds = 30 }
        sweep            = { schedule = "rate(1 day)", max_deletes_percent = 10 }
        document         = "current"
      }
    }))
    error_message = "A schedule's input holds the source's settings, defaults included, but not the secret's KMS key."
  }

  assert {
    condition = (
      module.poll[0].schedules["poll.prices"].input == output.sources["prices"]
      && toset(keys(module.poll[0].schedules)) == toset(["poll.prices", "sweep.prices", "poll.rates", "freshness"])
    )
    error_message = "The output sources shows the input of each source's schedule."
  }

  assert {
    condition     = output.checkpoints_table == "readplane-checkpoints" && output.change_stream == "readplane-changes" && output.poll_function != null
    error_message = "Tools can find the checkpoints table, the change stream and poll."
  }

  assert {
    condition = (
      jsondecode(module.poll[0].settings).documents[*].region == jsondecode("[\"eu-central-1\",\"eu-west-1\"]")
      && keys(jsondecode(module.poll[0].settings).collections) == ["prices", "rates"]
    )
    error_message = "poll knows both Regions' documents, and the collections that sources feed."
  }

  assert {
    condition = (
      contains([for s in jsondecode(module.region.policies.functions.apply).Statement : s.Sid], "ReadChangeStream")
      && !contains([for s in jsondecode(module.replica[0].policies.functions.apply).Statement : s.Sid], "ReadChangeStream")
    )
    error_message = "Only the Region that polls applies the changes. The global table replicates the items."
  }

  assert {
    condition     = alltrue([for region in [module.region, module.replica[0]] : jsondecode(region.settings.read).sources == jsondecode(jsonencode({ prices = { collection = "prices", staleness_budget = 90 }, rates = { collection = "rates", staleness_budget = 7200 } }))])
    error_message = "read knows the sources in both Regions."
  }

  assert {
    condition = module.poll[0].deletion_protection && one([
      for s in jsondecode(output.policies.poll.poll).Statement : s.Resource if s.Sid == "UseKeyInEuWest1"
    ]) == jsondecode("[\"arn:aws:kms:eu-west-1:111122223333:key/99999999-8888-7777-6666-555555555555\"]")
    error_message = "Checkpoints are protected by default, and documents are encrypted with each Region's own key."
  }
}

run "in_another_partition" {
  command = plan

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-us-gov" }
  }

  assert {
    condition     = length(regexall("\"arn:aws:", output.policies.keys["primary"])) == 0 && length(regexall("\"arn:aws-us-gov:", output.policies.keys["primary"])) == 4
    error_message = "The key's policy names the partition that the stack is in."
  }
}

run "one_region_without_key" {
  command = plan

  variables {
    customer_managed_key = false
    api_base_url         = "http://localhost:4566/_aws/execute-api/{api_id}"

    deletion_protection   = false
    alarms                = false
    documents_integration = "lambda"
    emulator              = { plain_http = true }
  }

  assert {
    condition     = length(module.region.functions.read.environment) == 0 && length(module.region.functions.read.layers) == 0
    error_message = "By default the project's own client is used."
  }

  assert {
    condition     = !module.items.deletion_protection && !module.identity.deletion_protection && alltrue(values(module.region.force_destroy))
    error_message = "A stack without deletion protection can be destroyed with all its data."
  }

  assert {
    condition     = !contains([for s in jsondecode(output.policies.write_log.apply_queue).Statement : s.Sid], "DenyPlainHttp")
    error_message = "emulator.plain_http lets plain HTTP through."
  }

  assert {
    condition     = module.region.route_table["GET /documents/products/{item_id}"].function == "read" && module.region.freshness_alarm_seconds == null
    error_message = "The variables switch documents to read, and alarms off."
  }

  assert {
    condition     = output.alarm_topic_arn == null && output.replica_alarm_topic_arn == null && length(output.backends) == 0 && length(nonsensitive(output.backend_api_keys)) == 0
    error_message = "Without alarms there is no topic, and without backends no back office is passed through."
  }

  assert {
    condition = (
      length(module.change_stream) + length(module.poll) == 0 && output.change_stream == null
      && output.checkpoints_table == null && output.poll_function == null && length(output.sources) == 0
    )
    error_message = "Without a source there is neither a change stream nor poll, because they cost by the hour."
  }

  assert {
    condition     = length(module.replica) == 0 && output.replica_api_url == null && output.replica_documents_bucket == null && output.replica_write_log_bucket == null
    error_message = "There is no second Region by default."
  }

  assert {
    condition     = length(aws_kms_key.primary) + length(aws_kms_key.replica) + length(aws_kms_alias.primary) + length(aws_kms_alias.replica) == 0 && length(output.policies.keys) == 0
    error_message = "customer_managed_key = false creates no key."
  }

  assert {
    condition     = output.api_url == "http://localhost:4566/_aws/execute-api/a1b2c3d4e5"
    error_message = "An emulator's URL holds the API's id."
  }
}
