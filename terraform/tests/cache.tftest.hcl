# Tests of module cache: each kind of cache that the stack makes.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_resource "aws_security_group" {
    defaults = { id = "sg-0c" }
  }

  mock_resource "aws_elasticache_serverless_cache" {
    defaults = { endpoint = [{ address = "readplane-cache-abc.serverless.euc1.cache.amazonaws.com", port = 6379 }] }
  }

  mock_resource "aws_elasticache_replication_group" {
    defaults = { primary_endpoint_address = "master.readplane-cache.abc.euc1.cache.amazonaws.com" }
  }

  mock_resource "aws_dax_cluster" {
    defaults = { cluster_address = "readplane.abc.dax-clusters.eu-central-1.amazonaws.com" }
  }
}

variables {
  name        = "readplane"
  network     = { vpc_id = "vpc-0c", subnet_ids = ["subnet-0a", "subnet-0b"], functions_group_id = "sg-0f" }
  items_arns  = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k"
  alarms      = true
  alarm_actions = {
    page   = ["arn:aws:sns:eu-central-1:111122223333:operators"]
    ticket = ["arn:aws:sns:eu-central-1:111122223333:team"]
  }

  expected_users = { read = "readplane-read", feed = "readplane-feed" }
}

run "serverless" {
  command = plan

  module {
    source = "./modules/cache"
  }

  variables {
    cache = { serverless = { max_gb = 2, max_ecpu_per_second = 5000 } }

    expected_statements = { for user in ["read", "feed"] : user => [{
      Sid    = "ConnectToCache"
      Action = ["elasticache:Connect"]
      Resource = [
        "arn:aws:elasticache:eu-central-1:111122223333:serverlesscache:readplane-cache",
        "arn:aws:elasticache:eu-central-1:111122223333:user:readplane-${user}",
      ]
    }] }

    expected_connection = jsonencode({
      engine      = "valkey"
      host        = "readplane-cache-abc.serverless.euc1.cache.amazonaws.com"
      port        = 6379
      tls         = true
      iam_name    = "readplane-cache"
      serverless  = true
      users       = var.expected_users
      endpoint    = null
      ttl_seconds = null
    })

    expected_thresholds = {
      evictions         = 0
      connections       = 52000
      sign-in           = 0
      sign-in-throttled = 0
      memory            = 1800000000
      ecpu              = 240000
      throttled         = 0
    }
  }

  assert {
    condition     = aws_elasticache_serverless_cache.this[0].name == "readplane-cache"
    error_message = "The cache runs Valkey 8, has the stack's key and users, and keeps no snapshots."
  }

  assert {
    condition     = aws_elasticache_serverless_cache.this[0].engine == "valkey"
    error_message = "The cache runs Valkey 8, has the stack's key and users, and keeps no snapshots."
  }

  assert {
    condition     = aws_elasticache_serverless_cache.this[0].major_engine_version == "8"
    error_message = "The cache runs Valkey 8, has the stack's key and users, and keeps no snapshots."
  }

  assert {
    condition     = aws_elasticache_serverless_cache.this[0].user_group_id == "readplane-cache"
    error_message = "The cache runs Valkey 8, has the stack's key and users, and keeps no snapshots."
  }

  assert {
    condition     = aws_elasticache_serverless_cache.this[0].kms_key_id == var.kms_key_arn
    error_message = "The cache runs Valkey 8, has the stack's key and users, and keeps no snapshots."
  }

  assert {
    condition     = aws_elasticache_serverless_cache.this[0].snapshot_retention_limit == 0
    error_message = "The cache runs Valkey 8, has the stack's key and users, and keeps no snapshots."
  }

  assert {
    condition     = aws_elasticache_serverless_cache.this[0].cache_usage_limits[0].data_storage[0].maximum == 2
    error_message = "The limits bound what the cache may cost."
  }

  assert {
    condition     = aws_elasticache_serverless_cache.this[0].cache_usage_limits[0].data_storage[0].unit == "GB"
    error_message = "The limits bound what the cache may cost."
  }

  assert {
    condition     = aws_elasticache_serverless_cache.this[0].cache_usage_limits[0].ecpu_per_second[0].maximum == 5000
    error_message = "The limits bound what the cache may cost."
  }

  assert {
    condition     = { for function, user in aws_elasticache_user.this : function => user.user_id } == var.expected_users
    error_message = "`read` and `feed` are the only users, and an IAM user's id is its name."
  }

  assert {
    condition     = alltrue([for user in aws_elasticache_user.this : user.user_name == user.user_id])
    error_message = "An IAM user's id is its name."
  }

  assert {
    condition     = toset(values(aws_elasticache_user.this)[*].engine) == toset(["valkey"])
    error_message = "The users are Valkey's."
  }

  assert {
    condition     = alltrue([for user in aws_elasticache_user.this : user.authentication_mode[0].type == "iam"])
    error_message = "The users sign in with IAM."
  }

  assert {
    condition = toset([
      for user in aws_elasticache_user.this : user.access_string
    ]) == toset(["on ~g* -@all +get +set +getrange +eval +evalsha"])
    error_message = "The users may read and write entries, and nothing else."
  }

  assert {
    condition = (
      aws_elasticache_user_group.this[0].engine == "valkey"
      && aws_elasticache_user_group.this[0].user_ids == toset(values(var.expected_users))
    )
    error_message = "The cache knows these two users."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.functions.security_group_id == "sg-0c"
    error_message = "Only the functions reach the cache."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.functions.referenced_security_group_id == "sg-0f"
    error_message = "Only the functions reach the cache."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.functions.security_group_id == "sg-0f"
    error_message = "The functions' group leads to the cache."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.functions.referenced_security_group_id == "sg-0c"
    error_message = "The functions' group leads to the cache."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.functions.from_port == 6379
    error_message = "The cache takes connections at Valkey's port only."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.functions.to_port == 6379
    error_message = "The cache takes connections at Valkey's port only."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.functions.from_port == 6379
    error_message = "The functions' way out leads to Valkey's port only."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.functions.to_port == 6379
    error_message = "The functions' way out leads to Valkey's port only."
  }

  assert {
    condition     = output.statements == var.expected_statements
    error_message = "Each function may sign in to this cache as its own user."
  }

  assert {
    condition     = jsonencode(output.connection) == var.expected_connection
    error_message = "The functions get what they need to connect."
  }

  assert {
    condition     = length(aws_elasticache_replication_group.this) + length(aws_dax_cluster.this) == 0
    error_message = "There is one cache."
  }

  assert {
    condition     = { for name, alarm in module.alarms[0].alarms : name => alarm.threshold } == var.expected_thresholds
    error_message = "The alarms know the limits."
  }
}

run "nodes" {
  command = plan

  module {
    source = "./modules/cache"
  }

  variables {
    name  = "read--plane"
    cache = { nodes = { type = "cache.m7g.large", replicas = 2 } }

    expected_resources = [
      "arn:aws:elasticache:eu-central-1:111122223333:replicationgroup:read-plane-cache",
      "arn:aws:elasticache:eu-central-1:111122223333:user:read-plane-feed",
    ]

    expected_dimensions = { for n in [1, 2, 3] : "n${n}" => tomap({
      CacheClusterId = "read-plane-cache-00${n}"
      CacheNodeId    = "0001"
    }) }
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].replication_group_id == "read-plane-cache"
    error_message = "The cache is one shard of Valkey 8, and its name has no two hyphens in a row."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].engine == "valkey"
    error_message = "The cache is one shard of Valkey 8, and its name has no two hyphens in a row."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].engine_version == "8.0"
    error_message = "The cache is one shard of Valkey 8, and its name has no two hyphens in a row."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].node_type == "cache.m7g.large"
    error_message = "The cache is one shard of Valkey 8, and its name has no two hyphens in a row."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].num_cache_clusters == 3
    error_message = "The cache is one shard of Valkey 8, and its name has no two hyphens in a row."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].cluster_mode == "disabled"
    error_message = "The cache is one shard of Valkey 8, and its name has no two hyphens in a row."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].automatic_failover_enabled
    error_message = "A replica in another zone takes over, and everything is encrypted."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].multi_az_enabled
    error_message = "A replica in another zone takes over, and everything is encrypted."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].transit_encryption_enabled
    error_message = "A replica in another zone takes over, and everything is encrypted."
  }

  assert {
    condition     = tobool(aws_elasticache_replication_group.this[0].at_rest_encryption_enabled)
    error_message = "A replica in another zone takes over, and everything is encrypted."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].apply_immediately
    error_message = "A replica in another zone takes over, and everything is encrypted."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].kms_key_id == var.kms_key_arn
    error_message = "The cache has the stack's key and users, and keeps no snapshots."
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].snapshot_retention_limit == 0
    error_message = "The cache has the stack's key and users, and keeps no snapshots."
  }

  assert {
    condition     = tolist(aws_elasticache_replication_group.this[0].user_group_ids) == tolist(["read-plane-cache"])
    error_message = "The cache has the stack's key and users, and keeps no snapshots."
  }

  assert {
    condition     = output.statements.feed[0].Resource == var.expected_resources
    error_message = "The functions may sign in to this replication group."
  }

  assert {
    condition = (
      output.connection.host == "master.readplane-cache.abc.euc1.cache.amazonaws.com" && !output.connection.serverless
    )
    error_message = "The functions connect to the primary endpoint."
  }

  assert {
    condition = {
      for id, query in module.alarms[0].queries["evictions"] : id => query.metric[0].dimensions if id != "greatest"
    } == var.expected_dimensions
    error_message = "The alarms watch every node."
  }

  assert {
    condition     = module.alarms[0].queries["evictions"]["greatest"].expression == "MAX([n1, n2, n3])"
    error_message = "An alarm fires for the node where the metric is greatest."
  }

  assert {
    condition = toset(keys(module.alarms[0].alarms)) == toset([
      "evictions", "connections", "sign-in", "sign-in-throttled", "memory", "cpu", "replication-lag",
    ])
    error_message = "Nodes have alarms of their own."
  }
}

run "nodes_without_a_key" {
  command = plan

  module {
    source = "./modules/cache"
  }

  variables {
    cache       = { nodes = { type = "cache.t4g.micro", replicas = 1 } }
    kms_key_arn = null
    alarms      = false
  }

  assert {
    condition     = aws_elasticache_replication_group.this[0].num_cache_clusters == 2
    error_message = "A replica takes over if the primary node fails."
  }

  assert {
    condition     = tobool(aws_elasticache_replication_group.this[0].at_rest_encryption_enabled)
    error_message = "Without a key of its own, the cache is encrypted with one that AWS owns."
  }

  assert {
    condition     = length(module.alarms) == 0
    error_message = "Without alarms there are none."
  }
}

run "dax" {
  command = plan

  module {
    source = "./modules/cache"
  }

  variables {
    cache = { dax = { node_type = "dax.t3.small", nodes = 3, ttl_seconds = 20 } }

    expected_policy = { Version = "2012-10-17", Statement = [
      {
        Sid      = "ReadItems"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable", "dynamodb:GetItem"]
        Resource = ["arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"]
      },
      {
        Sid       = "UseKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
        Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.eu-central-1.amazonaws.com"] } }
      },
    ] }

    expected_trust = [{
      Sid       = "ClusterReads"
      Effect    = "Allow"
      Principal = { Service = "dax.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }]

    expected_statements = { read = [{
      Sid      = "ReadThroughCache"
      Action   = ["dax:GetItem"]
      Resource = ["arn:aws:dax:eu-central-1:111122223333:cache/readplane"]
    }] }
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.dax[0].policy) == var.expected_policy
    error_message = "DAX may read the items table and nothing else, because its users may do all that it may."
  }

  assert {
    condition     = jsondecode(aws_iam_role.dax[0].assume_role_policy).Statement == var.expected_trust
    error_message = "Only DAX assumes the role."
  }

  assert {
    condition     = aws_dax_cluster.this[0].cluster_name == "readplane"
    error_message = "The cluster speaks TLS, encrypts what it stores, and has the group with its TTL."
  }

  assert {
    condition     = aws_dax_cluster.this[0].replication_factor == 3
    error_message = "The cluster speaks TLS, encrypts what it stores, and has the group with its TTL."
  }

  assert {
    condition     = aws_dax_cluster.this[0].cluster_endpoint_encryption_type == "TLS"
    error_message = "The cluster speaks TLS, encrypts what it stores, and has the group with its TTL."
  }

  assert {
    condition     = aws_dax_cluster.this[0].server_side_encryption[0].enabled == true
    error_message = "The cluster speaks TLS, encrypts what it stores, and has the group with its TTL."
  }

  assert {
    condition     = aws_dax_cluster.this[0].parameter_group_name == "readplane-ttl-20"
    error_message = "The cluster speaks TLS, encrypts what it stores, and has the group with its TTL."
  }

  assert {
    condition = { for each in aws_dax_parameter_group.this[0].parameters : each.name => each.value } == {
      record-ttl-millis = "20000"
    }
    error_message = "The cluster keeps an item for ttl_seconds."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.functions.from_port == 9111
    error_message = "The functions reach DAX at its port for TLS."
  }

  assert {
    condition     = output.statements == var.expected_statements
    error_message = "Only `read` may use the cluster, and only to get items."
  }

  assert {
    condition     = output.connection.engine == "dax"
    error_message = "`read` gets the endpoint of the cluster."
  }

  assert {
    condition     = output.connection.endpoint == "daxs://readplane.abc.dax-clusters.eu-central-1.amazonaws.com"
    error_message = "`read` gets the endpoint of the cluster."
  }

  assert {
    condition     = output.connection.ttl_seconds == 20
    error_message = "`read` gets the endpoint of the cluster."
  }

  assert {
    condition     = length(aws_elasticache_user.this) + length(aws_elasticache_user_group.this) == 0
    error_message = "DAX has no users of Valkey."
  }

  assert {
    condition     = toset(keys(module.alarms[0].alarms)) == toset(["evictions", "cpu", "faults"])
    error_message = "DAX has alarms of its own."
  }
}
