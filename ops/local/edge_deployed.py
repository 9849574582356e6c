"""Read a deployed distribution, with everything that it refers to, by boto3: from an emulator or from AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from ops.console import CommandError
from ops.local.edge import Policies


class Function(NamedTuple):
    """What Lambda and IAM say about the version of a function that a distribution refers to.

    configuration: GetFunction's `Configuration`, which the unqualified function has as well
    reserved: whether the function has reserved concurrency
    trusted: the service principals that may assume the function's role
    """

    configuration: Mapping[str, Any]
    reserved: bool
    trusted: frozenset[str]


def behaviours(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return all behaviours of a distribution. The default behaviour is the last, with the path pattern `*`."""
    return [*config.get("CacheBehaviors", {}).get("Items", []), {"PathPattern": "*", **config["DefaultCacheBehavior"]}]


def read_distribution(cloudfront: Any, distribution_id: str) -> tuple[Mapping[str, Any], Policies]:
    """Return a distribution and the policies that it refers to.

    :param cloudfront: a boto3 client for CloudFront
    :raises CommandError: if a behaviour has no cache policy, which the stand-in needs
    :raises ClientError: if CloudFront refuses a call
    """
    distribution = cloudfront.get_distribution(Id=distribution_id)["Distribution"]
    entries = behaviours(distribution["DistributionConfig"])
    for entry in entries:
        if "CachePolicyId" not in entry:
            raise CommandError(
                f"The behaviour {entry['PathPattern']} has no cache policy. The stand-in for CloudFront needs one: "
                "give the behaviour a cache_policy_id instead of forwarded_values."
            )
    caches = {entry["CachePolicyId"] for entry in entries}
    requests = {entry["OriginRequestPolicyId"] for entry in entries if entry.get("OriginRequestPolicyId")}
    responses = {entry["ResponseHeadersPolicyId"] for entry in entries if entry.get("ResponseHeadersPolicyId")}
    policies = Policies(
        {name: cloudfront.get_cache_policy(Id=name)["CachePolicy"]["CachePolicyConfig"] for name in caches},
        {
            name: cloudfront.get_origin_request_policy(Id=name)["OriginRequestPolicy"]["OriginRequestPolicyConfig"]
            for name in requests
        },
        {
            name: cloudfront.get_response_headers_policy(Id=name)["ResponseHeadersPolicy"][
                "ResponseHeadersPolicyConfig"
            ]
            for name in responses
        },
    )
    return distribution, policies


def function_arns(config: Mapping[str, Any]) -> set[str]:
    """Return the ARN of every Lambda@Edge function that a distribution associates with an event."""
    return {
        entry["LambdaFunctionARN"]
        for behaviour in behaviours(config)
        for entry in behaviour.get("LambdaFunctionAssociations", {}).get("Items", [])
    }


def read_function(functions: Any, iam: Any, arn: str) -> Function | None:
    """Return what Lambda and IAM say about a function. Return None if the function doesn't exist.

    :param functions: a boto3 client for Lambda in the Region of the ARN
    :param iam: a boto3 client for IAM
    """
    try:
        answer = functions.get_function(FunctionName=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    role = iam.get_role(RoleName=answer["Configuration"]["Role"].rpartition("/")[2])["Role"]
    services: set[str] = set()
    for statement in role["AssumeRolePolicyDocument"]["Statement"]:
        principals = statement.get("Principal", {}).get("Service", [])
        services |= {principals} if isinstance(principals, str) else set(principals)
    reserved = "ReservedConcurrentExecutions" in answer.get("Concurrency", {})
    return Function(answer["Configuration"], reserved, frozenset(services))
