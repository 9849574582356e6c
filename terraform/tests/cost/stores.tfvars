# What a serverless item cache and an Aurora database add to environments/prod.tfvars, in both of its Regions.

network = {
  primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } }
  replica = { create = { cidr = "10.21.0.0/20", zones = ["eu-west-1a", "eu-west-1b"] } }
}

cache      = { serverless = {} }
relational = { aurora = {} }

collections = {
  products = {
    read         = "public"
    write_groups = ["editors"]
    cache_ttl    = 60
    relational   = { fields = { price = { type = "number", pointer = "/price" } }, sort = ["price"] }
  }
  prices   = { read = "authenticated", write_groups = ["editors", "pricing"], cache_ttl = 10 }
  profiles = { read = "owner" }
}
