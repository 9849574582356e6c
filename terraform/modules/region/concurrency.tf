# The concurrency that the functions of this Region reserve. Lambda keeps 100 executions of the account's quota
# unreserved, so it refuses more. It tells so only while Terraform applies, when other functions have changed already.
# So the plan compares with the quota.
locals {
  # `poll` and `apply-stream` exist only in the Region that polls, and `feed` only with a private store that it feeds.
  # `query` reserves what its own variable says.
  absent = concat(local.reads_stream ? [] : ["poll", "apply_stream"], length(var.feeds) > 0 ? [] : ["feed"])
  here   = setsubtract(keys(var.functions), local.absent)
  reserved_concurrency = try(var.query.concurrency, 0) + sum(concat([0], [
    for function in local.here : coalesce(var.functions[function].reserved_concurrency, 0)
  ]))
}

# A new account has a quota of 10 or 50, and older ones 1000 or more. Terraform reads the quota only if a function
# reserves something. Without a reservation, every quota is enough, and Terraform needs no permission for it.
data "aws_servicequotas_service_quota" "concurrency" {
  count = local.reserved_concurrency > 0 && var.account_concurrency_quota == null ? 1 : 0

  service_code = "lambda"
  quota_code   = "L-B99A9384" # Concurrent executions

  lifecycle {
    postcondition {
      condition     = self.value - 100 >= local.reserved_concurrency
      error_message = <<-EOT
        The functions reserve ${local.reserved_concurrency} concurrent executions in ${local.region}, and the account's
        quota there is ${self.value}, of which Lambda keeps 100 unreserved. Lower reserved_concurrency in the variable
        functions, or leave it out, and lower query_concurrency in relational. Or ask AWS for a higher quota: Service
        Quotas, AWS Lambda, Concurrent executions.
      EOT
    }
  }
}
