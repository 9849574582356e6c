"""What the answers of each behaviour depend on, compared with what its cache key and its function hold."""

from collections.abc import Mapping
from typing import Any

from tests.local.edge_world import Deployed, events_of

ALWAYS_KEPT = {"404", "414", "500", "501", "502", "503", "504"}
"""The errors that CloudFront keeps for 10 s unless the distribution says otherwise."""


def audit(deployed: Deployed, owner_says: str) -> dict[str, set[str]]:
    """Return what an answer depends on that neither the key nor the function holds, by the behaviour's path pattern.

    A behaviour that keeps nothing gives each request its own answer, so it holds everything but errors. Documents of
    owners need a second defence: they say `private`.

    :param owner_says: the ``Cache-Control`` of owners' documents.
    """
    found = {
        str(behaviour.get("PathPattern", "*")): _depends(deployed, behaviour) - _held(deployed, behaviour, owner_says)
        for behaviour in deployed.behaviours
    }
    return {pattern: names for pattern, names in found.items() if names}


def _depends(deployed: Deployed, behaviour: Mapping[str, Any]) -> set[str]:
    names = {"path", "what the origin says about caching"}
    for origin in _origins(deployed, behaviour):
        if "CustomOriginConfig" in origin:
            names |= {"headers", "cookies", "query", "errors"}  # the API reads everything that it gets
        elif "-documents-" in origin["DomainName"] and origin["OriginPath"] not in ("/public", "/nothing"):
            # A bucket's answer is the object under the path, and who may see it depends on the prefix.
            names |= {"the caller"}
        if origin["OriginPath"] == "/owner":
            names |= {"one caller at a time", "documents that say private"}
    policy = deployed.policies.origin_request.get(behaviour.get("OriginRequestPolicyId") or "")
    for part in ("headers", "cookies", "query"):
        if policy and policy[f"{_PARTS[part]}sConfig"][f"{_PARTS[part]}Behavior"] != "none":
            names.add(part)
    return names


_PARTS = {"headers": "Header", "cookies": "Cookie", "query": "QueryString"}


def _held(deployed: Deployed, behaviour: Mapping[str, Any], owner_says: str) -> set[str]:
    policy = deployed.policies.cache[behaviour["CachePolicyId"]]
    covered = {"path"}
    if policy["MinTTL"] == 0:
        covered.add("what the origin says about caching")
    if policy["MaxTTL"] == 0:
        covered |= {"headers", "cookies", "query", "one caller at a time"}
    if "private" in owner_says:
        covered.add("documents that say private")
    config = deployed.distribution["DistributionConfig"]
    forgotten = {
        str(entry["ErrorCode"])
        for entry in config.get("CustomErrorResponses", {}).get("Items", [])
        if entry["ErrorCachingMinTTL"] == 0 and not entry["ResponsePagePath"]
    }
    if forgotten >= ALWAYS_KEPT:
        covered.add("errors")
    if "viewer-request" in events_of(behaviour):
        covered.add("the caller")
    return covered


def _origins(deployed: Deployed, behaviour: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    config = deployed.distribution["DistributionConfig"]
    origins = {origin["Id"]: origin for origin in config["Origins"]["Items"]}
    groups = {group["Id"]: group for group in config.get("OriginGroups", {}).get("Items", [])}
    target = behaviour["TargetOriginId"]
    names = [member["OriginId"] for member in groups[target]["Members"]["Items"]] if target in groups else [target]
    return [origins[name] for name in names]
