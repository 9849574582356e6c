"""The text and the JSON that `readplane cost` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .chart import sentence
from .idle import BY_USE, FREE, Usage, not_priced
from .model import OTHER, READ, WRITE, Estimate
from .paths import BreakEven
from .prices import PriceList
from .tables import count_text, dollars
from .toggles import ToggleCost, toggle_costs

WIDTH = 60
"""The width of the first column."""


class FlatRateCost(NamedTuple):
    """A flat-rate plan of CloudFront beside the same traffic at list price.

    covered: the plan is for so many requests and GB
    instead: what CloudFront and the firewall cost without the plan; `Estimate.edge` says what that is
    """

    name: str
    usd: float
    covered: bool
    instead: float


def flat_rates(estimate: Estimate, prices: PriceList) -> list[FlatRateCost]:
    """Return the flat-rate plans beside a month; nothing if CloudFront serves no request."""
    requests, gb = estimate.amounts.get("cloudfront_request", 0.0), estimate.amounts.get("cloudfront_gb", 0.0)
    if not requests:
        return []
    return [
        FlatRateCost(name, plan.usd, plan.covers(requests, gb), estimate.edge)
        for name, plan in prices.flat_rates.items()
    ]


def as_json(
    estimate: Estimate, usage: Mapping[str, Usage], points: Sequence[BreakEven], prices: PriceList, *, free_tier: bool
) -> dict[str, Any]:
    """Return an estimate for machines. Dollars have no rounding."""
    return {
        "region": prices.region,
        "date": prices.date,
        "free_tier": free_tier,
        "total_usd": estimate.total,
        "idle_usd": estimate.idle,
        "services": estimate.services,
        "amounts": dict(estimate.amounts),
        "rows": [row._asdict() | {"usd_per_million": row.per_million} for row in estimate.rows],
        "usd_per_million_reads": estimate.per_million(READ),
        "usd_per_million_writes": estimate.per_million(WRITE),
        "variables": [toggle._asdict() for toggle in toggle_costs(usage, prices)],
        "resources": {kind: entry._asdict() for kind, entry in usage.items()},
        "not_priced": not_priced(usage),
        "flat_rates": [plan._asdict() for plan in flat_rates(estimate, prices)],
        "break_evens": [point._asdict() for point in points],
    }


def report(
    estimate: Estimate, usage: Mapping[str, Usage], points: Sequence[BreakEven], prices: PriceList, *, free_tier: bool
) -> Iterator[str]:
    """Yield the lines of an estimate.

    :param usage: what the resource types of the plan need in an idle month; empty without a plan
    :param points: the break-even points to print
    """
    if estimate.rows:
        yield from _month(estimate)
    if usage:
        yield from ("", _cells("idle, at list price", "", "this plan", "smallest"))
        yield from (_toggle(toggle) for toggle in toggle_costs(usage, prices))
        yield _cells("together", "", f"{sum(prices.cost(entry.quantities) for entry in usage.values()):,.2f}", "")
        yield from _resources(usage, prices)
    plans = flat_rates(estimate, prices)
    if plans:
        yield from ("", _cells("flat-rate plans of CloudFront, instead", "", "$ a month", "without"))
        for plan in plans:
            note = "" if plan.covered else " (too small)"
            yield _cells(f"{plan.name}{note}", "", f"{plan.usd:,.2f}", f"{plan.instead:,.2f}")
        yield "A plan is for one distribution. It includes its web ACL, but not Lambda@Edge."
    if points:
        yield from ("", *(sentence(point) for point in points))
    tier = "with" if free_tier else "without"
    yield from ("", f"AWS's list prices in {prices.region}, {prices.date}, in US dollars, {tier} the free tier.")
    yield "Volume discounts are included, taxes aren't. Functions' times are assumptions: docs/costs.md."


def _month(estimate: Estimate) -> Iterator[str]:
    """Yield the month by services of AWS, and by what it is for."""
    yield _line("service", "$ a month")
    yield from (_line(name, f"{usd:,.2f} $") for name, usd in estimate.services.items() if usd >= 0.005)
    yield _line("together", f"{estimate.total:,.2f} $")
    yield from ("", _cells("what it is for", "count", "$ a month", "$ a million"))
    for row in estimate.rows:
        million = f"{row.per_million:.2f}" if row.kind != OTHER and row.usd else ""
        yield _cells(row.title, count_text(row.times), f"{row.usd:,.2f}", million)
    for kind in (READ, WRITE):
        if estimate.per_million(kind):
            yield _cells(f"a million {kind}, as the profile mixes them", "", "", f"{estimate.per_million(kind):.2f}")


def _resources(usage: Mapping[str, Usage], prices: PriceList) -> Iterator[str]:
    """Yield each resource type, how many there are, and what they cost idle. Those without a price come last."""
    unlisted = not_priced(usage)
    yield from ("", "resource types of the plan")
    for kind in [kind for kind in usage if kind not in unlisted]:
        amount = prices.cost(usage[kind].quantities)
        note = dollars(amount) if amount >= 0.005 else BY_USE.get(kind) or FREE.get(kind) or "0"
        yield f"{kind:55} {usage[kind].resources:5}  {note}"
    if unlisted:
        yield from ("", "not priced, because Readplane makes no such resources")
        yield from (f"{kind:55} {usage[kind].resources:5}" for kind in unlisted)


def _toggle(toggle: ToggleCost) -> str:
    return _cells(toggle.setting, "", f"{toggle.planned:,.2f}" if toggle.planned else "-", f"{toggle.smallest:,.2f}")


def _line(name: str, value: str) -> str:
    return f"{name:{WIDTH}} {value:>14}"


def _cells(name: str, count: str, month: str, million: str) -> str:
    return f"{name:{WIDTH}} {count:>14} {month:>12} {million:>12}".rstrip()
