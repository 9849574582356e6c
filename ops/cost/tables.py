"""The tables of README.md and docs/costs.md, and the chart docs/costs.svg."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from ops.console import ROOT
from ops.markdown import table, with_parts

from .chart import chart, reads_text
from .idle import Usage, usage_of_source
from .model import Estimate, Features, estimate
from .paths import DECADES, PATHS, break_evens
from .prices import HOURS, price_list
from .profile import EXAMPLE_FILE, read_profile
from .stacks import EXAMPLE_STACK
from .toggles import FREE_WHILE_IDLE, OUTSIDE, toggle_costs
from .traffic import COLUMNS, EDGE_REQUESTS, MILLION, PRIVATE_REQUESTS, REQUESTS, Sizes, group, stored_items

README = ROOT / "README.md"
COSTS = ROOT / "docs/costs.md"
CHART = ROOT / "docs/costs.svg"
COMMAND = "python -m ops.cost --docs"
"""The command that writes the tables."""

NAMES: Mapping[str, str] = {
    "aws_api_gateway_stage": "API caches",
    "aws_cloudwatch_composite_alarm": "composite alarms",
    "aws_cloudwatch_dashboard": "dashboards",
    "aws_cloudwatch_metric_alarm": "alarms",
    "aws_kinesis_stream": "change stream",
    "aws_kms_key": "keys",
    "aws_lambda_event_source_mapping": "Lambda's requests to empty queues",
    "aws_lambda_function": "SnapStart's snapshots",
    "aws_dax_cluster": "nodes of the cache",
    "aws_db_proxy": "proxies of the database",
    "aws_db_proxy_endpoint": "endpoints of the proxies",
    "aws_elasticache_replication_group": "nodes of the cache",
    "aws_elasticache_serverless_cache": "the cache, with little in it",
    "aws_rds_cluster": "secrets of the database",
    "aws_rds_cluster_instance": "instances of the database",
    "aws_route53_health_check": "health checks of the API",
    "aws_scheduler_schedule": "schedules: polls with their metrics, heartbeats and probes",
    "aws_vpc_endpoint": "interface endpoints",
    "aws_wafv2_web_acl": "web ACLs of the firewall and the lock",
}
"""Resource type -> what it is in the first table."""

UNITS: Mapping[str, tuple[str, float]] = {
    "1,000 users who are active in a month (tier ESSENTIALS; the first 10,000 are free)": ("active_user", 1000),
    "a custom metric in a month, for the hours in which it gets values (10 are free)": ("custom_metric", 1),
    "a method that is called, with `method_metrics = true` (seven metrics)": ("custom_metric", 7),
    "a GB of logs (5 GB are free)": ("log_gb", 1),
    "a million traces (100,000 are free)": ("trace", MILLION),
    "a million requests to KMS (20,000 are free)": ("kms_request", MILLION),
    "a Route 53 zone of your domain in a month, without queries": ("hosted_zone", 1),
    "a shard of the second change stream, with `poll.in_replica`, in a month": ("kinesis_shard_hour", HOURS),
    "a health check of `api_failover` in a month (six; an account's first 50 are free)": ("health_check", 1),
    "an option of a health check of `api_failover` in a month (four)": ("health_check_option", 1),
    "the web ACL of `firewall` in a month": ("waf_web_acl", 1),
    "a rule or a group of `firewall` in a month (nine by default)": ("waf_rule", 1),
    "the group `bot_control` of `firewall` in a month": ("waf_bot_control", 1),
    "a million requests that `firewall` judges": ("waf_request", MILLION),
    "a million requests that `bot_control` judges (10 million are free)": ("waf_bot_request", MILLION),
    "a million writes with more than 16 KB, for each further 16 KB up to `body_kb`": ("waf_body_step", MILLION),
    "a GB into a change stream on demand": ("kinesis_on_demand_in_gb", 1),
    "a GB from it; `apply-stream` and the archive both read it": ("kinesis_on_demand_out_gb", 1),
}
"""What is counted -> its price, and how much of it."""


def dollars(amount: float) -> str:
    """Return an amount as text: whole dollars from 100 on, cents below."""
    if amount >= 100:
        return f"{amount:,.0f} $"
    return f"{amount:.2f} $" if amount >= 0.005 else "0"


def idle_table(stacks: Mapping[str, Mapping[str, Usage]]) -> str:
    """Return the table of what stacks cost in an idle month."""
    cost = price_list().cost
    kinds = sorted({kind for stack in stacks.values() for kind, usage in stack.items() if usage.quantities})

    def cell(stack: Mapping[str, Usage], kind: str) -> str:
        usage = stack.get(kind, Usage(0, {}))
        return dollars(cost(usage.quantities))

    totals = [sum(cost(usage.quantities) for usage in stack.values()) for stack in stacks.values()]
    return table(
        ["a month, idle", *stacks],
        [
            *([NAMES[kind], *(cell(stack, kind) for stack in stacks.values())] for kind in kinds),
            ["**together**", *(f"**{dollars(total)}**" for total in totals)],
        ],
    )


def traffic_table() -> str:
    """Return the table of what a million requests or changes cost."""
    cost = price_list().cost

    def line(title: str, quantities: Mapping[str, float]) -> list[str]:
        columns = dict.fromkeys(COLUMNS, 0.0)
        for price, amount in quantities.items():
            columns[group(price)] += cost({price: amount * MILLION})
        together = f"**{dollars(sum(columns.values()))}**"
        return [title, *(dollars(value) if value >= 0.005 else "" for value in columns.values()), together]

    return table(
        ["a million", *COLUMNS, "together"],
        (line(*request) for request in [*REQUESTS.items(), *EDGE_REQUESTS.items()]),
    )


def unit_table() -> str:
    """Return the table of what users, metrics, logs, traces, keys and stored items cost."""
    cost = price_list().cost
    return table(
        ["each", "costs"],
        [
            [
                "a source in a month, polled every minute, in two Regions, without its alarms",
                dollars(cost(usage_of_source(2))),
            ],
            *([title, dollars(cost({price: amount}))] for title, (price, amount) in UNITS.items()),
            ["a million stored items of 1 KB in a month, per Region", dollars(cost(stored_items(Sizes())) * MILLION)],
        ],
    )


def example_estimates(stack: Mapping[str, Usage]) -> tuple[Estimate, Estimate]:
    """Return the worked example at list price, and with the free tier.

    :param stack: the idle stack of the example
    """
    profile = read_profile(EXAMPLE_FILE)
    features = Features(regions=2, stage_cache=True, change_stream=True)
    prices = price_list()
    listed = estimate(profile, features, stack, prices)
    return listed, estimate(profile, features, stack, prices, free_tier=True)


def count_text(count: float) -> str:
    """Return how many there are, such as `20 million`; the number itself below 100,000."""
    return f"{count / MILLION:,.6g} million" if count >= 100_000 else f"{count:,.6g}"


def example_table(stack: Mapping[str, Usage]) -> str:
    """Return the worked example."""
    listed, free = example_estimates(stack)
    lines = [
        [row.title if row.times == 1 else f"{count_text(row.times)} {row.title}", dollars(row.usd), dollars(less.usd)]
        for row, less in zip(listed.rows, free.rows, strict=True)
    ]
    return table(
        ["a month of a shop: `prod.tfvars` with a source", "costs", "with the free tier"],
        [
            *lines,
            ["**together**", f"**{dollars(listed.total)}**", f"**{dollars(free.total)}**"],
        ],
    )


def toggle_table() -> str:
    """Return the table of what each variable costs while the stack is idle."""
    prices = price_list()
    free = ", ".join(f"`{name}`" for name in FREE_WHILE_IDLE)
    return table(
        ["a month in one Region, idle", "costs"],
        [
            *([_code(toggle.setting), dollars(toggle.smallest)] for toggle in toggle_costs({}, prices)),
            *([_code(setting), dollars(prices.cost(amounts))] for setting, amounts in OUTSIDE.items()),
            [free, "0"],
        ],
    )


def _code(setting: str) -> str:
    """Return a setting in which the part of Terraform is code."""
    code = re.match(r"[a-z_.]+ = (\{.*\}|\S+)|[a-z_]+\.[a-z_.]+|change_stream|api_failover", setting)
    return f"`{code[0]}`{setting[code.end() :]}" if code else setting


def private_table() -> str:
    """Return the table of what a million requests cost with a private store, or straight from S3."""
    cost = price_list().cost
    return table(
        ["a million, with items of 1 KB", "costs"],
        ([title, dollars(cost(each) * MILLION)] for title, each in PRIVATE_REQUESTS.items()),
    )


FIELD_READS = 10.0 * MILLION
"""The reads of the figure that people quote: ten million reads of a document in a month cost less than 10 $."""


def field_table() -> str:
    """Return what ten million reads of a document cost on each path, at list price and with the free tier."""
    prices = price_list()
    size = EDGE_REQUESTS["public documents from the edge's cache"]["cloudfront_gb"]
    plans = [
        [f"CloudFront's flat-rate plan {name}", dollars(plan.usd), dollars(plan.usd)]
        for name, plan in prices.flat_rates.items()
        if plan.covers(FIELD_READS, FIELD_READS * size)
    ]
    document_paths = [
        path for path in PATHS if path.name in ("S3 directly", "edge hit", "API cache hit", "API and S3 document")
    ]
    return table(
        ["10 million reads of a document in a month", "list price", "with the free tier"],
        [
            *(
                [
                    path.name,
                    dollars(path.cost(FIELD_READS, prices)),
                    dollars(path.cost(FIELD_READS, prices, free_tier=True)),
                ]
                for path in document_paths
            ),
            *plans[:1],
        ],
    )


def path_table() -> str:
    """Return what each path costs by the number of reads."""
    prices = price_list()
    powers = range(5, DECADES + 1)
    return table(
        ["reads in a month", *(reads_text(10.0**power) for power in powers)],
        ([path.name, *(dollars(path.cost(10.0**power, prices)) for power in powers)] for path in PATHS),
    )


def break_even_table() -> str:
    """Return from how many reads a path costs less than another that is cheaper before."""
    return table(
        ["costs less", "than", "from so many reads a month"],
        ([point.cheaper, point.dearer, reads_text(point.reads)] for point in break_evens(price_list())),
    )


def pages(stacks: Mapping[str, Mapping[str, Usage]]) -> dict[Path, str]:
    """Return README.md and docs/costs.md with current tables, and the chart, by their paths.

    :raises CommandError: if a page lacks the marks
    """
    prices = price_list()
    source = f"List prices of {prices.region} in {prices.date} in {prices.currency}, for items of up to 1 KB."
    source = textwrap.fill(source, 100)
    together = "\n\n".join
    costs = (
        (source, unit_table(), private_table()),
        (toggle_table(),),
        (example_table(stacks[EXAMPLE_STACK]),),
        (field_table(), path_table(), break_even_table()),
    )
    return {
        README: with_parts(README, COMMAND, together((source, idle_table(stacks), traffic_table()))),
        COSTS: with_parts(COSTS, COMMAND, *map(together, costs)),
        CHART: chart(prices),
    }
