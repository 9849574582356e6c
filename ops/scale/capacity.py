"""What one read or write uses of each limit, and which limits bind at a rate."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path as File
from typing import NamedTuple

from ops.cost.prices import months_since
from ops.cost.traffic import LIST_ACU_SECONDS

LIMITS = File(__file__).with_name("limits.json")

HEADROOM = 0.7
"""The share of a limit that a stack should use at most. The rest is for bursts."""

REQUESTS_OF_EXECUTION = 10
"""The most synchronous requests a second that Lambda sends to one execution, however short they are."""

WRITE_SECONDS = 0.03
LIST_SECONDS = 0.05
"""How long `write` and `query` take for a request. Both are assumptions, because nobody has measured them on AWS."""

CHANGE_SECONDS = 0.00013
"""How long `apply` takes for a change, with 1,024 MB of memory.

docs/performance.md has 67 µs of a whole core, and 1,024 MB are 0.58 of a core. The rest is for calls.
"""

CHANGE_BYTES = 1000
"""The bytes of a line of the write log, and of a row of the items table."""

PUBLISH_LANES = 4
"""Batches of one shard of the items stream that `publish` works on at once (terraform/modules/region/mappings.tf)."""

PARTITION_WRITES = 1000
"""Write units a second of a partition of DynamoDB. The items stream has about one shard for each partition."""


class Limit(NamedTuple):
    """A limit of AWS, or a limit that a variable sets.

    :param value: the default.
    :param variable: the variable whose default it is; ``None`` if it is AWS's.
    :param raises: what to raise, as a table's cell names it.
    :param how: how to raise it.
    :param counted: whether a table's cell says how many there must be of what has the limit, instead of a rate.
    :param most: the greatest value that AWS or the variable allows; ``None`` if none is known.
    """

    name: str
    meaning: str
    unit: str
    value: float
    variable: str | None
    raises: str
    how: str
    source: str
    counted: bool
    most: float | None


class Path(NamedTuple):
    """A path of reads or writes, and what one request a second uses of each limit."""

    name: str
    title: str
    uses: Mapping[str, float]


class Use(NamedTuple):
    """How much of a limit a path uses at a rate."""

    limit: Limit
    needed: float

    @property
    def share(self) -> float:
        """The share of the default; above 1 the limit binds."""
        return self.needed / self.limit.value


class Limits(NamedTuple):
    """All limits by name, and the month in which they were looked up (YYYY-MM)."""

    date: str
    by_name: Mapping[str, Limit]

    def months_old(self, today: dt.date) -> int:
        """Return how many months have begun since the month of the limits."""
        return months_since(self.date, today)


@cache
def limits() -> Limits:
    """Read limits.json."""
    text = json.loads(LIMITS.read_text())
    by_name = {
        name: Limit(
            name,
            entry["is"],
            entry["unit"],
            entry["value"],
            entry.get("variable"),
            entry["raise"],
            entry["how"],
            entry["source"],
            entry.get("counted", False),
            entry.get("most"),
        )
        for name, entry in text["limits"].items()
    }
    return Limits(text["date"], by_name)


_EXECUTION = 1 / REQUESTS_OF_EXECUTION

READ_PATHS = (
    Path("edge_hit", "a public document that the edge has", {"edge_requests": 1}),
    Path(
        "edge_private",
        "a private document that the edge has, all clients near one Region",
        {"edge_requests": 1, "edge_function_requests": 1},
    ),
    Path(
        "edge_miss",
        "a public document that the edge lacks",
        {"edge_requests": 1, "edge_function_requests": 1, "document_reads": 1},
    ),
    Path(
        "api_document",
        "a public document from the API, without an edge",
        {"api_requests": 1, "open_throttle": 1, "document_reads": 1},
    ),
    Path("api_cache", "a public item in the API's cache", {"api_requests": 1, "open_throttle": 1}),
    Path(
        "item_cache",
        "an item that the item cache has",
        {
            "api_requests": 1,
            "throttle": 1,
            "executions": _EXECUTION,
            "cache_requests": 1,
            "cache_connections": _EXECUTION,
        },
    ),
    Path(
        "item_table",
        "an item from DynamoDB",
        {"api_requests": 1, "throttle": 1, "executions": _EXECUTION, "table_reads": 0.5},
    ),
    Path(
        "database_list",
        "a list from the database",
        {
            "api_requests": 1,
            "throttle": 1,
            "executions": max(_EXECUTION, LIST_SECONDS),
            "list_executions": LIST_SECONDS,
            "database_capacity": LIST_ACU_SECONDS,
        },
    ),
)
READ_RATES = (100, 1_000, 10_000, 100_000, 1_000_000)

_ROW_UNITS = 2  # a write unit of the table, and one of the index
_STORED_UNITS = 0.5  # `apply` reads the stored version first, eventually consistently
_PUBLISH_EXECUTIONS = PUBLISH_LANES * _ROW_UNITS / PARTITION_WRITES

WRITE_PATH = Path(
    "write",
    "a write of a client",
    {
        "api_requests": 1,
        "throttle": 1,
        "executions": max(_EXECUTION, WRITE_SECONDS) + CHANGE_SECONDS + _PUBLISH_EXECUTIONS,
        "log_requests": 1,
        "log_bytes": CHANGE_BYTES,
        "apply_executions": CHANGE_SECONDS,
        "collection_writes": 1,
        "table_reads": _STORED_UNITS,
        "table_writes": _ROW_UNITS,
        "document_writes": 1,
    },
)
SOURCE_PATH = Path(
    "source",
    "a change of a back office",
    {
        "source_changes": 1,
        "stream_records": 1,
        "executions": CHANGE_SECONDS + _PUBLISH_EXECUTIONS,
        "collection_writes": 1,
        "table_reads": _STORED_UNITS,
        "table_writes": _ROW_UNITS,
        "document_writes": 1,
    },
)
WRITE_RATES = (10, 100, 1_000, 10_000, 100_000)

PATHS = (*READ_PATHS, WRITE_PATH, SOURCE_PATH)


def uses(path: Path, rate: float) -> list[Use]:
    """Return how much of each limit a path uses at so many requests a second, the fullest limit first."""
    by_name = limits().by_name
    path_uses = [Use(by_name[name], rate * per_request) for name, per_request in path.uses.items()]
    return sorted(path_uses, key=lambda use: -use.share)


def highest_rate(path: Path) -> float:
    """Return how many requests a second a path takes before its first limit binds."""
    return min(limits().by_name[name].value / per_request for name, per_request in path.uses.items())


def with_headroom(needed: float) -> int:
    """Return the value to set for a need, with room for bursts, rounded up to two significant digits."""
    wanted = needed / HEADROOM
    digit = int(10 ** max(0, math.floor(math.log10(wanted)) - 1))
    return math.ceil(wanted / digit - 1e-9) * digit


def to_raise(path: Path, rate: float) -> list[tuple[Limit, int]]:
    """Return the limits that need a higher value at a rate, the fullest first, and each one's value with headroom."""
    return [(use.limit, with_headroom(use.needed)) for use in uses(path, rate) if use.share > HEADROOM]


def value_at(path: Path, rate: float, name: str) -> float:
    """Return a limit's value in a stack that is set for a rate: the default, or more if the rate needs it."""
    raised = {limit.name: value for limit, value in to_raise(path, rate)}
    return raised.get(name, limits().by_name[name].value)
