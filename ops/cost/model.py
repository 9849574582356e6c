"""What a month of a stack costs: an idle stack and a traffic profile become amounts, and amounts become dollars."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ops.console import CommandError

from .idle import SERVERLESS_GB, Usage, has_bot_control, planned_resources, planned_values, regions_of
from .prices import HOURS, PriceList
from .profile import Profile
from .traffic import (
    FIRST_DAY,
    FIRST_TRACES,
    KB,
    MILLION,
    TRACED,
    change_stream,
    edge_requests,
    private_requests,
    requests,
    stored_items,
    sum_amounts,
)

READ, WRITE, OTHER = "reads", "writes", "other"
"""The kinds of rows of an estimate."""

METRICS_OF_CHANGES = 5
"""The custom metrics of a Region with changes: `apply` counts three kinds of changes, and the records of log objects.
`publish` counts documents. A metric that only a fault sends isn't counted."""

METRICS_OF_FEED = 4
"""The custom metrics that `feed` sends with each batch, about all private stores of a Region together."""

BODY_STEP_KB = 16
"""A web ACL sees a body in steps of so many KB. AWS bills each step beyond the first, if the body is that long.
https://docs.aws.amazon.com/waf/latest/developerguide/web-acl-setting-body-inspection-limit.html"""

FIRST_REQUESTS = "traces of the first request of each second"
"""The title of the row of the traces that X-Ray records beyond its share."""

SERVICES: Mapping[str, str] = {
    "api_": "API Gateway",
    "cloudfront_": "CloudFront",
    "edge_lambda_": "Lambda@Edge",
    "lambda_": "Lambda",
    "snapshot_": "Lambda",
    "elasticache_": "ElastiCache",
    "dax.": "DynamoDB Accelerator",
    "aurora_": "Aurora",
    "rds_proxy_": "RDS Proxy",
    "secret": "Secrets Manager",
    "interface_endpoint_": "PrivateLink",
    "nat_gateway_": "NAT gateways",
    "dynamodb_": "DynamoDB",
    "s3_": "S3",
    "firehose_": "Firehose",
    "kinesis_": "Kinesis",
    "kms_": "KMS",
    "alarm_metric": "CloudWatch",
    "composite_alarm": "CloudWatch",
    "custom_metric": "CloudWatch",
    "dashboard": "CloudWatch",
    "log_gb": "CloudWatch",
    "trace": "X-Ray",
    "schedule": "EventBridge Scheduler",
    "sqs_": "SQS",
    "health_check": "Route 53",
    "hosted_zone": "Route 53",
    "waf_": "WAF",
    "active_user": "Cognito",
    "transfer_": "data transfer",
}
"""How the name of a price begins -> the service of AWS that bills it."""


def service(price: str) -> str:
    """Return the service of AWS that bills a price."""
    return next(name for start, name in SERVICES.items() if price.startswith(start))


class Features(NamedTuple):
    """What a stack has, as far as it decides what a request costs.

    edge: clients reach the API and the documents through CloudFront
    firewall: a web ACL judges the requests to CloudFront
    firewall_rules: its rules and groups
    bot_control: one of them is AWS's group against bots
    body_steps: the steps of 16 KB of a body that it sees beyond the first
    lock: a web ACL judges the requests to the API
    fed_cache: `feed` writes changes into the item cache. DAX reads DynamoDB itself.
    serverless_cache: the item cache bills each command
    on_demand: the change stream bills GB
    retention_hours: how long it keeps a change
    """

    regions: int = 1
    edge: bool = False
    firewall: bool = False
    firewall_rules: int = 0
    bot_control: bool = False
    body_steps: int = 0
    lock: bool = False
    stage_cache: bool = False
    cache: bool = False
    fed_cache: bool = False
    serverless_cache: bool = False
    database: bool = False
    aurora: bool = False
    change_stream: bool = False
    on_demand: bool = False
    retention_hours: float = FIRST_DAY
    identity_pool: bool = False


def features_of(plan: Mapping[str, Any]) -> Features:
    """Return what the stack of a plan has.

    :param plan: a plan in Terraform's JSON format, as `terraform show -json` prints it
    :raises CommandError: if it is something else, or lacks a value that decides what a request costs
    """
    planned = planned_resources(plan)
    kinds = {resource.kind for resource in planned}
    # A store of your own has no resource but the queue of its keys.
    queues = " ".join(str(resource.values.get("name")) for resource in planned if resource.kind == "aws_sqs_queue")
    fed_cache = "-feed-cache" in queues
    features = Features(
        regions=regions_of(kinds),
        edge="aws_cloudfront_distribution" in kinds,
        cache=fed_cache or "aws_dax_cluster" in kinds,
        fed_cache=fed_cache,
        serverless_cache="aws_elasticache_serverless_cache" in kinds,
        database="-feed-database" in queues,
        aurora="aws_rds_cluster" in kinds,
        change_stream="aws_kinesis_stream" in kinds,
        identity_pool="aws_cognito_identity_pool" in kinds,
    )
    for resource in planned:
        with planned_values(resource):
            features = _with_values(features, resource.kind, resource.values)
    return features


def _with_values(features: Features, kind: str, values: Mapping[str, Any]) -> Features:
    """Return the features with those that a resource's planned values decide."""
    if kind == "aws_api_gateway_stage":
        return features._replace(stage_cache=features.stage_cache or bool(values["cache_cluster_enabled"]))
    if kind == "aws_kinesis_stream":
        (mode,) = values["stream_mode_details"]
        hours = float(values.get("retention_period") or FIRST_DAY)
        return features._replace(on_demand=mode["stream_mode"] == "ON_DEMAND", retention_hours=hours)
    if kind == "aws_wafv2_web_acl" and values["scope"] == "REGIONAL":
        return features._replace(lock=True)
    if kind == "aws_wafv2_web_acl":
        body_kb = [int(size) for size in re.findall(r"KB_(\d+)", str(values.get("association_config")))]
        return features._replace(
            firewall=True,
            firewall_rules=len(values["rule"]),
            bot_control=has_bot_control(values),
            body_steps=max(body_kb, default=BODY_STEP_KB) // BODY_STEP_KB - 1,
        )
    return features


def assumed_features(profile: Profile) -> Features:
    """Return a stack that has what a profile needs, and nothing else. It is for estimates without a plan.

    Clients of the API call it directly, even if the profile has reads at the edge.
    """
    reads = profile.reads
    cache = reads["cached_item"] > 0 or profile.cached > 0
    return Features(
        regions=profile.regions or 1,
        stage_cache=reads["stage_cache"] > 0,
        cache=cache,
        fed_cache=cache,
        serverless_cache=cache,
        database=reads["database_list"] > 0,
        aurora=reads["database_list"] > 0,
        change_stream=profile.back_office > 0,
        identity_pool=reads["s3_direct"] > 0,
    )


NEEDS: Mapping[str, tuple[str, str]] = {
    "edge_public": ("edge", "edge"),
    "edge_private": ("edge", "edge"),
    "edge_miss": ("edge", "edge"),
    "edge_private_miss": ("edge", "edge"),
    "s3_direct": ("identity_pool", "identity_pool"),
    "stage_cache": ("stage_cache", "cache_size"),
    "cached_item": ("cache", "cache"),
    "database_list": ("database", "relational"),
}
"""A path of reads -> the field of :class:`Features` and the variable that it needs."""


def check(profile: Profile, features: Features) -> None:
    """Check that a planned stack can serve a profile.

    :raises CommandError: if it lacks a path that the profile uses, or has another number of Regions
    """
    for path, (feature, variable) in NEEDS.items():
        if profile.reads[path] and not getattr(features, feature):
            raise CommandError(
                f"The profile has reads.{path}, and this plan has no `{variable}`. Set the variable, or count these "
                "reads on another path."
            )
    if profile.cached and not features.cache:
        raise CommandError(
            "The profile has items.cached, and this plan has no `cache`. Set the variable, or leave it out."
        )
    if profile.back_office and not features.change_stream:
        raise CommandError(
            "The profile has writes.back_office, and this plan has no source with a change stream. Declare the source, "
            "or leave the number out."
        )
    if profile.regions not in (None, features.regions):
        raise CommandError(
            f"The profile says stack.regions = {profile.regions}, and this plan has {features.regions}. Leave it out, "
            "or change the variable `replica`."
        )


class Row(NamedTuple):
    """One row of an estimate.

    kind: READ, WRITE or OTHER
    times: how many there are in the month
    each: what one needs, by the names of the prices
    """

    kind: str
    title: str
    times: float
    each: Mapping[str, float]


class PathCost(NamedTuple):
    """What a row of an estimate costs in the month."""

    kind: str
    title: str
    times: float
    usd: float

    @property
    def per_million(self) -> float:
        """Dollars for a million."""
        return self.usd / self.times * MILLION if self.times else 0.0


class Estimate(NamedTuple):
    """What a month costs in dollars.

    prices: by the names of the prices
    amounts: what the month needs, by the names of the prices
    rows: by what is counted; the rows add up to the total
    idle: what the stack costs in a month without traffic
    first_requests: what the traces of the first request of each second cost, by the kinds of requests
    edge: what a flat-rate plan of CloudFront is instead of: its requests and GB, and the web ACL of the firewall with
        its requests. Bot control and longer bodies aren't in it, because not every plan includes them.
    """

    prices: Mapping[str, float]
    amounts: Mapping[str, float]
    rows: tuple[PathCost, ...]
    idle: float
    first_requests: Mapping[str, float]
    edge: float

    @property
    def total(self) -> float:
        """Dollars of the month."""
        return sum(self.prices.values())

    @property
    def services(self) -> dict[str, float]:
        """Dollars by the services of AWS, the most expensive first."""
        sums: dict[str, float] = {}
        for price, usd in self.prices.items():
            name = service(price)
            sums[name] = sums.get(name, 0.0) + usd
        return dict(sorted(sums.items(), key=lambda entry: (-entry[1], entry[0])))

    def per_million(self, kind: str) -> float:
        """Return what a million reads or writes cost in dollars, as the profile mixes them."""
        kind_rows = [row for row in self.rows if row.kind == kind]
        usd = sum(row.usd for row in kind_rows) + self.first_requests.get(kind, 0.0)
        # A change has several rows, for each Region and store. Its first row counts it.
        count = sum(row.times for row in kind_rows if kind == READ or row.title in CLIENTS_AND_BACK_OFFICES)
        return usd / count * MILLION if count else 0.0


CLIENTS_AND_BACK_OFFICES = ("writes", "changes at a back office")


def estimate(
    profile: Profile, features: Features, idle: Mapping[str, Usage], prices: PriceList, *, free_tier: bool = False
) -> Estimate:
    """Return what a month costs.

    AWS counts tiers by Region, and free units by account. Here all Regions count together.

    :param features: what the stack has
    :param idle: what its resource types need in an idle month; empty if only the traffic counts
    :param free_tier: leave out the units that are free in each month
    :raises CommandError: if a price is missing
    """
    idle_amounts = sum_amounts(*(usage.quantities for usage in idle.values()))
    all_rows = [
        Row(OTHER, "the idle stack", float(bool(idle_amounts)), idle_amounts),
        *_rows(profile, features, idle.get("aws_route53_health_check", Usage(0, {})).quantities),
    ]
    rows = [row for row in all_rows if row.times]
    amounts = sum_amounts(*({name: units * row.times for name, units in row.each.items()} for row in rows))
    costs = prices.monthly(amounts, free_tier=free_tier)
    # Every unit of a price costs the same in each row: the mean over the tiers and the free units of the month.
    means = {name: costs[name] / units if units else 0.0 for name, units in amounts.items()}
    paths = tuple(
        PathCost(
            row.kind, row.title, row.times, sum(means[name] * units for name, units in row.each.items()) * row.times
        )
        for row in rows
    )
    return Estimate(
        costs,
        amounts,
        paths,
        sum(prices.monthly(idle_amounts, free_tier=free_tier).values()),
        _first_requests(rows, paths),
        _edge(features, amounts, costs, means, prices),
    )


def _first_requests(rows: Sequence[Row], costs: Sequence[PathCost]) -> dict[str, float]:
    """Share out what the traces of the first request of each second cost. Each request to the API counts the same."""
    usd = sum(cost.usd for cost in costs if cost.title == FIRST_REQUESTS)
    counts = {
        kind: sum(row.times for row in rows if row.kind == kind and "api_request" in row.each) for kind in (READ, WRITE)
    }
    return {kind: usd * count / sum(counts.values()) for kind, count in counts.items() if count}


def _edge(
    features: Features,
    amounts: Mapping[str, float],
    costs: Mapping[str, float],
    means: Mapping[str, float],
    prices: PriceList,
) -> float:
    """Return what a month costs of what a flat-rate plan of CloudFront includes."""
    usd = costs.get("cloudfront_request", 0.0) + costs.get("cloudfront_gb", 0.0)
    if features.firewall:
        usd += amounts.get("cloudfront_request", 0.0) * means.get("waf_request", 0.0)
        usd += prices.cost({"waf_web_acl": 1, "waf_rule": features.firewall_rules}) if "waf_web_acl" in amounts else 0.0
    return usd


def _rows(profile: Profile, features: Features, health_checks: Mapping[str, float]) -> Iterator[Row]:
    sizes, reads = profile.sizes, profile.reads
    at_edge, here, private = edge_requests(sizes), requests(sizes), private_requests(sizes)
    titles = {
        **dict(zip(("edge_public", "edge_private", "edge_miss", "edge_private_miss"), at_edge, strict=True)),
        **dict(zip(("stage_cache", "document", "item", "list"), here, strict=False)),
        **dict(zip(("cached_item", "database_list", "s3_direct"), private, strict=False)),
    }
    everything = at_edge | here | private
    api_requests = profile.clients
    for name, title in titles.items():
        each = _billed(everything[title], features, profile)
        api_requests += reads[name] if "api_request" in each else 0
        yield Row(READ, title, reads[name], each)
    changes = {
        "writes": profile.clients,
        "changes at a back office": profile.back_office,
        "changes, in a second Region": profile.writes * (features.regions - 1),
        "changes in the item cache": profile.writes * features.regions * features.fed_cache,
        "changes in the database": profile.writes * features.regions * features.database,
    }
    for title, times in changes.items():
        body_kb = sizes.item_kb if title == "writes" else 0.0
        yield Row(WRITE, title, times, _billed(everything[title], features, profile, body_kb))
    # Health checks use up the first requests of most seconds, and the idle stack counts their traces.
    first = min(api_requests, max(FIRST_TRACES * features.regions - health_checks.get("trace", 0), 0))
    yield Row(OTHER, FIRST_REQUESTS, first, {"trace": 1 - TRACED})
    yield Row(OTHER, "stored items, in each Region", profile.stored * features.regions, _stored(profile, features))
    if features.serverless_cache:
        cached_gb = profile.cached * sizes.item_kb * KB
        more = max(cached_gb - SERVERLESS_GB, 0) * HOURS * features.regions
        yield Row(OTHER, "GB-hours of items in the item cache", more, {"elasticache_serverless_gb_hour": 1})
    yield Row(OTHER, "active users", profile.active_users, {"active_user": 1})
    metrics = 1 + profile.collections if profile.clients else 0.0
    if profile.writes:
        metrics += METRICS_OF_CHANGES + METRICS_OF_FEED * (features.fed_cache or features.database)
    yield Row(OTHER, "custom metrics of changes", metrics * features.regions, {"custom_metric": 1})


def _billed(each: Mapping[str, float], features: Features, profile: Profile, body_kb: float = 0.0) -> dict[str, float]:
    """Return what a request needs of what the stack has: CloudFront, web ACLs, and stores that bill by use.

    :param body_kb: the size of the request's body
    """
    result = {
        name: units
        for name, units in each.items()
        if (features.serverless_cache or name != "elasticache_ecpu")
        and (features.aurora or not name.startswith("aurora_"))
    }
    if features.edge and "api_request" in each:
        # The API sends to CloudFront for nothing.
        result |= {"cloudfront_request": 1.0, "cloudfront_gb": result.pop("transfer_out_gb")}
    if "kinesis_put" in result:
        del result["kinesis_put"]
        result |= change_stream(profile.sizes, on_demand=features.on_demand, retention_hours=features.retention_hours)
    at_firewall = features.firewall and "cloudfront_request" in result
    body_steps = min(max(math.ceil(body_kb / BODY_STEP_KB) - 1, 0), features.body_steps)
    fees = {
        "waf_request": at_firewall + features.lock * ("api_request" in result),
        "waf_bot_request": at_firewall and features.bot_control,
        "waf_body_step": at_firewall * body_steps,
    }
    return result | {name: float(count) for name, count in fees.items() if count}


def _stored(profile: Profile, features: Features) -> dict[str, float]:
    each = stored_items(profile.sizes)
    return each | ({"aurora_gb_month": profile.sizes.item_kb * KB} if features.aurora else {})
