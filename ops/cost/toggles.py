"""What each variable of a stack costs in an idle month: at its smallest setting, and in a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .idle import QUEUE_REQUESTS, SECONDS, SERVERLESS_GB, Usage, usage_of_failover, usage_of_source
from .prices import HOURS, PriceList
from .stacks import PROD_STACK, read_stacks


class Toggle(NamedTuple):
    """A variable that costs money while the stack is idle.

    setting: the variable, with its smallest setting that costs something
    kinds: the resource types of a plan that it makes. Each resource type belongs to one toggle.
    smallest: what the setting needs in a month in one Region, by the names of the prices
    """

    setting: str
    kinds: tuple[str, ...]
    smallest: Mapping[str, float]


def toggles() -> list[Toggle]:
    """Return the variables that cost money while the stack is idle."""
    return [
        Toggle("(always: queues)", ("aws_lambda_event_source_mapping",), QUEUE),
        Toggle('cache_size = "0.5"', ("aws_api_gateway_stage",), {"api_cache_0.5": HOURS}),
        Toggle("customer_managed_key = true", ("aws_kms_key",), {"kms_key": 1}),
        Toggle("alarms = true", ALARMS, _alarms()),
        Toggle("functions: snap_start of read and write", ("aws_lambda_function",), {"snapshot_gb_second": SNAPSHOTS}),
        Toggle(
            "sources: one, polled every minute; and the stack's schedules",
            ("aws_scheduler_schedule",),
            usage_of_source(1),
        ),
        Toggle("change_stream (with the first source)", ("aws_kinesis_stream",), {"kinesis_shard_hour": HOURS}),
        Toggle(
            "cache = { serverless = {} }",
            ("aws_elasticache_serverless_cache",),
            {"elasticache_serverless_gb_hour": SERVERLESS_GB * HOURS, **QUEUE},
        ),
        Toggle(
            "cache = { nodes = {} }",
            ("aws_elasticache_replication_group",),
            {"elasticache_cache.t4g.micro_hour": 2 * HOURS, **QUEUE},
        ),
        Toggle("cache = { dax = {} }", ("aws_dax_cluster",), {"dax.t3.small_hour": 3 * HOURS}),
        Toggle(
            "relational = { aurora = { min_acu = 0 } }",
            ("aws_rds_cluster",),
            {"secret": 1, **QUEUE},
        ),
        Toggle(
            "relational = { aurora = {} }: a writer and a reader, besides",
            ("aws_rds_cluster_instance",),
            {"aurora_acu_hour": 2 * 0.5 * HOURS},
        ),
        Toggle(
            "relational.aurora.proxy, with its endpoint in two zones",
            ("aws_db_proxy", "aws_db_proxy_endpoint"),
            {"rds_proxy_acu_hour": 8 * HOURS, "interface_endpoint_hour": 2 * HOURS},
        ),
        Toggle(
            "network.create.interface_endpoints: one, in two zones",
            ("aws_vpc_endpoint",),
            {"interface_endpoint_hour": 2 * HOURS},
        ),
        Toggle(
            "api_failover = {}",
            ("aws_route53_health_check",),
            usage_of_failover(),
        ),
        Toggle(
            "firewall = {} (once for all Regions), and web_acl locks",
            ("aws_wafv2_web_acl",),
            {"waf_web_acl": 1, "waf_rule": 9},
        ),
    ]


OUTSIDE: Mapping[str, Mapping[str, float]] = {
    "firewall.bot_control": {"waf_bot_control": 1, "waf_rule": 1},
    'edge.origin_lock = "web_acl"': {"waf_web_acl": 1, "waf_rule": 2},
    "a NAT gateway of yours, for poll.vpc": {"nat_gateway_hour": HOURS},
}
"""Further settings -> what they need in a month in one Region. A plan counts them with the variables above, or not."""

FREE_WHILE_IDLE = ("edge", "write_log", "identity_pool", "replica", "sign_in", "budget", "deploy")
"""Variables whose resources cost less than a cent while the stack is idle. `replica` doubles the others."""

ALARMS = ("aws_cloudwatch_composite_alarm", "aws_cloudwatch_dashboard", "aws_cloudwatch_metric_alarm")

SNAPSHOTS = 2 * 0.5 * SECONDS
"""GB-seconds of the snapshots of two functions with 512 MB."""

QUEUE: Mapping[str, float] = {"sqs_request": QUEUE_REQUESTS}
"""What an empty queue needs."""


def _alarms() -> dict[str, float]:
    """Return what the alarms and dashboards of prod.tfvars need in one of its two Regions."""
    prod = read_stacks()[PROD_STACK]
    return {price: amount / 2 for kind in ALARMS for price, amount in prod.get(kind, Usage(0, {})).quantities.items()}


class ToggleCost(NamedTuple):
    """What a toggle costs in dollars in an idle month.

    smallest: at its smallest setting in one Region
    planned: in a plan, in all its Regions
    """

    setting: str
    smallest: float
    planned: float


def toggle_costs(usage: Mapping[str, Usage], prices: PriceList) -> Iterator[ToggleCost]:
    """Yield what each variable costs in an idle month, at list price.

    :param usage: what the resource types of a plan need, as `usage_of` returns it; empty without a plan
    """
    for toggle in toggles():
        planned = sum(prices.cost(usage[kind].quantities) for kind in toggle.kinds if kind in usage)
        yield ToggleCost(toggle.setting, prices.cost(toggle.smallest), planned)
