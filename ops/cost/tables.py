"""The tables of README.md and docs/costs.md."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ops.console import ROOT, CommandError

from .idle import BY_USE, FREE, Usage, usage_of_source
from .prices import HOURS, PriceList, price_list
from .stacks import EXAMPLE_STACK
from .traffic import (
    COLUMNS,
    EDGE_REQUESTS,
    EXAMPLE,
    EXAMPLE_FREE_USERS,
    EXAMPLE_ITEMS,
    EXAMPLE_METRICS,
    EXAMPLE_USERS,
    FIRST_TRACES,
    MILLION,
    REQUESTS,
    STORED_MILLION,
    group,
)

README = ROOT / "README.md"
COSTS = ROOT / "docs/costs.md"
BEGIN = "<!-- begin: written by python -m ops.cost --docs -->"
END = "<!-- end -->"

NAMES: Mapping[str, str] = {
    "aws_api_gateway_stage": "API caches",
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
    "aws_scheduler_schedule": "schedules: polls with their metrics, and heartbeats",
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
}
"""What is counted -> its price, and how much of it."""


def dollars(amount: float) -> str:
    """Return an amount as text: whole dollars from 100 on, cents below."""
    if amount >= 100:
        return f"{amount:,.0f} $"
    return f"{amount:.2f} $" if amount >= 0.005 else "0"


def rows(*table: Iterable[str]) -> str:
    """Return a Markdown table. The first row is its head. All columns but the first are aligned to the right."""
    lines = [list(row) for row in table]
    lines.insert(1, ["---", *["---:"] * (len(lines[0]) - 1)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def idle_table(stacks: Mapping[str, Mapping[str, Usage]]) -> str:
    """Return the table of what stacks cost in an idle month."""
    cost = price_list().cost
    kinds = sorted({kind for stack in stacks.values() for kind, usage in stack.items() if usage.quantities})

    def cell(stack: Mapping[str, Usage], kind: str) -> str:
        usage = stack.get(kind, Usage(0, {}))
        return dollars(cost(usage.quantities))

    totals = [sum(cost(usage.quantities) for usage in stack.values()) for stack in stacks.values()]
    return rows(
        ["a month, idle", *stacks],
        *([NAMES[kind], *(cell(stack, kind) for stack in stacks.values())] for kind in kinds),
        ["**together**", *(f"**{dollars(total)}**" for total in totals)],
    )


def traffic_table(prices: PriceList | None = None) -> str:
    """Return the table of what a million requests or changes cost, at the prices of prices.json or at others."""
    cost = (prices or price_list()).cost

    def line(title: str, quantities: Mapping[str, float]) -> list[str]:
        columns = dict.fromkeys(COLUMNS, 0.0)
        for price, amount in quantities.items():
            columns[group(price)] += cost({price: amount * MILLION})
        together = f"**{dollars(sum(columns.values()))}**"
        return [title, *(dollars(value) if value >= 0.005 else "" for value in columns.values()), together]

    return rows(
        ["a million", *COLUMNS, "together"],
        *(line(*request) for request in [*REQUESTS.items(), *EDGE_REQUESTS.items()]),
    )


def unit_table() -> str:
    """Return the table of what users, metrics, logs, traces, keys and stored items cost."""
    cost = price_list().cost
    return rows(
        ["each", "costs"],
        [
            "a source in a month, polled every minute, in two Regions, without its alarms",
            dollars(cost(usage_of_source(2))),
        ],
        *([title, dollars(cost({price: amount}))] for title, (price, amount) in UNITS.items()),
        ["a million stored items of 1 KB in a month, per Region", dollars(cost(STORED_MILLION))],
    )


def example_lines(stack: Mapping[str, Usage]) -> list[tuple[str, float]]:
    """Return the lines of the worked example, and what each costs in dollars.

    :param stack: the idle stack of the example
    """
    cost = price_list().cost
    users = (EXAMPLE_USERS - EXAMPLE_FREE_USERS) / 1000
    return [
        ("the idle stack", sum(cost(usage.quantities) for usage in stack.values())),
        *((f"{count / MILLION:g} million {title}", cost(REQUESTS[title]) * count) for title, count in EXAMPLE.items()),
        (f"{EXAMPLE_USERS:,} active users", cost({"active_user": users * 1000})),
        (
            f"{EXAMPLE_ITEMS / MILLION:g} million items in two Regions",
            2 * cost(STORED_MILLION) * EXAMPLE_ITEMS / MILLION,
        ),
        (f"{EXAMPLE_METRICS} custom metrics of writes", cost({"custom_metric": EXAMPLE_METRICS})),
        ("traces of the first request of each second, in one Region", cost({"trace": FIRST_TRACES})),
    ]


def example_table(stack: Mapping[str, Usage]) -> str:
    """Return the worked example."""
    lines = example_lines(stack)
    together = dollars(sum(amount for _, amount in lines))
    return rows(
        ["a month of a shop: `prod.tfvars` with a source", "costs"],
        *([title, dollars(amount)] for title, amount in lines),
        ["**together**", f"**{together}**"],
    )


def pages(stacks: Mapping[str, Mapping[str, Usage]]) -> dict[Path, str]:
    """Return README.md and docs/costs.md with current tables, by their paths.

    :raises CommandError: if a page lacks the marks
    """
    prices = price_list()
    source = f"List prices of {prices.region} in {prices.date} in {prices.currency}, for items of up to 1 KB."
    source = textwrap.fill(source, 100)
    return {
        README: _with_tables(README, source, idle_table(stacks), traffic_table()),
        COSTS: _with_tables(COSTS, source, unit_table(), example_table(stacks[EXAMPLE_STACK])),
    }


def _with_tables(path: Path, *parts: str) -> str:
    """Return a page with some text between its marks."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        name = path.relative_to(ROOT)
        raise CommandError(f"Put the lines {BEGIN} and {END} into {name}, where the tables belong.")
    return "\n\n".join([f"{before}{BEGIN}", *parts, f"{END}{after}"])


def report(usage: Mapping[str, Usage], prices: PriceList) -> Iterator[str]:
    """Yield the lines of a report on a plan: each resource type, how many there are, and what they cost idle.

    :raises CommandError: if the plan needs something whose price isn't in the list
    """
    prices.require(name for entry in usage.values() for name in entry.quantities)
    cost = prices.cost
    for kind, entry in usage.items():
        amount = cost(entry.quantities)
        note = dollars(amount) if amount >= 0.005 else BY_USE.get(kind) or FREE.get(kind) or "0"
        yield f"{kind:55} {entry.resources:5}  {note}"
    yield f"{'together, idle':55} {'':5}  {dollars(sum(cost(entry.quantities) for entry in usage.values()))}"
    yield f"AWS's list prices in {prices.region}, {prices.date}, in {prices.currency}."
    yield ""
    yield re.sub(r"\*\*", "", traffic_table(prices))
