# How a new version of the function becomes the live one: it is ready, it passes its check, and only then the alias
# `live` moves to it. A version that fails its check stops the apply. The alias then still points at the version before.

# Waits until Lambda has made the snapshot of the first version. The AWS provider waits for the snapshot of every later
# version, but not of the first one (hashicorp/terraform-provider-aws, issue 42693). Lambda refuses to invoke a version
# without its snapshot, and making one takes up to a few minutes.
#
# No resource or data source of the AWS provider can wait for a version. So this is a command: the AWS CLI's own waiter
# if the CLI is there and has credentials, otherwise a pause that is usually long enough. If it wasn't, the check below
# fails, and the next apply continues there. Windows has no command `sleep`, so there the AWS CLI is needed.
resource "terraform_data" "first_snapshot" {
  count = var.snap_start && var.await_snapshot ? 1 : 0

  triggers_replace = [aws_lambda_function.this.arn]

  provisioner "local-exec" {
    command = "aws lambda wait published-version-active ${local.version_arguments} || sleep 240"
  }
}

locals {
  version_arguments = join(" ", [
    "--region ${local.region}",
    "--function-name ${local.function_name}",
    "--qualifier ${aws_lambda_function.this.version}",
  ])
}

# Invokes each new version before the alias moves to it. The function starts with its settings, reads what it reads at
# init, and lists every problem. If it can't start at all, the invocation fails with the function's own error.
#
# A problem in the response stays a problem until a new version exists, so every later plan reports it again. An
# invocation that failed isn't in the state, so the next apply sends it again.
resource "aws_lambda_invocation" "check" {
  count = var.check == null ? 0 : 1

  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_function.this.version
  input         = var.check

  lifecycle {
    postcondition {
      condition     = length(jsondecode(self.result).problems) == 0
      error_message = <<-EOT
        The new version of ${local.function_name} refuses its settings, so the version before stays live. Correct these
        problems and apply again:
        - ${join("\n- ", jsondecode(self.result).problems)}
      EOT
    }
  }

  depends_on = [terraform_data.first_snapshot]
}

resource "aws_lambda_alias" "this" {
  name             = "live"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version

  depends_on = [aws_lambda_invocation.check, terraform_data.first_snapshot]
}

# The alias that clients call instead of `live` if CodeDeploy shifts them to a new version step by step. Terraform
# creates it at the version that is live then. From then on only CodeDeploy moves it, so Terraform must ignore where it
# points: an apply during a deployment would otherwise end the deployment.
#
# Everything that calls the function may still call this alias while Terraform switches to `live` again. So the alias
# stays when deployments are switched off (module record).
resource "aws_lambda_alias" "released" {
  for_each = toset(var.release[*].alias)

  name             = each.key
  description      = "What clients call. CodeDeploy moves it."
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version

  lifecycle {
    ignore_changes = [function_version, routing_config]
  }

  depends_on = [aws_lambda_invocation.check, terraform_data.first_snapshot]
}

locals {
  released_alias = one(values(aws_lambda_alias.released))
  client_alias   = try(var.release.called, false) ? local.released_alias : aws_lambda_alias.this
}
