data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition

  function_name = "${var.name}-${var.function}"
  function_arn  = "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${local.function_name}"

  # The settings are compressed, because Lambda allows only 4 KB for the names and values of all environment variables
  # together.
  environment      = merge(var.environment, { READPLANE_SETTINGS = base64gzip(var.settings) }, var.secrets)
  environment_size = nonsensitive(sum([for key, value in local.environment : length(key) + length(value)]))

  # Any change of the configuration makes Terraform publish a new version, so a new description is enough.
  description = var.republish == 0 ? null : "Published again: ${var.republish}"

  # CloudFront's copies of a function assume the role as edgelambda.amazonaws.com. (The two kinds of the principal have
  # different types, so each is JSON text until one is chosen.)
  principal = jsondecode(
    var.edge
    ? jsonencode({ Service = ["lambda.amazonaws.com", "edgelambda.amazonaws.com"] })
    : jsonencode({ Service = "lambda.amazonaws.com" })
  )

  trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "LambdaRuns"
      Effect    = "Allow"
      Principal = local.principal
      Action    = ["sts:AssumeRole"]
    }]
  })

  # The statements for the function's log and traces. A function at the edge writes its log in the Region nearest to the
  # client, where Terraform makes no log group. X-Ray doesn't trace it.
  edge_log_arn = "arn:${local.partition}:logs:*:${local.account_id}:log-group:${local.log_group_name}:*"
  log_statements = var.edge ? [{
    Sid      = "WriteOwnLog"
    Effect   = "Allow"
    Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = [local.edge_log_arn]
    }] : [{
    Sid      = "WriteOwnLog"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }]
  trace_statements = var.edge ? [] : [{
    # X-Ray's actions can't be limited to a resource.
    Sid      = "SendTraces"
    Effect   = "Allow"
    Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    Resource = ["*"]
  }]

  # With a name of the default form, Lambda@Edge would write to another group, /aws/lambda/us-east-1.<function>. A name
  # of another form is the same in every Region.
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-functions-logs.html
  log_group_name = var.edge ? "/readplane/edge-auth/${local.function_name}" : "/aws/lambda/${local.function_name}"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.log_statements,
      local.trace_statements,
      var.kms_key_arn == null ? [] : [{
        Sid       = "DecryptOwnSettings"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.kms_key_arn]
        Condition = { StringEquals = { "kms:EncryptionContext:aws:lambda:FunctionArn" = [local.function_arn] } }
      }],
      local.vpc_statements,
      [for statement in var.statements : merge(
        { Effect = "Allow" },
        { for key, value in statement : key => value if value != null },
      )],
    )
  })
}

locals {
  temporary_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in var.temporary_statements : merge({ Effect = "Allow" }, statement)]
  })

  # IAM counts the characters of all policies of a role together.
  policy_size = length(local.policy) + (length(var.temporary_statements) > 0 ? length(local.temporary_policy) : 0)
}

# Policy statements for a function in a VPC. Lambda creates, describes and deletes network interfaces with the
# function's own role. Lambda deletes and describes interfaces without naming one, so the Allow statements can't be
# limited to some interfaces. The function's code needs none of these permissions, so the Deny statement refuses them to
# the code. (Only calls by the code have the key lambda:SourceFunctionArn.)
locals {
  describe_actions = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
  interface_actions = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ]

  vpc_statements = [for statement in [
    {
      Sid      = "KeepNetworkInterfaces"
      Effect   = "Allow"
      Action   = local.interface_actions
      Resource = ["arn:${local.partition}:ec2:${local.region}:${local.account_id}:*/*"]
    },
    {
      Sid      = "FindNetworkInterfaces"
      Effect   = "Allow"
      Action   = local.describe_actions
      Resource = ["*"]
    },
    {
      Sid       = "KeepCodeFromInterfaces"
      Effect    = "Deny"
      Action    = concat(local.interface_actions, local.describe_actions)
      Resource  = ["*"]
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = [local.function_arn] } }
    },
  ] : statement if var.vpc != null]
}

# What a function at the edge can't have.
locals {
  is_alone = var.vpc == null && var.reserved_concurrency == null && var.kms_key_arn == null
  is_plain = local.is_alone && !var.snap_start && length(var.code.layers) == 0 && local.is_unset
  is_unset = length(var.environment) == 0 && nonsensitive(length(var.secrets)) == 0
}

resource "aws_cloudwatch_log_group" "this" {
  name              = local.log_group_name
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_iam_role" "this" {
  # The role's name contains the Region, because the names of IAM roles must be unique in the account across all
  # Regions.
  name                 = "${var.name}-${local.region}-${var.function}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  assume_role_policy   = local.trust_policy
}

resource "aws_iam_role_policy" "this" {
  name   = var.function
  role   = aws_iam_role.this.id
  policy = local.policy

  lifecycle {
    precondition {
      condition     = local.policy_size <= 10240
      error_message = <<-EOT
        The policies of ${local.function_name} have ${local.policy_size} characters, and IAM allows a role 10240.
        Declare fewer sources, or secrets with shorter names.
      EOT
    }
  }
}

resource "aws_iam_role_policy" "temporary" {
  count = length(var.temporary_statements) > 0 ? 1 : 0

  name   = "${var.function}-temporary"
  role   = aws_iam_role.this.id
  policy = local.temporary_policy

  # Delete the policy after the function has changed. Otherwise Terraform would delete it before.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:API callers get errors, S3 and SQS keep failed batches, and the next poll is the retry.
  #checkov:skip=CKV_AWS_272:Zips are reproducible byte for byte; code signing needs a signing profile of the account.

  function_name = local.function_name
  description   = local.description
  role          = aws_iam_role.this.arn
  handler       = "readplane.${coalesce(var.package, var.function)}.handler.handler"
  runtime       = "python3.13"

  # Lambda reads the zip from S3, or Terraform uploads it. Terraform sees that an uploaded zip has changed by its hash.
  # It doesn't look into S3, so a changed zip there needs a new key.
  filename         = var.code.s3 == null ? var.code.zip : null
  source_code_hash = var.code.s3 == null ? filebase64sha256(var.code.zip) : null
  s3_bucket        = try(var.code.s3.bucket, null)
  s3_key           = try(var.code.s3.key, null)
  architectures    = [var.code.architecture]
  layers           = var.code.layers

  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency
  kms_key_arn                    = var.kms_key_arn

  # Terraform publishes a version with each change, because the alias points to a published version, and SnapStart works
  # for published versions only.
  publish = true

  dynamic "snap_start" {
    for_each = var.snap_start ? [1] : []

    content {
      apply_on = "PublishedVersions"
    }
  }

  # A function in a VPC has no internet access, even in a public subnet. It needs a NAT gateway or VPC endpoints for
  # everything that it calls, including AWS's APIs in each Region. Lambda takes up to 45 minutes to remove a function
  # from its VPC.
  dynamic "vpc_config" {
    for_each = var.vpc[*]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  # Lambda's own default is PassThrough. CloudFront takes no function that is traced.
  tracing_config {
    mode = var.edge ? "PassThrough" : "Active"
  }

  # CloudFront refuses a function that has environment variables, layers, a VPC, tracing or another architecture than
  # x86_64, and takes numbered versions only.
  # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-at-edge-function-restrictions.html
  dynamic "environment" {
    for_each = var.edge ? [] : [1]

    content {
      variables = local.environment
    }
  }

  # The log format is Text, because the functions already print whole JSON lines (embedded metrics among them). With the
  # format JSON, Lambda would wrap each line in another object.
  #
  # At the edge it is JSON, because only that format has levels. With the level WARN, Lambda writes no line about the
  # start and end of each request. These lines would cost more than the function.
  logging_config {
    log_format            = var.edge ? "JSON" : "Text"
    log_group             = aws_cloudwatch_log_group.this.name
    application_log_level = var.edge ? "WARN" : null
    system_log_level      = var.edge ? "WARN" : null
  }

  # CloudFront removes its copies of a function hours after a distribution stopped using it, and until then Lambda
  # refuses to delete the function. So Terraform leaves it behind instead of failing.
  skip_destroy = var.edge

  lifecycle {
    precondition {
      condition     = !var.edge || var.code.architecture == "x86_64"
      error_message = "Build a function for the edge for x86_64, because CloudFront takes no other."
    }

    precondition {
      condition     = !var.edge || local.is_plain
      error_message = "Give a function for the edge no layers, VPC, SnapStart, reserved concurrency and environment."
    }

    precondition {
      condition     = local.environment_size <= 4096
      error_message = <<-EOT
        The settings of ${local.function_name} take ${local.environment_size} bytes compressed, and Lambda allows 4096.
        Declare fewer collections, or shorter group names.
      EOT
    }
  }

  # The role must have its policy before anything can invoke the function. Otherwise AWS would refuse the function's
  # first calls.
  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy.temporary]
}
