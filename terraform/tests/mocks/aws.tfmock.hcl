# Mocked AWS resources for the tests. Their ARNs and ids have AWS's format, because the AWS provider checks the format,
# and the tested policies contain the ARNs.

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "111122223333"
    arn        = "arn:aws:iam::111122223333:root"
  }
}

mock_data "aws_region" {
  defaults = {
    name = "eu-central-1"
  }
}

mock_resource "aws_kms_key" {
  defaults = {
    id  = "11111111-2222-3333-4444-555555555555"
    arn = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    id  = "a-role"
    arn = "arn:aws:iam::111122223333:role/a-role"
  }
}

mock_resource "aws_cognito_user_pool" {
  defaults = {
    id  = "eu-central-1_AbCdEfGhI"
    arn = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_AbCdEfGhI"
  }
}

mock_resource "aws_cognito_user_pool_client" {
  defaults = {
    id = "1h57kf5cpq17m0eml12EXAMPLE"
  }
}

mock_resource "aws_cognito_identity_pool" {
  defaults = {
    id = "eu-central-1:11111111-2222-3333-4444-555555555555"
  }
}

mock_resource "aws_cognito_resource_server" {
  defaults = {
    scope_identifiers = ["readplane/read", "readplane/write"]
  }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn        = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items"
    stream_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/readplane-items/stream/2026-01-01T00:00:00.000"
  }
}

mock_resource "aws_dynamodb_table_replica" {
  defaults = {
    arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/readplane-items"
  }
}

mock_resource "aws_s3_bucket" {
  defaults = {
    id  = "a-bucket"
    arn = "arn:aws:s3:::a-bucket"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    id  = "https://sqs.eu-central-1.amazonaws.com/111122223333/a-queue"
    url = "https://sqs.eu-central-1.amazonaws.com/111122223333/a-queue"
    arn = "arn:aws:sqs:eu-central-1:111122223333:a-queue"
  }
}

mock_resource "aws_kinesis_firehose_delivery_stream" {
  defaults = {
    arn = "arn:aws:firehose:eu-central-1:111122223333:deliverystream/readplane-write-log"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:eu-central-1:111122223333:log-group:a-group"
  }
}

mock_resource "aws_lambda_layer_version" {
  defaults = {
    arn = "arn:aws:lambda:eu-central-1:111122223333:layer:readplane-libraries:1"
  }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn     = "arn:aws:lambda:eu-central-1:111122223333:function:a-function"
    version = "1"
  }
}

mock_resource "aws_lambda_alias" {
  defaults = {
    arn = "arn:aws:lambda:eu-central-1:111122223333:function:a-function:live"

    # Shortened. On AWS, it contains the whole ARN of the alias.
    invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/a-function:live/invocations"
  }
}

mock_resource "aws_api_gateway_rest_api" {
  defaults = {
    id            = "a1b2c3d4e5"
    execution_arn = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5"
  }
}

mock_resource "aws_api_gateway_deployment" {
  defaults = {
    id = "dep001"
  }
}

mock_resource "aws_api_gateway_stage" {
  defaults = {
    invoke_url = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1"
    arn        = "arn:aws:apigateway:eu-central-1::/restapis/a1b2c3d4e5/stages/v1"
  }
}

mock_data "aws_partition" {
  defaults = {
    partition  = "aws"
    dns_suffix = "amazonaws.com"
  }
}

mock_resource "aws_api_gateway_api_key" {
  defaults = {
    id    = "key001"
    value = "a-key-that-aws-has-generated-0123"
  }
}

mock_resource "aws_api_gateway_usage_plan" {
  defaults = {
    id = "plan01"
  }
}

mock_resource "aws_api_gateway_vpc_link" {
  defaults = {
    id = "link01"
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws:sns:eu-central-1:111122223333:readplane-alarms"
  }
}

mock_resource "aws_kinesis_stream" {
  defaults = {
    arn = "arn:aws:kinesis:eu-central-1:111122223333:stream/readplane-changes"
  }
}

# The response of `poll` to {"validate": …} if it finds no problem in the sources.
mock_resource "aws_lambda_invocation" {
  defaults = {
    result = "{\"problems\":[]}"
  }
}

mock_resource "aws_api_gateway_domain_name" {
  defaults = {
    regional_domain_name = "d-a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
    regional_zone_id     = "Z1U9ULNL0V5AJ3"
  }
}

mock_resource "aws_route53_health_check" {
  defaults = {
    id = "33333333-4444-5555-6666-777777777777"
  }
}

mock_data "aws_servicequotas_service_quota" {
  defaults = {
    value = 1000
  }
}

mock_resource "aws_s3_object" {
  defaults = {
    version_id = "v1"
  }
}

mock_resource "aws_cloudfront_distribution" {
  defaults = {
    id             = "E1EXAMPLE"
    arn            = "arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE"
    domain_name    = "d111111abcdef8.cloudfront.net"
    hosted_zone_id = "Z2FDTNDATAQYW2"
  }
}

mock_resource "aws_cloudfront_cache_policy" {
  defaults = {
    id = "11111111-aaaa-bbbb-cccc-000000000001"
  }
}

mock_resource "aws_cloudfront_response_headers_policy" {
  defaults = {
    id = "22222222-aaaa-bbbb-cccc-000000000002"
  }
}

mock_resource "aws_cloudfront_origin_access_control" {
  defaults = {
    id = "E2EXAMPLE"
  }
}

mock_resource "aws_acm_certificate" {
  defaults = {
    arn = "arn:aws:acm:us-east-1:111122223333:certificate/11111111-2222-3333-4444-555555555555"
    domain_validation_options = [{
      domain_name           = "www.example.com"
      resource_record_name  = "_1.www.example.com."
      resource_record_type  = "CNAME"
      resource_record_value = "_2.acm-validations.aws."
    }]
  }
}

mock_resource "aws_acm_certificate_validation" {
  defaults = {
    certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/11111111-2222-3333-4444-555555555555"
  }
}

mock_resource "aws_cloudwatch_log_delivery_destination" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:111122223333:delivery-destination:readplane-edge"
  }
}

mock_resource "aws_wafv2_web_acl" {
  defaults = {
    arn = "arn:aws:wafv2:us-east-1:111122223333:global/webacl/readplane-edge/11111111-2222-3333-4444-555555555555"
  }
}

mock_resource "aws_wafv2_ip_set" {
  defaults = {
    arn = "arn:aws:wafv2:us-east-1:111122223333:global/ipset/readplane/11111111-2222-3333-4444-555555555555"
  }
}

mock_resource "aws_rds_cluster" {
  defaults = {
    arn                 = "arn:aws:rds:eu-central-1:111122223333:cluster:readplane-database"
    cluster_resource_id = "cluster-ABCDEFGHIJKL01234"
    endpoint            = "readplane-database.cluster-a1b2c3.eu-central-1.rds.amazonaws.com"
    reader_endpoint     = "readplane-database.cluster-ro-a1b2c3.eu-central-1.rds.amazonaws.com"
    master_user_secret = [{
      kms_key_id    = "arn:aws:kms:eu-central-1:111122223333:key/k"
      secret_arn    = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds-cluster-AbCdEf"
      secret_status = "active"
    }]
  }
}

mock_resource "aws_db_proxy" {
  defaults = {
    arn = "arn:aws:rds:eu-central-1:111122223333:db-proxy:prx-0123456789abcdef0"
  }
}

mock_resource "aws_db_proxy_endpoint" {
  defaults = {
    endpoint = "readplane-database-readers.endpoint.proxy-a1b2c3.eu-central-1.rds.amazonaws.com"
  }
}
