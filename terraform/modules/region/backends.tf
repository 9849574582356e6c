# The API keys, usage plans and VPC links of the back offices that clients reach through the API. ../api/backends.tf
# explains how the API passes requests through.
locals {
  keyed_backends = { for name, backend in var.backends : name => backend if backend.api_key }

  # The backends whose callers need an API key and no token. For these backends, the key alone decides who may call, so
  # the function `backend_auth` checks which backend the key opens.
  key_authorised = { for name, backend in local.keyed_backends : name => backend if length(backend.scopes) == 0 }

  linked_backends = { for name, backend in var.backends : name => backend.vpc_link if backend.vpc_link != null }
  new_vpc_links   = { for name, link in local.linked_backends : name => link.nlb_arn if link.id == null }

  # Backend -> the id of its VPC link, whether the link is new or already there.
  vpc_link_ids = merge(
    { for name, link in local.linked_backends : name => link.id if link.id != null },
    { for name, link in aws_api_gateway_vpc_link.backend : name => link.id },
  )

  usage_plans = { for name, backend in local.keyed_backends : name => {
    key_id   = aws_api_gateway_api_key.backend[name].id
    throttle = backend.throttle
    quota    = backend.quota
  } }
}

# Connects API Gateway to a private back office through its Network Load Balancer.
resource "aws_api_gateway_vpc_link" "backend" {
  for_each = local.new_vpc_links

  name        = "${var.name}-${each.key}"
  description = "To the back office ${each.key}"
  target_arns = [each.value]
}

# The API key of each backend. API keys are regional, but both Regions use the same values, so that a client can switch
# to the other Region. The values are also in Terraform's state, so keep the state secret.
resource "aws_api_gateway_api_key" "backend" {
  for_each = local.keyed_backends

  name        = "${var.name}-${each.key}"
  description = "Opens the back office ${each.key}"
  value       = lookup(var.backend_api_keys, each.key, null)
}

locals {
  # Backend -> the hash of its API key. The settings of the function `backend_auth` contain only the hashes, not the
  # keys.
  key_hashes = {
    for name in keys(local.key_authorised) :
    name => nonsensitive(sha256(aws_api_gateway_api_key.backend[name].value))
  }

  backend_auth_settings = jsonencode({
    name = var.name
    keys = [for name, hash in local.key_hashes : "${hash}/${name}"]
  })
}

module "backend_auth" {
  source = "../function"
  count  = length(local.key_authorised) > 0 ? 1 : 0

  name     = var.name
  function = "backend_auth"
  code     = { zip = var.code.functions_zip, architecture = var.code.architecture, layers = [] }
  settings = local.backend_auth_settings

  # Little memory is enough for `backend_auth`, because it hashes one key per call, and API Gateway caches its decision
  # for five minutes.
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
