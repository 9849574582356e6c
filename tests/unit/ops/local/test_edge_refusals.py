"""Test that the emulator refuses the distributions that CloudFront refuses, each with a text that says what to do."""

from typing import Any

import pytest

from ops.local.edge_deployed import Function, function_arns
from ops.local.edge_refusals import refusals
from tests.unit.ops.local.edge_support import (
    ALL,
    AUTH,
    behaviour,
    bucket,
    changed,
    custom,
    functions,
    group,
    items,
)

GOOD: dict[str, Any] = {
    "CodeSize": 60_000,
    "Timeout": 5,
    "MemorySize": 128,
    "Runtime": "python3.13",
    "Architectures": ["x86_64"],
    "PackageType": "Zip",
    "TracingConfig": {"Mode": "PassThrough"},
    "EphemeralStorage": {"Size": 512},
    "SnapStart": {"ApplyOn": "None"},
}
TRUSTED = frozenset({"lambda.amazonaws.com", "edgelambda.amazonaws.com"})


def problems(config: dict[str, Any], function: Function | None = None) -> str:
    """Return the refusals of a DistributionConfig as one text. It is empty if CloudFront accepts it."""
    found = function or Function(GOOD, reserved=False, trusted=TRUSTED)
    return " ".join(refusals(config["DistributionConfig"], {AUTH: found}.get))


def with_function(arn: str = AUTH, event: str = "viewer_request", **more: Any) -> dict[str, Any]:
    """Return a distribution whose default behaviour has a function."""
    return changed(DefaultCacheBehavior=behaviour(None, "site", **functions(**{event: arn}), **more))


def test_a_valid_distribution_is_accepted() -> None:
    assert problems(changed()) == ""
    assert problems(with_function()) == ""
    assert function_arns(with_function()["DistributionConfig"]) == {AUTH}


@pytest.mark.parametrize(
    ("arn", "reason"),
    [
        (AUTH.removesuffix(":7"), "isn't a numbered version. Associate the ARN with `:`"),
        (AUTH.removesuffix("7") + "$LATEST", "isn't a numbered version"),
        (AUTH.removesuffix("7") + "live", "isn't a numbered version"),
        (AUTH.replace("us-east-1", "eu-central-1"), "is in eu-central-1. Create it in us-east-1"),
        (AUTH.replace(":auth:", ":other:"), "doesn't exist"),
    ],
)
def test_a_function_must_be_a_numbered_version_in_us_east_1(arn: str, reason: str) -> None:
    assert reason in problems(with_function(arn))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"CodeSize": 1_048_577}, "a zip of 1048577 bytes. At most 1048576"),
        ({"Timeout": 6}, "a time-out of 6 seconds. Set at most 5"),
        ({"MemorySize": 256}, "256 MB of memory. Set at most 128"),
        ({"Environment": {"Variables": {"A": "1"}}}, "environment variables"),
        ({"Layers": [{"Arn": "x"}]}, "layers"),
        ({"VpcConfig": {"SubnetIds": ["x"]}}, "a VPC"),
        ({"DeadLetterConfig": {"TargetArn": "x"}}, "a dead-letter queue"),
        ({"TracingConfig": {"Mode": "Active"}}, "active tracing"),
        ({"EphemeralStorage": {"Size": 1024}}, "more than 512 MB"),
        ({"PackageType": "Image"}, "a container image"),
        ({"Architectures": ["arm64"]}, "the architecture arm64"),
        ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, "SnapStart"),
        ({"KMSKeyArn": "x"}, "a KMS key"),
        ({"FileSystemConfigs": [{}]}, "a file system"),
        ({"Runtime": "java21"}, "the runtime java21"),
    ],
)
def test_a_function_must_not_have_what_the_edge_does_not_support(settings: dict[str, Any], reason: str) -> None:
    found = problems(with_function(), Function(GOOD | settings, reserved=False, trusted=TRUSTED))
    assert reason in found and "(*, viewer-request)" in found


def test_a_function_of_origin_events_has_wider_limits() -> None:
    large = Function(GOOD | {"CodeSize": 2_000_000, "Timeout": 30, "MemorySize": 1024}, reserved=False, trusted=TRUSTED)
    assert problems(with_function(event="origin_response"), large) == ""
    assert "time-out" in problems(with_function(), large)
    slow = Function(GOOD | {"Timeout": 31}, reserved=False, trusted=TRUSTED)
    assert "Set at most 30" in problems(with_function(event="origin_response"), slow)


def test_a_function_needs_both_trusts_and_no_reserved_concurrency() -> None:
    one_trust = Function(GOOD, reserved=False, trusted=frozenset({"lambda.amazonaws.com"}))
    assert "edgelambda.amazonaws.com can't assume" in problems(with_function(), one_trust)
    assert "reserved concurrency" in problems(with_function(), Function(GOOD, reserved=True, trusted=TRUSTED))


def test_a_viewer_event_has_one_function_of_one_kind() -> None:
    script = items({"EventType": "viewer-request", "FunctionARN": "arn:aws:cloudfront::1:function/x"})
    assert "a CloudFront Function beside" in problems(with_function(FunctionAssociations=script))
    assert problems(with_function(event="origin_request", FunctionAssociations=script)) == ""
    two = items(*[{"EventType": "viewer-request", "LambdaFunctionARN": AUTH}] * 2)
    default = behaviour(None, "site", LambdaFunctionAssociations=two)
    assert "two functions for one event" in problems(changed(DefaultCacheBehavior=default))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"CacheBehaviors": items(*[behaviour("/x", "site")] * 76)}, "has 76 cache behaviours. At most 75"),
        ({"CacheBehaviors": items(behaviour("/x", "nowhere"))}, "names the origin nowhere"),
        (
            {"CacheBehaviors": items(behaviour("/x", "pair", AllowedMethods=items(*ALL)))},
            "allows DELETE, PATCH, POST, PUT, but its origin is the group pair",
        ),
        ({"OriginGroups": items(group("pair", "docs", "nowhere"))}, "the members docs, nowhere"),
        ({"OriginGroups": items(group("pair", "docs", "docs2", 401))}, "fails over on [401]"),
        ({"Origins": items(*[bucket(n, ConnectionAttempts=4) for n in ("site", "docs", "docs2", "api")])}, "1 to 3"),
        ({"Origins": items(*[bucket(n, ConnectionTimeout=11) for n in ("site", "docs", "docs2", "api")])}, "1 to 10"),
        ({"Origins": items(*[bucket(n, "/x/") for n in ("site", "docs", "docs2", "api")])}, "not end with one"),
        ({"Origins": items(*[bucket(n, "x") for n in ("site", "docs", "docs2", "api")])}, "begin with a slash"),
    ],
)
def test_a_distribution_must_be_one_that_cloudfront_accepts(members: dict[str, Any], reason: str) -> None:
    assert reason in problems(changed(**members))


@pytest.mark.parametrize(
    ("name", "allowed"), [("Referer", True), ("X-Edge-A", False), ("Via", False), ("Cookie", False)]
)
def test_some_headers_cannot_be_custom_headers_of_an_origin(name: str, allowed: bool) -> None:
    header = items({"HeaderName": name, "HeaderValue": "x"})
    origins = items(custom("api", CustomHeaders=header), bucket("site"), bucket("docs"), bucket("docs2"))
    assert (problems(changed(Origins=origins)) == "") == allowed
