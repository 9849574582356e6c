# What the emulator needs beside environments/prod.tfvars and the source in tests/cost/source.tfvars. With these
# settings, ops/local/record_state.py applies a production stack there, and tests/unit/terraform/test_upgrade.py plans
# it again. environments/local.tfvars has the reason for each setting.

emulator_provider = {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

emulator = {
  plain_http         = true
  plain_method_paths = true
}

# The emulator has no cache cluster, so no collection sets cache_ttl. It doesn't know the account's quota either.
cache_size                = null
account_concurrency_quota = 1000

collections = {
  products = { read = "public", write_groups = ["editors"] }
  prices   = { read = "authenticated", write_groups = ["editors", "pricing"] }
  profiles = { read = "owner" }
  stock    = { read = "public" }
}
