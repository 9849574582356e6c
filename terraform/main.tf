# The root of a stack: the providers (providers.tf) and one call of modules/readplane, which is the stack. Its main.tf
# shows how data moves through it. To call that module from a root of your own, copy one of the folders in examples/.
#
# `make docs` writes this file from the files variables_*.tf of modules/settings.
module "readplane" {
  source    = "./modules/readplane"
  providers = { aws = aws, aws.replica = aws.replica, aws.edge = aws.edge }

  name                 = var.name
  region               = var.region
  replica              = var.replica
  replica_region       = var.replica_region
  customer_managed_key = var.customer_managed_key
  kms_keys             = var.kms_keys
  deletion_protection  = var.deletion_protection
  log_retention_days   = var.log_retention_days
  emulator             = var.emulator

  collections = var.collections
  groups      = var.groups

  sources       = var.sources
  change_stream = var.change_stream
  poll          = var.poll

  backends         = var.backends
  backend_api_keys = var.backend_api_keys

  sign_in = var.sign_in

  endpoint_type          = var.endpoint_type
  cors_origins           = var.cors_origins
  cors_headers           = var.cors_headers
  cache_size             = var.cache_size
  throttle               = var.throttle
  open_throttle          = var.open_throttle
  method_metrics         = var.method_metrics
  documents_integration  = var.documents_integration
  manage_account_logging = var.manage_account_logging
  api_base_url           = var.api_base_url

  write_log    = var.write_log
  horizon_days = var.horizon_days

  functions                 = var.functions
  account_concurrency_quota = var.account_concurrency_quota
  republish                 = var.republish
  code_buckets              = var.code_buckets
  dist                      = var.dist
  hot_zip                   = var.hot_zip
  functions_zip             = var.functions_zip
  layer_zip                 = var.layer_zip
  edge_auth_zip             = var.edge_auth_zip
  poll_layer_zip            = var.poll_layer_zip
  database_layer_zip        = var.database_layer_zip
  dax_layer_zip             = var.dax_layer_zip
  aws_client                = var.aws_client
  architecture              = var.architecture

  alarms                = var.alarms
  alarm_actions         = var.alarm_actions
  replica_alarm_actions = var.replica_alarm_actions
  notify                = var.notify
  probe                 = var.probe
  tickets               = var.tickets

  budget = var.budget

  roles              = var.roles
  user_pool          = var.user_pool
  access_log_buckets = var.access_log_buckets
  domains            = var.domains

  cache = var.cache

  deploy = var.deploy

  edge          = var.edge
  edge_base_url = var.edge_base_url

  api_failover = var.api_failover

  firewall = var.firewall

  identity_pool = var.identity_pool

  items = var.items

  network = var.network

  relational = var.relational

  store_passwords = var.store_passwords
}
