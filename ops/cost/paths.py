"""What each path of a read costs, from one to ten billion reads a month, and from when on a path is the cheaper one.

Every path answers with one item of 1 KB. A path costs its requests, and the idle resources that it alone needs in one
Region. All paths need the stack itself, the writes and the stored items, which are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, pairwise
from typing import NamedTuple

from .idle import SERVERLESS_GB
from .prices import HOURS, PriceList
from .traffic import FIRST_TRACES, MILLION, TRACED, Sizes, edge_requests, private_requests, requests

DECADES = 10
"""The most reads of the chart are 10 to this power."""

STEPS = 20
"""The points of a line of the chart in each decade."""

READ_COUNTS = tuple(10 ** (step / STEPS) for step in range(DECADES * STEPS + 1))
"""The numbers of reads at the points of a line."""


class Path(NamedTuple):
    """A path of reads.

    idle: what the path needs in a month without reads, by the names of the prices
    each: what one read needs
    """

    name: str
    idle: Mapping[str, float]
    each: Mapping[str, float]

    def cost(self, reads: float, prices: PriceList, *, free_tier: bool = False) -> float:
        """Return what a month with so many reads costs in dollars."""
        amounts = dict(self.idle)
        for name, units in self.each.items():
            amounts[name] = amounts.get(name, 0.0) + units * reads
        if "trace" in amounts:
            amounts["trace"] += (1 - TRACED) * min(reads, FIRST_TRACES)
        return sum(prices.monthly(amounts, free_tier=free_tier).values())


def _paths() -> tuple[Path, ...]:
    sizes = Sizes(list_items=1)
    at_edge, here, private = edge_requests(sizes), requests(sizes), private_requests(sizes)
    return (
        Path("edge hit", {}, at_edge["public documents from the edge's cache"]),
        Path("S3 directly", {}, private["reads straight from S3"]),
        Path("API cache hit", {"api_cache_0.5": HOURS}, here["reads from the stage cache"]),
        Path("API and S3 document", {}, here["reads of a document"]),
        Path(
            "Lambda and Valkey",
            {"elasticache_serverless_gb_hour": SERVERLESS_GB * HOURS},
            private["reads of an item from the item cache"],
        ),
        Path("Lambda and DynamoDB", {}, here["reads of an item"]),
        # A writer and a reader with half an ACU, and the administrator's secret.
        Path(
            "Lambda and Aurora", {"aurora_acu_hour": HOURS, "secret": 1}, private["lists of 1 items from the database"]
        ),
    )


PATHS = _paths()
"""The paths of the chart."""


class BreakEven(NamedTuple):
    """From so many reads a month, one path costs less than another that costs less before."""

    reads: float
    cheaper: str
    dearer: str


def break_evens(prices: PriceList, *, free_tier: bool = False) -> Iterator[BreakEven]:
    """Yield every point in the range of the chart at which two paths cost the same."""
    costs = {path.name: [path.cost(reads, prices, free_tier=free_tier) for reads in READ_COUNTS] for path in PATHS}
    for first, second in combinations(PATHS, 2):

        def gap(reads: float, first: Path = first, second: Path = second) -> float:
            return first.cost(reads, prices, free_tier=free_tier) - second.cost(reads, prices, free_tier=free_tier)

        gaps = [
            first_usd - second_usd for first_usd, second_usd in zip(costs[first.name], costs[second.name], strict=True)
        ]
        for step, (before, after) in enumerate(pairwise(gaps)):
            if before * after < 0:
                cheaper, dearer = (first, second) if before > 0 else (second, first)
                yield BreakEven(_root(gap, READ_COUNTS[step], READ_COUNTS[step + 1]), cheaper.name, dearer.name)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function changes its sign between two numbers, to a part in a million."""
    start = function(low)
    while high - low > high / MILLION:
        middle = (low + high) / 2
        if function(middle) * start > 0:
            low = middle
        else:
            high = middle
    return high
