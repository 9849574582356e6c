# Settings that only the tests of clients add to those of environments/local.tfvars. conftest.py puts this file beside
# terraform/main.tf, and Terraform merges it into the block of the same name there.
module "readplane" {
  # A collection that signed-in users read and that browsers may cache. The tests in Chromium call it.
  collections = merge(var.collections, {
    bulletins = {
      read         = "authenticated"
      write_groups = ["editors"]
      cache_ttl    = 60
    }
  })

  cache_size   = "0.5"
  cors_headers = ["traceparent"]
}
