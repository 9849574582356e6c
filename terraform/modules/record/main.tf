# What the last complete apply left, which the rules compare with what the settings declare (rules_*.tf). Terraform's
# state can't answer that in an expression, so the stack writes it into an SSM parameter, its record. Module readplane
# writes the record after everything else, so a record never says more than what exists.
#
# An apply may fail halfway. So a second parameter holds what the last apply began. Terraform writes it before it makes
# or changes anything else, because the stack takes its name from an output that waits for the parameter.
locals {
  folder    = "/readplane/${var.name}"
  parameter = "${local.folder}/record"
  beginning = "${local.folder}/begun"
}

# Use the data source for a folder, because the one for a single parameter fails as long as the parameter doesn't exist.
# Leave out depends_on here and in the call of this module. With it, Terraform would read the record only when it
# applies, and no plan could be refused.
data "aws_ssm_parameters_by_path" "this" {
  path            = local.folder
  with_decryption = false
}

locals {
  # The provider marks every value as sensitive, because some parameters are secrets. The record isn't.
  parameters = zipmap(
    data.aws_ssm_parameters_by_path.this.names,
    nonsensitive(data.aws_ssm_parameters_by_path.this.values),
  )
  left  = merge(local.nothing, jsondecode(lookup(local.parameters, local.parameter, "{}")))
  begun = merge(local.nothing, jsondecode(lookup(local.parameters, local.beginning, "{}")))

  # Whether an apply of this stack was ever complete.
  is_recorded = contains(keys(local.parameters), local.parameter)

  # What counts as recorded for a stack that has no record, because it is new or older than records.
  nothing = {
    collections   = {}
    replica       = null
    keys          = null
    user_pool     = null
    change_stream = null
    edge          = null
    release       = null
    items         = null
  }

  # If the last apply failed halfway, a replica, a key or a visibility that it began counts too, because part of it
  # exists. A collection that it began to add doesn't count.
  recorded = {
    collections = { for name, collection in local.left.collections : name => (
      try(local.begun.collections[name].read_changes > collection.read_changes, false)
      ? local.begun.collections[name] : collection
    ) }
    replica       = try(coalesce(local.left.replica, local.begun.replica), null)
    keys          = local.left.keys == null && local.begun.keys == null ? null : local.recorded_key_of
    user_pool     = try(coalesce(local.left.user_pool, local.begun.user_pool), null)
    change_stream = local.left.change_stream
  }

  # The key of each Region, or else `aws` for the primary Region and null for the replica Region. A key of the last
  # complete apply comes first, then one that the last apply began to use.
  recorded_key_of = {
    primary = try(coalesce([for each in local.recorded_keys_of : each.primary if each.primary != "aws"]...), "aws")
    replica = try(coalesce(local.recorded_keys_of[*].replica...), null)
  }
  recorded_keys_of = [for each in [local.left.keys, local.begun.keys] : each if each != null]
}

resource "aws_ssm_parameter" "begun" {
  #checkov:skip=CKV2_AWS_34:It holds names and settings, no secrets; a plan must read it without access to a key.

  name        = local.beginning
  description = "What Terraform began to apply last. Terraform reads it to refuse plans that lose data."
  type        = "String"
  tier        = "Intelligent-Tiering" # as the record
  insecure_value = jsonencode({
    collections = var.collections
    replica     = var.replica.enabled ? { region = var.replica.region, protected = false } : null
    keys        = var.keys
    user_pool   = var.user_pool
    edge        = var.edge
    release     = local.release
    items       = var.items
  })
}

# The name and the Region of the stack in this Terraform state. They keep their first values, so a plan with the
# variable file of another environment is refused. It would create a second stack and destroy this one. The path of the
# roles keeps its first value too.
resource "terraform_data" "identity" {
  input = { name = var.name, region = var.region, role_path = var.role_path }

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = self.input.name == var.name && self.input.region == var.region
      error_message = <<-EOT
        This Terraform state holds the stack ${self.input.name} in ${self.input.region}, but the settings declare
        ${var.name} in ${var.region}. Plan with the settings of ${self.input.name}, or choose the backend or workspace
        of ${var.name}. A stack can't be renamed or moved to another primary Region.
      EOT
    }

    # IAM can't change the path of a role, and a role with the new path can't be made while the old one has its name. So
    # the functions would have no role for minutes, and Firehose would replace the archive of the change stream.
    postcondition {
      condition     = self.input.role_path == var.role_path
      error_message = <<-EOT
        Set roles.path back to ${self.input.role_path}, because Terraform would have to replace every role of the stack.
      EOT
    }
  }
}
