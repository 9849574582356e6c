# `edge_auth`, which CloudFront runs: before its cache, it checks the token of a request for a private document, and
# after S3, it turns errors into problem documents.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

# A suffix of the function's name. Terraform leaves the function behind with its name when the edge is removed, so an
# edge that is added again needs another name. The suffix stays the same for as long as this edge exists.
resource "terraform_data" "suffix" {
  input = substr(uuid(), 0, 8)

  lifecycle {
    ignore_changes = [input]
  }
}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  function      = "edge-auth-${terraform_data.suffix.output}"
  function_arn  = module.edge_auth.edge_arn
  parameter     = "/readplane/edge-auth/${var.name}-${local.function}"
  parameter_arn = "arn:${local.partition}:ssm:us-east-1:${local.account_id}:parameter${local.parameter}"

  # Lambda@Edge gives a function no environment, so the settings are in a parameter. They aren't in the zip either,
  # because they name the sign-in clients, and these name the distribution, which names the function.
  settings = jsonencode({
    v       = 1
    pools   = var.pools
    scopes  = var.scopes
    owner   = local.owner
    shared  = local.shared
    sources = local.private_sources
    origins = local.cors_origins
    headers = local.cors_headers
    hsts    = local.hsts
  })
}

module "edge_auth" {
  source = "../function"

  name     = var.name
  function = local.function
  package  = "edge_auth"
  edge     = true
  code = {
    zip          = var.code.zip
    s3           = var.code.s3
    architecture = "x86_64"
    layers       = []
  }

  # A viewer request gets at most 128 MB and 5 seconds.
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
  memory_mb            = 128
  timeout_seconds      = 5
  reserved_concurrency = null
  snap_start           = false
  republish            = var.republish
  settings             = ""

  # The function's check needs the parameter. The parameter waits for the distribution, and that for the function.
  check = null

  statements = [{
    Sid      = "ReadSettings"
    Action   = ["ssm:GetParameter"]
    Resource = [local.parameter_arn]
  }]

  # The primary Region's key can't be used in us-east-1.
  kms_key_arn        = null
  roles              = var.roles
  log_retention_days = var.log_retention_days

  # CloudFront's copies of the function send their metrics in the Regions where they run.
  alarms        = false
  alarm_actions = { page = [], ticket = [] }
}

resource "aws_ssm_parameter" "settings" {
  #checkov:skip=CKV2_AWS_34:It holds names and public URLs, no secrets.

  name           = local.parameter
  description    = "Settings of the function ${var.name}-${local.function}, which reads them every 5 minutes"
  type           = "String"
  insecure_value = local.settings

  lifecycle {
    precondition {
      condition     = length(local.settings) <= 4096
      error_message = <<-EOT
        The settings of edge_auth have ${length(local.settings)} characters, and an SSM parameter holds 4096. Declare
        fewer collections that need a token, or give them shorter names.
      EOT
    }
  }
}
