# The secret that CloudFront sends to the API, and those that the API accepts.
#
# It is in Terraform's state, in CloudFront's settings, and in the API's resource policy or web ACL. Whoever may read
# one of these knows it. It opens nothing else: a caller still needs a token.
locals {
  # During a rotation, the API accepts two secrets, because CloudFront takes minutes to bring a new one to every edge
  # location.
  accepted = concat(
    var.accept_previous && var.generation > 1 ? [var.generation - 1] : [],
    [var.generation],
    var.accept_next ? [var.generation + 1] : [],
  )
  generations = [for generation in local.accepted : tostring(generation)]
}

# The secret of each generation in use. It is in `triggers_replace`, because Terraform would print the attribute
# `output` in the plan that removes a generation.
resource "terraform_data" "secret" {
  for_each = toset(local.generations)

  triggers_replace = sensitive(uuid())

  lifecycle {
    ignore_changes = [triggers_replace]
  }
}
