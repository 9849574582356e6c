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

  # Every API key of the callers of each backend.
  declared_keys = flatten([for name, backend in local.keyed_backends : [
    for caller, settings in backend.callers : [
      for key in settings.keys : { backend = name, caller = caller, key = key }
    ]
  ]])

  # Id of an API key -> whose it is. The key "first" of the caller "default" has the backend's own name as its id. It
  # was the backend's only key before backends had callers, so it keeps its address in the state.
  api_keys = { for key in local.declared_keys : (
    key.caller == "default" && key.key == "first" ? key.backend : "${key.backend}/${key.caller}/${key.key}"
  ) => key }

  usage_plans = { for name, backend in local.keyed_backends : name => {
    key_ids = {
      for id, key in local.api_keys : id => aws_api_gateway_api_key.backend[id].id if key.backend == name
    }
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

# The API keys of the backends' callers. API keys are regional, but both Regions use the same values, so that a client
# can switch to the other Region. The values are also in Terraform's state, so keep the state secret.
#
# The access log names the id of the key with which a request came, and the key's name says whose it is.
resource "aws_api_gateway_api_key" "backend" {
  for_each = local.api_keys

  name        = "${var.name}-${replace(each.key, "/", "-")}"
  description = "Opens the back office ${each.value.backend}"
  value       = lookup(var.backend_api_keys, each.key, null)

  # A key with another value is a new key. It works before the old one stops.
  lifecycle {
    create_before_destroy = true
  }
}

locals {
  # Id of an API key -> the hash of the key. The settings of the function `backend_auth` contain only the hashes, not
  # the keys.
  key_hashes = {
    for id, key in local.api_keys : id => nonsensitive(sha256(aws_api_gateway_api_key.backend[id].value))
    if contains(keys(local.key_authorised), key.backend)
  }

  backend_auth_settings = jsonencode({
    name = var.name
    keys = [for id, hash in local.key_hashes : "${hash}/${local.api_keys[id].backend}"]
  })
}

module "backend_auth" {
  source = "../function"
  count  = length(local.key_authorised) > 0 ? 1 : 0

  name     = var.name
  function = "backend_auth"
  settings = local.backend_auth_settings
  code = {
    zip          = var.code.functions_zip
    s3           = local.function_objects["publish"] # the same zip
    architecture = var.code.architecture
    layers       = []
  }
  republish = var.republish
  release   = var.release

  # Little memory is enough for `backend_auth`, because it hashes one key per call, and API Gateway caches its decision
  # for five minutes.
  memory_mb            = 256
  timeout_seconds      = 5
  reserved_concurrency = null
  snap_start           = false
  statements           = []

  kms_key_arn        = var.kms_key_arn
  roles              = var.roles
  log_retention_days = var.log_retention_days
  alarms             = var.alarms
  alarm_actions      = var.alarm_actions
}
