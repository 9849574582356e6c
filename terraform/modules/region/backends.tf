# Back offices that clients reach through this API. See ../api/backends.tf for how.
locals {
  keyed_backends = { for name, backend in var.backends : name => backend if backend.api_key }

  # With scopes the token decides who may call; without, the key does, and somebody must say which one opens what.
  key_authorised = { for name, backend in local.keyed_backends : name => backend if length(backend.scopes) == 0 }

  linked_backends = { for name, backend in var.backends : name => backend.vpc_link if backend.vpc_link != null }
  new_vpc_links   = { for name, link in local.linked_backends : name => link.nlb_arn if link.id == null }

  vpc_link_ids = { for name, link in local.linked_backends : name => link.id == null ? aws_api_gateway_vpc_link.backend[name].id : link.id }

  usage_plans = { for name, backend in local.keyed_backends : name => {
    key_id   = aws_api_gateway_api_key.backend[name].id
    throttle = backend.throttle
    quota    = backend.quota
  } }
}

# A private back office behind a Network Load Balancer.
resource "aws_api_gateway_vpc_link" "backend" {
  for_each = local.new_vpc_links

  name        = "${var.name}-${each.key}"
  description = "To the back office ${each.key}"
  target_arns = [each.value]
}

# Keys are regional; both Regions' have the same value, so that a client can move to the other one. The values are in Terraform's state.
resource "aws_api_gateway_api_key" "backend" {
  for_each = local.keyed_backends

  name        = "${var.name}-${each.key}"
  description = "Opens the back office ${each.key}"
  value       = lookup(var.backend_api_keys, each.key, null)
}

locals {
  # The function knows the keys by their hashes alone.
  backend_auth_settings = jsonencode({
    name = var.name
    keys = [for name in keys(local.key_authorised) : "${nonsensitive(sha256(aws_api_gateway_api_key.backend[name].value))}/${name}"]
  })
}

module "backend_auth" {
  source = "../function"
  count  = length(local.key_authorised) > 0 ? 1 : 0

  name     = var.name
  function = "backend_auth"
  code     = { zip = var.code.functions_zip, architecture = var.code.architecture, layers = [] }
  settings = local.backend_auth_settings

  # It hashes one key, and API Gateway remembers the answer for five minutes.
  memory_mb            = 256
  timeout_seconds      = 5
  reserved_concurrency = null
  snap_start           = false
  statements           = []

  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
  alarms             = var.alarms
  alarm_actions      = var.alarm_actions
}
