"""The tables of docs/scale.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ops.console import ROOT
from ops.markdown import table, with_parts

from .capacity import (
    PATHS,
    READ_PATHS,
    READ_RATES,
    SOURCE_PATH,
    WRITE_PATH,
    WRITE_RATES,
    Limit,
    Path,
    highest_rate,
    limits,
    to_raise,
    uses,
)
from .pipeline import REPLAYS, WriteRun, run_reads, run_writes, settings_for

PAGE = ROOT / "docs/scale.md"
COMMAND = "python -m ops.scale --docs"
"""The command that writes the tables."""

NOTHING = "nothing"

RUN_SECONDS = {10: 1200, 100: 900, 1_000: 600, 10_000: 300, 100_000: 60}
"""Writes a second -> for how many seconds the simulation runs. A run is longer than its objects take to fill."""


def page() -> str:
    """Return docs/scale.md with current tables."""
    return with_parts(PAGE, COMMAND, "\n".join(tables()))


def tables() -> Iterator[str]:
    """Yield the lines of all tables."""
    yield "### What the defaults take"
    yield ""
    yield table(("one request is", "takes, a second", "first limit", "next limits"), _defaults(), "lrll")
    yield ""
    yield "### Reads"
    yield ""
    yield table(("reads a second", "of", "binds", "set, or ask for"), _steps(READ_PATHS, READ_RATES), "rl")
    yield ""
    yield "### Writes, and changes of back offices"
    yield ""
    yield table(("a second", "of", "binds", "set, or ask for"), _steps((WRITE_PATH, SOURCE_PATH), WRITE_RATES), "rl")
    yield ""
    yield "### The limits"
    yield ""
    yield table(("limit", "default", "how to raise it"), map(_limit, limits().by_name.values()), "lrl")
    yield ""
    yield "### How long a write takes"
    yield ""
    yield table(
        (
            "writes a second",
            "item, p50",
            "p99",
            "document, p50",
            "p99",
            "p99 during a replay",
            "with one collection, ten executions of `apply`",
        ),
        _writes(),
        "rrrrrrl",
    )
    yield ""
    yield "### How many executions a function needs"
    yield ""
    yield table(
        ("requests a second", "needs", "with these, refused", "quota", "with it, refused", "at once, refused", "until"),
        _reads(),
        "r",
    )


def _defaults() -> Iterator[Sequence[str]]:
    for path in PATHS:
        rate = highest_rate(path)
        first, *others = uses(path, rate)
        close = [use.limit.raises for use in others if use.share > 0.1]
        yield path.title, f"{rate:,.0f}", first.limit.raises, ", ".join(close) or NOTHING


def _steps(paths: Sequence[Path], rates: Sequence[int]) -> Iterator[Sequence[str]]:
    for path in paths:
        for rate in rates:
            limits_to_raise = to_raise(path, rate)
            if limits_to_raise:
                first = uses(path, rate)[0]
                binds = f"{first.limit.raises}, {_times(first.share)}" if first.share >= 1 else NOTHING
                yield f"{rate:,}", path.title, binds, "; ".join(_raise(*entry) for entry in limits_to_raise)


def _times(share: float) -> str:
    return f"{share:,.0f} ×" if share >= 10 else f"{share:.1f} ×"


def _raise(limit: Limit, value: float) -> str:
    unit = limit.value if limit.counted else 1
    text = f"{limit.raises}: {math.ceil(value / unit):,}"
    if limit.most is not None and value > limit.most:
        text += f" (only {limit.most / unit:,.0f} possible)"
    return text


def _limit(limit: Limit) -> Sequence[str]:
    meaning = limit.meaning if limit.source.startswith("docs/") else f"[{limit.meaning}]({limit.source})"
    most = f", at most {limit.most:,.0f}" if limit.most and limit.variable else ""
    return f"{limit.raises}: {meaning}", f"{limit.value:,} {limit.unit}", limit.how + most


def _writes() -> Iterator[Sequence[str]]:
    for rate in WRITE_RATES:
        run = run_writes(rate, settings_for(rate), RUN_SECONDS[rate])
        defaults = run_writes(rate, settings_for(rate, variables=False), RUN_SECONDS[rate])
        replay = run_writes(rate, settings_for(rate), RUN_SECONDS[rate], REPLAYS)
        delays = (
            run.to_item.median,
            run.to_item.p99,
            run.to_document.median,
            run.to_document.p99,
            replay.to_document.p99,
        )
        yield (f"{rate:,}", *(f"{seconds:,.0f} s" for seconds in delays if seconds is not None), _waiting(defaults))


def _waiting(run: WriteRun) -> str:
    if not run.waiting:
        return "the same"
    return f"falls behind: {1 - run.applied / run.accepted:.0%} of the changes wait at the end"


def _reads() -> Iterator[Sequence[str]]:
    for rate in READ_RATES:
        run = run_reads(rate)
        yield (
            f"{rate:,}",
            f"{run.needed:,}",
            f"{run.exact:.1%}",
            f"{run.quota:,}",
            f"{run.with_quota:.1%}",
            f"{run.at_once:.1%}",
            f"{run.until:,.0f} s",
        )
