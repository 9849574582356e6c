# Valkey on ElastiCache. Both kinds take TLS connections only, encrypt what they store, keep no snapshots, and know two
# users, `read` and `feed`, who sign in with IAM.
locals {
  users = { for function in ["read", "feed"] : function => "${local.id}-${function}" if local.valkey }

  # What both users may do: read and write entries (g<generation>/<key>), which a script guards. Nobody may list keys or
  # empty the cache.
  access = "on ~g* -@all +get +set +getrange +eval +evalsha"
}

# An IAM user's id is its name. Without the user group's default user, a connection that doesn't sign in may do nothing.
# https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
resource "aws_elasticache_user" "this" {
  for_each = local.users

  user_id       = each.value
  user_name     = each.value
  engine        = "valkey"
  access_string = local.access

  authentication_mode {
    type = "iam"
  }
}

# A user group of Valkey needs no user `default`, other than one of Redis OSS.
# https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Clusters.RBAC.html
resource "aws_elasticache_user_group" "this" {
  count = local.valkey ? 1 : 0

  user_group_id = local.cache_name
  engine        = "valkey"
  user_ids      = values(aws_elasticache_user.this)[*].user_id
}

# Its limits can be changed in place, and so can the groups. A change of name, key or subnets makes a new cache. AWS
# upgrades it to later versions of Valkey 8 itself. When it is full, it evicts the entries that nobody has read for
# longest, because every entry has a time to live (volatile-lru).
# https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/RedisConfiguration.html
resource "aws_elasticache_serverless_cache" "this" {
  count = local.serverless == null ? 0 : 1

  name                     = local.cache_name
  description              = "Item cache of ${var.name}"
  engine                   = "valkey"
  major_engine_version     = "8"
  user_group_id            = aws_elasticache_user_group.this[0].user_group_id
  subnet_ids               = var.network.subnet_ids
  security_group_ids       = [aws_security_group.this.id]
  kms_key_id               = var.kms_key_arn
  snapshot_retention_limit = 0

  cache_usage_limits {
    data_storage {
      maximum = local.serverless.max_gb
      unit    = "GB"
    }

    ecpu_per_second {
      maximum = local.serverless.max_ecpu_per_second
    }
  }
}

resource "aws_elasticache_subnet_group" "this" {
  count = local.nodes == null ? 0 : 1

  name        = local.cache_name
  description = "Item cache of ${var.name}"
  subnet_ids  = var.network.subnet_ids
}

# One shard, so that a client needs no map of shards: the client of `read` follows no redirects. If the primary node
# fails, ElastiCache moves the primary endpoint's name to a replica within a minute. Replicas serve no reads, since an
# entry there may be older. Module settings has checked that there is at least one replica, without which AWS refuses
# automatic failover.
#
# The port isn't set, because an emulator reports another one. A change of node type or replicas happens in place and at
# once, with a short failover. A change of name or key makes a new cache.
resource "aws_elasticache_replication_group" "this" {
  count = local.nodes == null ? 0 : 1

  replication_group_id       = local.cache_name
  description                = "Item cache of ${var.name}"
  engine                     = "valkey"
  engine_version             = "8.0"
  node_type                  = local.nodes.type
  num_cache_clusters         = 1 + local.nodes.replicas
  automatic_failover_enabled = true
  multi_az_enabled           = true
  cluster_mode               = "disabled"
  subnet_group_name          = aws_elasticache_subnet_group.this[0].name
  security_group_ids         = [aws_security_group.this.id]
  user_group_ids             = [aws_elasticache_user_group.this[0].user_group_id]
  transit_encryption_enabled = true
  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_arn
  snapshot_retention_limit   = 0
  apply_immediately          = true
}
