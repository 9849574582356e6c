"""Test that the calls of `rebuild items fill` grow no faster than the log. `make bench` measures the time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest

from ops.cli.items_fill import Bounds, Fill, FilledItems, ListedObject
from ops.walk import LogObject
from readplane.model.change import Change, PoisonError
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.support import COLLECTIONS, NOW_MS, MemoryLog, change

REGION = "eu-central-1"
LINES = 100
"""How many lines an object has. Every tenth one is a newer change of an item that the log holds already."""


class NoJob:
    """A job that saves nothing and waits for nothing."""

    def advance(self, position: Any, **counts: int) -> None:
        pass

    def pace(self, steps: int = 1) -> None:
        pass

    def renew(self) -> None:
        pass


class NoPoison:
    """Expects no line that can't be applied."""

    def handle(self, region: str, line: bytes, poison: PoisonError, origin: str) -> NoReturn:
        raise poison


def log_of(items: int) -> Iterator[Change]:
    for number in range(items):
        yield change(f"p-{number}", ms=NOW_MS, tail=number)
        if number % 10 == 9:
            yield change(f"p-{number // 2}", ms=NOW_MS + 1_000, tail=number)


def calls_of(items: int) -> tuple[int, dict[str, str]]:
    """Fill a table from a log of so many items. Return the number of calls, and the version of each item."""
    log, table, changes = MemoryLog(), MemoryDynamo(), list(log_of(items))
    for start in range(0, len(changes), LINES):
        log.objects[f"log/{start:07}"] = [each.line() for each in changes[start : start + LINES]]
    with ThreadPoolExecutor(1) as readers, ThreadPoolExecutor(1) as writers:
        fill = Fill(
            {REGION: log},
            FilledItems(table, "items", horizon_ms=30 * 86_400_000),
            COLLECTIONS,
            NoPoison(),
            readers=readers,
            writers=writers,
            bounds=Bounds(500),
        )
        fill.fold([ListedObject(REGION, "log", LogObject(key, 1, NOW_MS)) for key in log.objects], NoJob())
    newest: dict[str, str] = {}
    for each in changes:
        newest[each.key] = max(each.version, newest.get(each.key, ""))
    versions = {key: row["version"]["S"] for key, row in table.items.items()}
    assert versions == newest
    return table.calls.total(), versions


def test_ten_times_the_items_take_ten_times_the_calls() -> None:
    few, many = calls_of(1_000), calls_of(10_000)
    assert len(many[1]) == 10 * len(few[1])
    assert many[0] == pytest.approx(10 * few[0], rel=0.15)
