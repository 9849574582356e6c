# Before version 0.2.0, each part of the API was a resource of its own. These blocks make Terraform forget those
# resources in the state of an older stack. If Terraform destroyed them, it would delete parts of the API that the
# import of the document has just created.

removed {
  from = aws_api_gateway_authorizer.this

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_authorizer.key

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_gateway_response.this

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_gateway_response.default

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_integration.function

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_integration.document

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_integration.fixed

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_integration.backend

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_integration.preflight

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_integration_response.document

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_integration_response.fixed

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_integration_response.preflight

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_method.route

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_method.preflight

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_method_response.document

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_method_response.fixed

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_method_response.preflight

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_resource.depth_1

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_resource.depth_2

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_resource.depth_3

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_resource.depth_4

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_resource.depth_5

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_api_gateway_rest_api_policy.this

  lifecycle {
    destroy = false
  }
}

# Before version 0.2.0, a stack created API Gateway's logging role and set it for the whole account. Terraform forgets
# these resources instead of destroying them, so that logging goes on. Module `account_logging` creates the role again.
removed {
  from = aws_api_gateway_account.this

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_iam_role.logging

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_iam_role_policy_attachment.logging

  lifecycle {
    destroy = false
  }
}
