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
  environment      = merge(var.environment, { READPLANE_SETTINGS = base64gzip(var.settings) })
  environment_size = sum([for key, value in local.environment : length(key) + length(value)])

  # Any change of the configuration makes Terraform publish a new version, so a new description is enough.
  description = var.republish == 0 ? null : "Published again: ${var.republish}"

  trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "LambdaRuns"
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }]
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "WriteOwnLog"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
        },
        {
          # X-Ray's actions can't be limited to a resource.
          Sid      = "SendTraces"
          Effect   = "Allow"
          Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
          Resource = ["*"]
        },
      ],
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

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.function_name}"
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
      condition     = length(local.policy) <= 10240
      error_message = <<-EOT
        The policy of ${local.function_name} has ${length(local.policy)} characters, and IAM allows a role 10240.
        Declare fewer sources, or secrets with shorter names.
      EOT
    }
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

  environment {
    variables = local.environment
  }

  tracing_config {
    mode = "Active"
  }

  # The log format is Text, because the functions already print whole JSON lines (embedded metrics among them). With the
  # format JSON, Lambda would wrap each line in another object.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  lifecycle {
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
  depends_on = [aws_iam_role_policy.this]
}
