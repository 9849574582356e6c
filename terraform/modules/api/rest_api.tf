data "aws_region" "current" {}

data "aws_partition" "current" {}

# The API itself has a name and an endpoint. All the rest is in its OpenAPI document (document.tf), which the next
# resource puts into the API.
resource "aws_api_gateway_rest_api" "this" {
  name        = var.name
  description = local.description

  # Clients call the API at its default endpoint, unless var.domain gives it another name and turns the default endpoint
  # off. The default endpoint negotiates the highest TLS version that both sides support. Only a domain of the team
  # (domain.tf) can require TLS 1.2 or later.
  disable_execute_api_endpoint = !local.default_endpoint

  # binary_media_types and compression stay unset, because with either of them API Gateway would re-encode bodies. A
  # client must get a document byte for byte as S3 stores it, because the document's ETag comes from S3.

  # `body` and `policy` stay unset too, because two resources that write the same part of an API overwrite each other.

  endpoint_configuration {
    types = [var.endpoint_type]
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Puts the document into the API. API Gateway then removes everything that the document doesn't name. So a route that
# is removed from the table is removed from the API, and a route can change its integration or its back office at once.
#
# Terraform replaces this resource whenever the document changes. Destroying the old one changes nothing in the API.
#
# The attribute `body` of aws_api_gateway_rest_api does the same, but not reliably: in version 5.100 of the provider it
# loses changes of the resource policy (hashicorp/terraform-provider-aws, issue 38515).
resource "aws_api_gateway_rest_api_put" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  body        = local.document

  # By default, API Gateway skips what it doesn't understand in a document, and warns. With this setting, it refuses the
  # document instead.
  fail_on_warnings = true

  lifecycle {
    create_before_destroy = true
  }
}

# A copy of the API, which the stage serves. API Gateway applies a document in several steps, and clients see none of
# them, because the stage goes on serving the older copy.
resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  # The document holds everything that a deployment copies.
  triggers = { document = sha256(local.document) }

  # The stage always points to a deployment. So Terraform must create the new deployment first, then point the stage to
  # it, and only then delete the old deployment.
  #
  # With create_before_destroy, Terraform deletes everything that the document no longer needs in the same order: after
  # the stage serves the new deployment. For example, API Gateway refuses to delete a VPC link that a deployment uses.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_api_gateway_rest_api_put.this]
}
