# What the source in the comments of environments/prod.tfvars adds to that file.

collections = {
  products = { read = "public", write_groups = ["editors"], cache_ttl = 60 }
  prices   = { read = "authenticated", write_groups = ["editors", "pricing"], cache_ttl = 10 }
  profiles = { read = "owner" }
  stock    = { read = "public", cache_ttl = 10 }
}

sources = {
  stock = {
    mode             = "changes"
    collection       = "stock"
    schedule         = "rate(1 minute)"
    staleness_budget = 300
    url              = "https://erp.example.com/api/stock?changed_since={cursor}&sort=changed_at"
    records          = "results"
    id               = "article_number"
    version          = { expression = "changed_at", format = "rfc3339" }
    deleted          = "discontinued"
    translation      = "{name: title, available: quantity, warehouse: location.code}"
    paging           = { style = "link", next = "links.next" }
    sweep            = { schedule = "cron(0 3 * * ? *)", url = "https://erp.example.com/api/stock" }
  }
}
