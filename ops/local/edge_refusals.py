"""What CloudFront refuses when it creates or updates a distribution, and MiniStack doesn't.

Each refusal is a sentence that says what to change. The comments name the pages of AWS's CloudFront Developer Guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ops.local.edge_deployed import Function, behaviours

VIEWER_ZIP_BYTES = 1_048_576
ORIGIN_ZIP_BYTES = 52_428_800

_NUMBERED_ARN = re.compile(r"arn:aws[a-z-]*:lambda:([a-z0-9-]+):([0-9]{12}):function:[A-Za-z0-9_-]+:[0-9]+")
_RESERVED_HEADERS = re.compile(
    r"cache-control|connection|content-length|cookie|host|if-(match|modified-since|none-match|range|unmodified-since)"
    r"|max-forwards|pragma|proxy-(authenticate|authorization|connection)|range|request-range|te|trailer"
    r"|transfer-encoding|upgrade|via|x-amz-.*|x-edge-.*|x-real-ip"
)
"""The headers that can't be origin custom headers."""
# See add-origin-custom-headers.html


def refusals(config: Mapping[str, Any], find: Callable[[str], Function | None]) -> list[str]:
    """Return a sentence for each reason why CloudFront would refuse a distribution.

    :param config: the distribution's DistributionConfig, as boto3 returns it
    :param find: returns what Lambda says about a function with an ARN, or None if there is no such function
    """
    return [
        *_limits(config),
        *_targets(config),
        *_origins(config),
        *(problem for behaviour in behaviours(config) for problem in _associations(behaviour, find)),
    ]


def _limits(config: Mapping[str, Any]) -> Iterator[str]:
    # cloudfront-limits.html: 75 cache behaviours for a distribution.
    count = config.get("CacheBehaviors", {}).get("Quantity", 0)
    if count > 75:
        yield f"The distribution has {count} cache behaviours. At most 75 are allowed: declare fewer collections."


def _targets(config: Mapping[str, Any]) -> Iterator[str]:
    origins = {origin["Id"] for origin in config["Origins"]["Items"]}
    groups = {group["Id"]: group for group in config.get("OriginGroups", {}).get("Items", [])}
    for behaviour in behaviours(config):
        path, target = behaviour["PathPattern"], behaviour["TargetOriginId"]
        if target not in origins | set(groups):
            yield f"The behaviour {path} names the origin {target}, which isn't declared."
        # high_availability_origin_failover.html and API_CreateDistribution: an origin group serves only these methods.
        more = set(behaviour.get("AllowedMethods", {}).get("Items", [])) - {"GET", "HEAD", "OPTIONS"}
        if target in groups and more:
            yield (
                f"The behaviour {path} allows {', '.join(sorted(more))}, but its origin is the group {target}. "
                "Allow only GET, HEAD and OPTIONS there."
            )
    for name, group in groups.items():
        members = [member["OriginId"] for member in group["Members"]["Items"]]
        if len(members) != 2 or not set(members) <= origins:
            yield f"The origin group {name} has the members {', '.join(members)}. Give it two declared origins."
        allowed = {400, 403, 404, 416, 429, 500, 502, 503, 504}
        if other := set(group["FailoverCriteria"]["StatusCodes"]["Items"]) - allowed:
            yield f"The origin group {name} fails over on {sorted(other)}. Allowed are {sorted(allowed)}."


def _origins(config: Mapping[str, Any]) -> Iterator[str]:
    for origin in config["Origins"]["Items"]:
        # cloudfront-limits.html: 1 to 3 attempts of 1 to 10 seconds.
        if not (1 <= origin.get("ConnectionAttempts", 3) <= 3 and 1 <= origin.get("ConnectionTimeout", 10) <= 10):
            yield f"The origin {origin['Id']} needs 1 to 3 connection attempts and a time-out of 1 to 10 seconds."
        path = origin.get("OriginPath", "")
        # DownloadDistValuesOrigin.html: the path begins with a slash and doesn't end with one.
        if path and (not path.startswith("/") or path.endswith("/")):
            yield f"The path {path} of the origin {origin['Id']} must begin with a slash and not end with one."
        for header in origin.get("CustomHeaders", {}).get("Items", []):
            if _RESERVED_HEADERS.fullmatch(header["HeaderName"].lower()):
                yield f"The origin {origin['Id']} can't send the custom header {header['HeaderName']}. Choose another."


def _associations(behaviour: Mapping[str, Any], find: Callable[[str], Function | None]) -> Iterator[str]:
    path = behaviour["PathPattern"]
    entries = behaviour.get("LambdaFunctionAssociations", {}).get("Items", [])
    kinds = [entry["EventType"] for entry in entries]
    # See edge-function-restrictions-all.html#function-restrictions-combining-functions
    if len(set(kinds)) < len(kinds):
        yield f"The behaviour {path} has two functions for one event. Associate only one with each event."
    if behaviour.get("FunctionAssociations", {}).get("Items") and any(kind.startswith("viewer") for kind in kinds):
        yield f"The behaviour {path} has a CloudFront Function beside a Lambda@Edge function for viewers. Remove one."
    for entry in entries:
        arn, kind = entry["LambdaFunctionARN"], entry["EventType"]
        where = f"The function {arn} ({path}, {kind})"
        match = _NUMBERED_ARN.fullmatch(arn)
        # See lambda-at-edge-function-restrictions.html#lambda-at-edge-restrictions-version, and -region below
        if match is None:
            yield f"{where} isn't a numbered version. Associate the ARN with `:` and the version's number at its end."
        elif match[1] != "us-east-1":
            yield f"{where} is in {match[1]}. Create it in us-east-1, by the provider aws.edge."
        elif (function := find(arn)) is None:
            yield f"{where} doesn't exist."
        else:
            for problem in _unsupported(function, kind):
                yield f"{where} {problem}"


def _unsupported(function: Function, kind: str) -> Iterator[str]:
    """Return the end of a sentence for each setting of a function that Lambda@Edge doesn't support."""
    settings, viewer = function.configuration, kind.startswith("viewer")
    # See cloudfront-limits.html#limits-lambda-at-edge
    seconds, megabytes, most = (5, 128, VIEWER_ZIP_BYTES) if viewer else (30, 10_240, ORIGIN_ZIP_BYTES)
    if settings["CodeSize"] > most:
        yield f"has a zip of {settings['CodeSize']} bytes. At most {most} are allowed: leave modules out."
    if settings.get("Timeout", 3) > seconds:
        yield f"has a time-out of {settings['Timeout']} seconds. Set at most {seconds}."
    if settings.get("MemorySize", 128) > megabytes:
        yield f"has {settings['MemorySize']} MB of memory. Set at most {megabytes}."
    # See lambda-at-edge-function-restrictions.html#lambda-at-edge-restrictions-features
    unsupported = {
        "environment variables": settings.get("Environment", {}).get("Variables"),
        "layers": settings.get("Layers"),
        "a VPC": settings.get("VpcConfig", {}).get("SubnetIds"),
        "a dead-letter queue": settings.get("DeadLetterConfig", {}).get("TargetArn"),
        "active tracing": settings.get("TracingConfig", {}).get("Mode") == "Active",
        "more than 512 MB of ephemeral storage": settings.get("EphemeralStorage", {}).get("Size", 512) > 512,
        "a container image": settings.get("PackageType", "Zip") != "Zip",
        "the architecture arm64": "arm64" in settings.get("Architectures", []),
        "SnapStart": settings.get("SnapStart", {}).get("ApplyOn", "None") != "None",
        "a KMS key": settings.get("KMSKeyArn"),
        "a file system": settings.get("FileSystemConfigs"),
        "reserved concurrency": function.reserved,
    }
    for feature, present in unsupported.items():
        if present:
            yield f"has {feature}, which Lambda@Edge doesn't support. Remove that."
    # See lambda-at-edge-function-restrictions.html#lambda-at-edge-restrictions-runtime
    if not re.fullmatch(r"(python3|nodejs)[.0-9]+x?", settings.get("Runtime", "")):
        yield f"has the runtime {settings.get('Runtime')}. Lambda@Edge runs Python and Node.js."
    # See lambda-at-edge-function-restrictions.html#lambda-at-edge-restrictions-role-permissions
    if missing := {"lambda.amazonaws.com", "edgelambda.amazonaws.com"} - function.trusted:
        yield f"has a role that {' and '.join(sorted(missing))} can't assume. Add that to the role's trust policy."
