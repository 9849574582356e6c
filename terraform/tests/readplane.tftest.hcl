# Tests of modules/readplane, which is the whole stack, with and without the replica Region. Other test files test each
# module by itself, and root.tftest.hcl tests that the root passes everything on.

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

mock_provider "aws" {
  alias           = "edge"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "us-east-1"
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
  groups     = ["editors", "pricing"]
  cache_size = "0.5"
}

run "two_regions_with_keys_and_polled_back_offices" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  variables {
    replica        = { region = "eu-west-1" }
    aws_client     = "boto3"
    cors_origins   = ["https://app.example.com"]
    cors_headers   = ["traceparent"]
    poll_layer_zip = "tests/mocks/artefact.txt"
    collections = {
      products = { read = "public", write_groups = ["editors"] }
      prices   = { read = "authenticated" }
      profiles = { read = "owner" }
      rates    = { read = "public", cache_ttl = 60, schema = "{}" }
    }
    cache_size = "0.5"
    sources = {
      prices = {
        mode             = "changes"
        collection       = "prices"
        schedule         = "rate(1 minute)"
        staleness_budget = 130
        url              = "https://erp.example.com/prices?since={cursor}"
        headers          = { X-Tenant = "1" }
        secret = {
          arn         = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf"
          header      = "Authorization"
          format      = "Bearer {secret}"
          kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/theirs"
        }
        records     = "rows"
        id          = "code"
        version     = { expression = "changed", format = "rfc3339" }
        translation = "@"
        paging      = { style = "link", next = "next_url" }
        sweep       = { schedule = "rate(1 day)" }
      }
      rates = {
        mode             = "snapshot"
        collection       = "rates"
        schedule         = "rate(1 hour)"
        staleness_budget = 7200
        url              = "https://erp.example.com/rates"
        expect           = "type(rates) == 'array'"
      }
    }

    # What the assertions below expect of the output sources, the settings of a source and of `read`, the replica
    # Region's key, and the policies of the functions.
    described = {
      prices = {
        mode             = "changes"
        collection       = "prices"
        schedule         = "rate(1 minute)"
        staleness_budget = 130
        breaker_failures = 5
      }
      rates = {
        mode             = "snapshot"
        collection       = "rates"
        schedule         = "rate(1 hour)"
        staleness_budget = 7200
        breaker_failures = 5
      }
    }
    settings = {
      name             = "prices"
      mode             = "changes"
      collection       = "prices"
      schedule         = "rate(1 minute)"
      staleness_budget = 130
      url              = "https://erp.example.com/prices?since={cursor}"
      headers          = { X-Tenant = "1" }
      secret = {
        arn            = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf"
        header         = "Authorization"
        query          = null
        basic_username = null
        format         = "Bearer {secret}"
        field          = null
      }
      request     = null
      oauth2      = null
      tls         = null
      payload     = null
      expect      = null
      conditional = true
      records     = "rows"
      id          = "code"
      id_encoding = null
      version     = { expression = "changed", format = "rfc3339", zone = null }
      deleted     = null
      owner       = null
      translation = "@"
      function    = null
      cursor      = null
      paging = {
        style = "link", next = "next_url", header = null, rel = null, parameter = null, first = null, size = null
        more  = null, total = null, end_status = null, max_empty_pages = null, delta = null
      }
      order               = null
      deletes             = null
      max_refused_percent = 10
      lag_seconds         = 60
      timeout_seconds     = 10
      attempts            = 3
      max_pages           = 100
      max_seconds         = 45
      requests_per_second = null
      max_bytes           = 8388608
      breaker             = { failures = 5, cooldown_seconds = 30 }
      sweep               = { schedule = "rate(1 day)", url = null, request = null, max_deletes_percent = 10 }
      document            = "current"
    }
    key_statements = [
      {
        Sid       = "WriteLogNotifiesQueue"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = "*"
        Condition = {
          StringEquals = { "aws:SourceAccount" = "111122223333" }
          ArnLike      = { "aws:SourceArn" = "arn:aws:s3:::readplane-write-log-111122223333-eu-west-1" }
        }
      },
      {
        Sid       = "AlarmsPublish"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = "*"
        Condition = {
          StringEquals = { "aws:SourceAccount" = "111122223333" }
          ArnLike      = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:*" }
        }
      },
      {
        Sid       = "LogsEncrypt"
        Effect    = "Allow"
        Principal = { Service = "logs.eu-west-1.amazonaws.com" }
        Action = [
          "kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
          "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey",
        ]
        Resource = "*"
        Condition = {
          ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:eu-west-1:111122223333:log-group:*" }
        }
      },
    ]
    primary_items = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
    replica_items = ["arn:aws:dynamodb:eu-west-1:111122223333:table/readplane-items"]
    replica_key   = ["arn:aws:kms:eu-west-1:111122223333:key/99999999-8888-7777-6666-555555555555"]
    freshness = {
      prices = { collection = "prices", staleness_budget = 130 }
      rates  = { collection = "rates", staleness_budget = 7200 }
    }
  }

  assert {
    condition = alltrue([
      for api in output.api_documents : strcontains(api.document, "X-Method-Override,traceparent")
    ])
    error_message = "Scripts may send the headers of cors_headers to both Regions."
  }

  assert {
    condition = alltrue([
      for region in [module.primary, module.replica[0]] :
      jsonencode(region.functions.read.environment) == "{\"READPLANE_CLIENT\":\"boto3\"}"
    ])
    error_message = "Both Regions run the same client."
  }

  assert {
    condition = [for region in [module.primary, module.replica[0]] : region.functions.read.zip] == [
      "tests/mocks/hot.txt", "tests/mocks/hot.txt"
    ]
    error_message = "Both Regions run the same hot zip."
  }

  assert {
    condition = [for region in [module.primary, module.replica[0]] : region.functions.publish.zip] == [
      "tests/mocks/artefact.txt", "tests/mocks/artefact.txt"
    ]
    error_message = "Both Regions run the same zip of the other functions."
  }

  assert {
    condition     = length(module.replica) == 1 && output.replica_region == "eu-west-1"
    error_message = "The stack has a replica Region."
  }

  assert {
    condition     = output.replica_api_url != null && output.replica_documents_bucket != null
    error_message = "The replica Region has its own API and documents."
  }

  assert {
    condition     = output.replica_write_log_bucket != null
    error_message = "The replica Region has its own write log."
  }

  assert {
    condition     = aws_kms_key.primary[0].enable_key_rotation && aws_kms_key.replica[0].enable_key_rotation
    error_message = "Each Region has a key of its own, and AWS rotates it."
  }

  assert {
    condition     = slice(jsondecode(aws_kms_key.replica[0].policy).Statement, 1, 4) == var.key_statements
    error_message = "Only bucket notifications, alarms and log groups of the account and Region may use the key."
  }

  assert {
    condition = jsondecode(aws_kms_key.replica[0].policy).Statement[0].Principal == {
      AWS = "arn:aws:iam::111122223333:root"
    }
    error_message = "The account decides who else may use the key."
  }

  assert {
    condition     = length(jsondecode(aws_kms_key.replica[0].policy).Statement) == 4
    error_message = "The key's policy has no other statement."
  }

  assert {
    condition     = strcontains(output.policies.keys["primary"], "\"logs.eu-central-1.amazonaws.com\"")
    error_message = "The logs service is the Region's."
  }

  assert {
    condition     = !strcontains(output.policies.keys["primary"], "kms:*")
    error_message = "A key policy has no wildcards."
  }

  assert {
    condition = { for s in jsondecode(module.replica[0].policies.functions.apply).Statement : s.Sid => s.Resource
    }["FoldItems"] == var.replica_items
    error_message = "The replica's functions use their own Region's table."
  }

  assert {
    condition = { for s in jsondecode(module.replica[0].policies.functions.apply).Statement : s.Sid => s.Resource
    }["UseKey"] == var.replica_key
    error_message = "The replica's functions use their own Region's key."
  }

  assert {
    condition = { for s in jsondecode(output.policies.functions.apply).Statement : s.Sid => s.Resource
    }["FoldItems"] == var.primary_items
    error_message = "The primary Region's functions use its own table."
  }

  assert {
    condition     = module.items["1"].deletion_protection && module.identity.deletion_protection
    error_message = "By default, nobody can delete items and users."
  }

  assert {
    condition = !anytrue(flatten([
      for region in [module.primary, module.replica[0]] : values(region.force_destroy)
    ]))
    error_message = "By default, Terraform refuses to delete buckets that hold data."
  }

  assert {
    condition = contains(
      [for s in jsondecode(output.policies.write_log.apply_queue).Statement : s.Sid], "DenyPlainHttp"
    )
    error_message = "By default plain HTTP is refused."
  }

  assert {
    condition     = module.primary.route_table["GET /documents/products/{item_id}"].document != null
    error_message = "By default API Gateway reads documents itself."
  }

  assert {
    condition     = module.primary.freshness_alarm_seconds == 900 && module.replica[0].freshness_alarm_seconds == 900
    error_message = "By default both Regions have alarms."
  }

  assert {
    condition     = output.api_url == "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
    error_message = "The API's URL is without its stage, because every path begins with /v1."
  }

  assert {
    condition     = output.edge_url == null
    error_message = "There is no CloudFront distribution yet."
  }

  assert {
    condition     = startswith(output.sign_in_url, "https://readplane-111122223333-eu-central-1.auth.eu-central-1.")
    error_message = "Users sign in at the primary Region's pool."
  }

  assert {
    condition     = contains(output.routes, "PUT /items/profiles/{item_id}") && contains(output.routes, "GET /health")
    error_message = "The API has the routes that the collections ask for."
  }

  assert {
    condition     = jsondecode(module.poll[0].config).sources["prices"] == jsondecode(jsonencode(var.settings))
    error_message = "poll reads the source's settings, defaults included, but not the secret's KMS key."
  }

  assert {
    condition     = jsonencode(output.sources) == jsonencode(var.described)
    error_message = "The output sources describes each source. It shows no URL, no header and no secret."
  }

  assert {
    condition     = module.poll[0].schedules["poll.prices"].input == jsonencode({ source = "prices", sweep = false })
    error_message = "The input of a schedule only names the source."
  }

  assert {
    condition = toset(keys(module.poll[0].schedules)) == toset([
      "poll.prices", "sweep.prices", "poll.rates", "freshness"
    ])
    error_message = "Each source has its schedules, and the freshness report has one."
  }

  assert {
    condition     = output.checkpoints_table == "readplane-checkpoints" && output.change_stream == "readplane-changes"
    error_message = "Tools can find the checkpoint table and the change stream."
  }

  assert {
    condition     = output.poll_function != null
    error_message = "Tools can find poll."
  }

  assert {
    condition     = jsondecode(module.poll[0].settings).documents[*].region == ["eu-central-1", "eu-west-1"]
    error_message = "poll knows both Regions' documents."
  }

  assert {
    condition     = keys(jsondecode(module.poll[0].settings).collections) == ["prices", "rates"]
    error_message = "poll knows the collections that sources feed."
  }

  assert {
    condition = contains(
      [for s in jsondecode(module.primary.policies.functions["apply-stream"]).Statement : s.Sid], "ReadChangeStream"
    )
    error_message = "The Region that polls applies the changes."
  }

  assert {
    condition     = !contains(keys(module.replica[0].policies.functions), "apply-stream")
    error_message = "The replica Region doesn't apply polled changes, because the global table replicates the items."
  }

  assert {
    condition = alltrue([
      for region in [module.primary, module.replica[0]] :
      jsondecode(region.settings.read).sources == jsondecode(jsonencode(var.freshness))
    ])
    error_message = "read knows the sources in both Regions."
  }

  assert {
    condition     = module.poll[0].deletion_protection
    error_message = "Checkpoints are protected by default."
  }

  assert {
    condition = { for s in jsondecode(output.policies.poll.poll).Statement : s.Sid => s.Resource
    }["UseKeyInEuWest1"] == var.replica_key
    error_message = "poll encrypts documents with each Region's own key."
  }

  assert {
    condition     = length(module.replica_poll) == 0 && length(module.replica_change_stream) == 0
    error_message = "Without poll.in_replica only the primary Region polls, and nothing costs more."
  }

  assert {
    condition     = !contains(keys(jsondecode(module.poll[0].settings)), "first_region")
    error_message = "Then poll asks for no switch."
  }
}

# The sources can move to the replica Region. Nothing here depends on the primary Region's `poll`.
run "back_offices_polled_in_two_regions" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  variables {
    replica              = { region = "eu-west-1" }
    customer_managed_key = true
    poll_layer_zip       = "tests/mocks/artefact.txt"
    collections = {
      prices = { read = "authenticated" }
      rates  = { read = "public", cache_ttl = 60 }
    }
    poll = {
      in_replica  = true
      vpc         = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
      replica_vpc = { subnet_ids = ["subnet-0fedcba9876543210"], security_group_ids = ["sg-0fedcba9876543210"] }
    }
    sources = {
      prices = {
        mode             = "changes"
        collection       = "prices"
        schedule         = "rate(1 minute)"
        staleness_budget = 130
        url              = "https://erp.example.com/prices?since={cursor}"
        secret = {
          arn                 = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf"
          header              = "X-Api-Key"
          kms_key_arn         = "arn:aws:kms:eu-central-1:111122223333:key/theirs"
          replica_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/theirs-too"
        }
        oauth2 = {
          token_url = "https://login.example.com/token"
          client_id = "readplane"
          secret = {
            arn                 = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:client-AbCdEf"
            field               = "secret"
            kms_key_arn         = "arn:aws:kms:eu-central-1:111122223333:key/client"
            replica_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/client-too"
          }
        }
        tls         = { client_certificate = { arn = "arn:aws:ssm:eu-central-1:111122223333:parameter/certificate" } }
        records     = "rows"
        id          = "code"
        version     = { expression = "changed", format = "rfc3339" }
        translation = "@"
        sweep       = { schedule = "rate(1 day)" }
      }
      rates = {
        mode             = "snapshot"
        collection       = "rates"
        schedule         = "rate(1 hour)"
        staleness_budget = 7200
        url              = "https://erp.example.com/rates"
        expect           = "type(rates) == 'array'"
      }
    }

    # What the assertions below expect.
    replica_secrets = [
      "arn:aws:secretsmanager:eu-west-1:111122223333:secret:erp-AbCdEf",
      "arn:aws:secretsmanager:eu-west-1:111122223333:secret:client-AbCdEf",
    ]
    replica_parameters = ["arn:aws:ssm:eu-west-1:111122223333:parameter/certificate"]
    replica_items      = ["arn:aws:dynamodb:eu-west-1:111122223333:table/readplane-items"]
    replica_keys = [
      "arn:aws:kms:eu-west-1:111122223333:key/theirs-too", "arn:aws:kms:eu-west-1:111122223333:key/client-too",
    ]
    replica_stream = {
      name = "readplane-changes"
      arn  = "arn:aws:kinesis:eu-west-1:111122223333:stream/readplane-changes"
    }
    reads = ["dynamodb:BatchGetItem", "dynamodb:GetItem"]
    stale = ["readplane-stale-prices", "readplane-stale-rates"]
  }

  assert {
    condition     = keys(module.replica_poll[0].schedules) == keys(module.poll[0].schedules)
    error_message = "Both Regions have every schedule."
  }

  assert {
    condition = alltrue([
      for poll in [module.poll[0], module.replica_poll[0]] : jsondecode(poll.settings).first_region == "eu-central-1"
    ])
    error_message = "The primary Region polls until a source is moved."
  }

  assert {
    condition     = jsondecode(module.replica_poll[0].settings).documents[*].region == ["eu-west-1", "eu-central-1"]
    error_message = "poll takes the first Region for its own."
  }

  assert {
    condition     = jsondecode(module.poll[0].settings).documents[*].region == ["eu-central-1", "eu-west-1"]
    error_message = "poll in the primary Region does so too."
  }

  assert {
    condition     = jsondecode(module.replica_poll[0].config).sources.prices.secret.arn == var.replica_secrets[0]
    error_message = "poll in the replica Region asks for the replica of the secret."
  }

  assert {
    condition = (
      jsondecode(module.replica_poll[0].config).sources.prices.oauth2.secret.arn == var.replica_secrets[1]
    )
    error_message = "poll in the replica Region asks for the replica of the OAuth 2 client's secret."
  }

  assert {
    condition = (
      jsondecode(module.replica_poll[0].config).sources.prices.tls.client_certificate.arn == var.replica_parameters[0]
    )
    error_message = "poll in the replica Region asks for the client certificate that is stored there."
  }

  assert {
    condition     = !strcontains(module.replica_poll[0].config, "kms_key_arn")
    error_message = "poll needs no ARN of the secret's key."
  }

  assert {
    condition = { for s in jsondecode(module.replica_poll[0].policies.poll).Statement : s.Sid => s.Resource
    }["ReadSecrets"] == var.replica_secrets
    error_message = "poll may read the replicas of the secrets, and no other secret."
  }

  assert {
    condition = { for s in jsondecode(module.replica_poll[0].policies.poll).Statement : s.Sid => s.Resource
    }["ReadParameters"] == var.replica_parameters
    error_message = "poll may read the parameter with its certificate."
  }

  assert {
    condition = { for s in jsondecode(module.replica_poll[0].policies.poll).Statement : s.Sid => s.Resource
    }["DecryptSecrets"] == var.replica_keys
    error_message = "poll may use the keys of the secrets' replicas."
  }

  assert {
    condition = { for s in jsondecode(module.replica_poll[0].policies.poll).Statement : s.Sid => s.Resource
    }["ReadItems"] == var.replica_items
    error_message = "poll in the replica Region reads the switches and the items of its own Region."
  }

  assert {
    condition = { for s in jsondecode(module.replica_poll[0].policies.poll).Statement : s.Sid => s.Action
    }["ReadItems"] == var.reads
    error_message = "poll may read the switches."
  }

  assert {
    condition = { for s in jsondecode(module.poll[0].policies.poll).Statement : s.Sid => s.Action
    }["ReadItems"] == var.reads
    error_message = "poll in the primary Region may read them too."
  }

  assert {
    condition     = !strcontains(module.replica_poll[0].policies.poll, "switch/")
    error_message = "poll may not set a switch, which only operators do."
  }

  assert {
    condition     = strcontains(module.replica[0].policies.functions["apply-stream"], "\"ReadChangeStream\"")
    error_message = "The replica Region applies what it polls."
  }

  assert {
    condition     = output.replica_checkpoints_table == "readplane-checkpoints" && output.replica_poll_function != null
    error_message = "Tools can find the replica Region's checkpoints and poll."
  }

  assert {
    condition     = output.replica.change_stream == var.replica_stream && output.replica_change_stream != null
    error_message = "The change stream is the replica Region's."
  }

  assert {
    condition = contains(keys(output.replica.functions), "poll") && (
      contains(keys(output.replica.roles), "scheduler")
    )
    error_message = "A team can find poll in the replica Region."
  }

  assert {
    condition     = module.replica_poll[0].deletion_protection && length(module.replica_change_stream_guard) == 1
    error_message = "The replica Region's checkpoints and changes are protected by default."
  }

  assert {
    condition     = length(setsubtract(var.stale, keys(module.replica_monitoring[0].alarms))) == 0
    error_message = "Both Regions watch the staleness, so that one does if the other is lost."
  }
}

run "back_offices_and_alarms_in_another_partition" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-us-gov" }
  }

  # Otherwise, both topics of a Region would have the same ARN.
  override_resource {
    target          = module.monitoring[0].module.ticket_topic.aws_sns_topic.alarms
    override_during = plan
    values          = { arn = "arn:aws:sns:eu-central-1:111122223333:readplane-tickets" }
  }

  override_resource {
    target          = module.replica_monitoring[0].module.ticket_topic.aws_sns_topic.alarms
    override_during = plan
    values          = { arn = "arn:aws:sns:eu-west-1:111122223333:readplane-tickets" }
  }

  variables {
    replica          = { region = "eu-west-1" }
    notify           = { emails = ["operations@example.com"] }
    alarm_actions    = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    backend_api_keys = { crm = "a-key-of-ours-0123456789" }
    needs_key        = { crm = true, erp = true, staff = false } # what an assertion below expects
    expected_topics = [
      "arn:aws:sns:eu-central-1:111122223333:readplane-alarms", "arn:aws:sns:eu-central-1:111122223333:operators"
    ]
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
    condition     = module.primary.route_table["GET /backends/crm/{proxy+}"].backend.vpc_link_id == "link01"
    error_message = "The primary Region reaches a private back office by the VPC link that it makes."
  }

  assert {
    condition     = module.replica[0].route_table["GET /backends/crm/{proxy+}"].backend.vpc_link_id == "abc123"
    error_message = "The replica Region reaches a private back office by the VPC link that it is given."
  }

  assert {
    condition     = module.primary.route_table["GET /backends/erp/{proxy+}"].backend.vpc_link_id == null
    error_message = "A public back office needs no VPC link."
  }

  assert {
    condition = (
      toset(module.primary.route_table["GET /backends/staff/{proxy+}"].scopes) == toset(module.identity.scopes.read)
    )
    error_message = "The scopes of a backend are this stack's scopes."
  }

  assert {
    condition     = length(module.primary.route_table["GET /backends/erp/{proxy+}"].scopes) == 0
    error_message = "A backend without scopes takes no token."
  }

  assert {
    condition = nonsensitive(output.backend_api_keys) == {
      crm = "a-key-of-ours-0123456789"
      erp = "a-key-that-aws-has-generated-0123"
    }
    error_message = "Each backend with api_key has a key, given or generated."
  }

  assert {
    condition     = issensitive(output.backend_api_keys)
    error_message = "Terraform never prints the API keys."
  }

  assert {
    condition     = nonsensitive(module.replica[0].backend_api_keys) == nonsensitive(output.backend_api_keys)
    error_message = "A backend's key is the same in both Regions."
  }

  assert {
    condition = output.backends["crm"] == {
      url     = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1/backends/crm"
      api_key = true
    }
    error_message = "The output backends says under which URL each back office is reached."
  }

  assert {
    condition     = { for name, backend in output.backends : name => backend.api_key } == var.needs_key
    error_message = "The output backends says which backends need an API key."
  }

  assert {
    condition     = local.alarm_actions.page == tolist(var.expected_topics)
    error_message = "The primary Region's pages notify its own topic and the topics that alarm_actions names."
  }

  assert {
    condition     = local.alarm_actions.ticket == tolist(concat([output.ticket_topic_arn], var.expected_topics))
    error_message = "Tickets go where pages go, and to their own topic."
  }

  assert {
    condition     = local.replica_alarm_actions.page == tolist(["arn:aws:sns:eu-west-1:111122223333:readplane-alarms"])
    error_message = "The replica Region's pages notify its own topic."
  }

  assert {
    condition = (
      output.alarm_topic_arn == local.alarm_actions.page[0]
      && output.replica_alarm_topic_arn == local.replica_alarm_actions.page[0]
    )
    error_message = "The outputs name both topics of pages."
  }

  assert {
    condition = (
      output.ticket_topic_arn == local.alarm_actions.ticket[0]
      && output.replica_ticket_topic_arn == local.replica_alarm_actions.ticket[0]
    )
    error_message = "The outputs name both topics of tickets."
  }

  assert {
    condition     = length(regexall("\"arn:aws:", output.policies.keys["primary"])) == 0
    error_message = "The key's policy names no other partition than the stack's."
  }

  assert {
    condition     = length(regexall("\"arn:aws-us-gov:", output.policies.keys["primary"])) == 4
    error_message = "The key's policy names the partition that the stack is in."
  }
}

run "one_region_without_key" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  variables {
    customer_managed_key = false
    api_base_url         = "http://localhost:4566/_aws/execute-api/{api_id}"

    deletion_protection   = false
    alarms                = false
    documents_integration = "lambda"
    emulator              = { plain_http = true }
  }

  assert {
    condition     = length(module.primary.functions.read.environment) == 0
    error_message = "By default the project's own client is used."
  }

  assert {
    condition     = length(module.primary.functions.read.layers) == 0
    error_message = "The project's own client needs no layer."
  }

  assert {
    condition     = !module.items["1"].deletion_protection && !module.identity.deletion_protection
    error_message = "A stack without deletion protection can be destroyed."
  }

  assert {
    condition     = alltrue(values(module.primary.force_destroy))
    error_message = "A stack without deletion protection can be destroyed with all its data."
  }

  assert {
    condition = !contains(
      [for s in jsondecode(output.policies.write_log.apply_queue).Statement : s.Sid], "DenyPlainHttp"
    )
    error_message = "emulator.plain_http lets plain HTTP through."
  }

  assert {
    condition     = module.primary.route_table["GET /documents/products/{item_id}"].function == "read"
    error_message = "documents_integration switches documents to read."
  }

  assert {
    condition     = module.primary.freshness_alarm_seconds == null && output.alarm_topic_arn == null
    error_message = "The variable alarms switches alarms and their topic off."
  }

  assert {
    condition     = length(output.backends) == 0 && length(nonsensitive(output.backend_api_keys)) == 0
    error_message = "Without backends no back office is passed through."
  }

  assert {
    condition     = length(module.change_stream) + length(module.poll) == 0
    error_message = "Without a source there is neither a change stream nor poll, because they cost by the hour."
  }

  assert {
    condition = alltrue([
      for name in [output.change_stream, output.checkpoints_table, output.poll_function] : name == null
    ])
    error_message = "Without a source the outputs name no resource for polling."
  }

  assert {
    condition     = length(output.sources) == 0
    error_message = "Without a source there is none to describe."
  }

  assert {
    condition     = length(module.replica) == 0 && output.replica_api_url == null
    error_message = "There is no second Region by default."
  }

  assert {
    condition = alltrue([for value in [
      output.replica_documents_bucket, output.replica_write_log_bucket, output.replica_alarm_topic_arn
    ] : value == null])
    error_message = "Without a replica its outputs are null."
  }

  assert {
    condition     = length(aws_kms_key.primary) + length(aws_kms_alias.primary) + length(output.policies.keys) == 0
    error_message = "customer_managed_key = false creates no key in the primary Region."
  }

  assert {
    condition     = length(aws_kms_key.replica) + length(aws_kms_alias.replica) == 0
    error_message = "customer_managed_key = false creates no key in the replica Region."
  }

  assert {
    condition     = output.api_url == "http://localhost:4566/_aws/execute-api/a1b2c3d4e5"
    error_message = "An emulator's URL holds the API's id."
  }
}

run "provider_for_another_region" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws.replica
    aws.replica = aws
    aws.edge    = aws.edge
  }

  # Plan the two checks alone, because planning the whole stack takes seconds.
  plan_options {
    target = [data.aws_region.primary, data.aws_region.replica]
  }

  variables {
    replica = { region = "eu-west-1" }
  }

  expect_failures = [data.aws_region.primary, data.aws_region.replica]
}
