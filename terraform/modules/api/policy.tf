# The resource policy of the API. It applies to every method, whatever authorizer the method has. The ARNs name the API
# in full, because API Gateway completes the short form "execute-api:/…" only in a policy that is set by itself.
#
# A change of the policy takes effect with the next deployment of the stage. The policy is a part of the OpenAPI
# document, whose hash triggers a deployment.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-resource-policies-create-attach.html
locals {
  stage_arn = "${aws_api_gateway_rest_api.this.execution_arn}/${local.stage_name}"

  # Allows every call, because each method's authorizer decides who may call the method. Without this statement, the
  # policy would refuse every call.
  allow_statement = {
    Sid       = "MethodsDecide"
    Effect    = "Allow"
    Principal = "*"
    Action    = ["execute-api:Invoke"]
    Resource  = ["${local.stage_arn}/*"]
  }

  # The lock: nothing gets around the edge. CloudFront sends a secret in the header Referer, instead of the client's
  # own, because that header and User-Agent are the only ones that a policy can compare. A call without the header is
  # refused too. The health check stays open, because Route 53 asks it without a secret.
  #
  # The statement must deny. Without a match, an authorizer that is a function could still allow the call. Before a
  # method with a Cognito authorizer, API Gateway checks the token first: a call around the edge without a token is a
  # 401, and one with a token a 403.
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-resource-policies-aws-condition-keys.html
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
  locked = try(var.origin.locked, false)
  lock_statements = { for name, secrets in local.lock_secrets : name => {
    Sid         = "OnlyThroughTheEdge"
    Effect      = "Deny"
    Principal   = "*"
    Action      = ["execute-api:Invoke"]
    NotResource = ["${local.stage_arn}/GET/health"]
    Condition   = { StringNotEquals = { "aws:Referer" = secrets } }
  } if local.locked }

  # What API Gateway gets, and what an output may show.
  lock_secrets = {
    real  = [for generation in try(var.origin.generations, []) : var.origin_secrets[generation]]
    shown = [for generation in try(var.origin.generations, []) : "<secret of generation ${generation}>"]
  }

  statements = { for name in ["real", "shown"] : name => concat(
    local.path_statements,
    [for statement in [lookup(local.lock_statements, name, null)] : statement if statement != null],
  ) }

  policies = { for name in ["real", "shown"] : name => {
    Version   = "2012-10-17"
    Statement = concat([local.allow_statement], local.statements[name])
  } if local.has_policy }

  has_policy = local.locked || length(local.backend_routes) > 0
}
