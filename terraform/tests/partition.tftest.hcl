# Tests of a stack in another partition of AWS, whose services have other host names. (A stack in China can't sign users
# in. Its policies show best that no host name is written out.)
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_partition" {
    defaults = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  mock_data "aws_region" {
    defaults = { name = "cn-north-1" }
  }
}

mock_provider "aws" {
  alias           = "replica"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_partition" {
    defaults = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  mock_data "aws_region" {
    defaults = { name = "cn-northwest-1" }
  }
}

mock_provider "aws" {
  alias           = "edge"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "us-east-1"
    }
  }
}

variables {
  region         = "cn-north-1"
  replica        = { region = "cn-northwest-1" }
  hot_zip        = "tests/mocks/hot.txt"
  functions_zip  = "tests/mocks/artefact.txt"
  layer_zip      = "tests/mocks/artefact.txt"
  poll_layer_zip = "tests/mocks/artefact.txt"

  collections = { products = { read = "public" } }
  sources = { shop = {
    mode             = "changes"
    collection       = "products"
    url              = "https://shop.example.com/products?since={cursor}"
    schedule         = "rate(5 minutes)"
    staleness_budget = 900
    records          = "rows"
    id               = "id"
    translation      = "{name: name}"
    version          = { expression = "changed", format = "rfc3339" }
  } }
}

run "china" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  assert {
    condition     = length(regexall("[.]cn-[a-z]+-1[.]amazonaws[.]com[^.]", jsonencode(output.policies))) == 0
    error_message = "Keys can be used through the partition's own services, and CloudWatch Logs can encrypt."
  }

  assert {
    condition     = length(regexall("[.]cn-[a-z]+-1[.]amazonaws[.]com[.]cn", jsonencode(output.policies))) > 10
    error_message = "The policies name the services of both Regions."
  }
}
