"""The benchmark of the relational store: how fast `feed` writes many changes, beside one statement per change.

What many rows in one statement save is round trips and commits. A server on this machine has no round trip to save. So
a proxy adds 3 ms to each, as a database in another availability zone or data center does.
"""

import os
import time
from pathlib import Path
from typing import Any

from ops.local.postgres import DATABASE, OWNER, Postgres, start_postgres
from readplane.model.change import API, Change
from readplane.model.fields import Field, Relational, Search
from readplane.model.version import stamp
from readplane.stores.relational.migrate import migrate
from readplane.stores.relational.settings import OWNER_PASSWORD, PASSWORD, DatabaseSettings
from readplane.stores.relational.writer import RelationalWriter
from tests.benchmarks.arithmetic import Goal
from tests.benchmarks.checks import DifferenceError
from tests.benchmarks.markdown import table
from tests.benchmarks.measure import progress
from tests.unit.stores.relational.delay_proxy import delayed

CHANGES, SINGLE_CHANGES = 50_000, 200
ROUND_TRIP_SECONDS = 0.003
STATEMENTS, SPEED = 52, 20
"""The goals: the maximum number of statements, and how many times faster they are than one statement per change."""

COLLECTIONS = {
    "products": Relational(
        {
            "price": Field("price", "number", "/price"),
            "colour": Field("colour", "text", "/colour"),
            "sold": Field("sold", "boolean", "/sold"),
            "at": Field("at", "time", "/at"),
        },
        ("price", "at"),
        Search(("/name",)),
    )
}

Result = dict[str, Any]


def measure(folder: Path) -> Result:
    """Measure how long a new table takes many changes at once, and then some of them one by one.

    :param folder: the folder for the server's files.
    :raises DifferenceError: if a change isn't in the table in the end.
    """
    progress(f"relational: {CHANGES} changes in batches, {SINGLE_CHANGES} one by one")
    servers = start_postgres(folder / "postgres", reader=False)
    try:
        os.environ |= {OWNER_PASSWORD: servers.passwords[OWNER], PASSWORD: servers.passwords["feed"]}
        settings = DatabaseSettings(servers.host, servers.writer_port, DATABASE, "feed", tls=False)
        migrate(settings, COLLECTIONS)
        servers.execute("SELECT pg_stat_statements_reset()")
        with delayed(settings.port, ROUND_TRIP_SECONDS) as proxy:
            writer = RelationalWriter(settings._replace(port=proxy.port), COLLECTIONS)
            bulk = _seconds(writer, [_changes(CHANGES, milliseconds=1)])
            statements = _statements(servers)
            singles = _seconds(writer, [[change] for change in _changes(SINGLE_CHANGES, milliseconds=2)])
            writer.close()
        rows = servers.execute("SELECT count(*), count(DISTINCT version) FROM readplane.products")[0]
        newer = servers.execute("SELECT count(*) FROM readplane.products WHERE version > %s", [_version("", 2)])[0]
    finally:
        servers.stop()
    if (rows[0], *newer) != (CHANGES, SINGLE_CHANGES):
        raise DifferenceError(f"The relational store has {rows[0]} rows, {newer[0]} of them of the later changes.")
    return {"changes": CHANGES, "statements": statements, "bulk": CHANGES / bulk, "single": SINGLE_CHANGES / singles}


def _version(item_id: str, milliseconds: int) -> str:
    return stamp(1_800_000_000_000 + milliseconds, item_id.encode().ljust(10, b"\0")[-10:])


def _changes(count: int, *, milliseconds: int) -> list[Change]:
    """Return one change for each of so many items."""
    changes = []
    for number in range(count):
        item_id = f"p{number:06}"
        data = f'{{"name":"item {number}","price":{number / 7},"colour":"red","sold":true,"at":"2026-01-31T08:15:00Z"}}'
        version = _version(item_id, milliseconds)
        changes.append(Change(version, "products", item_id, data, "someone", API, "2027-01-15T08:00:00.000Z", None))
    return changes


def _seconds(writer: RelationalWriter, batches: list[list[Change]]) -> float:
    begin = time.perf_counter()
    written = sum(writer.upsert(batch).written for batch in batches)
    seconds = time.perf_counter() - begin
    if written != sum(map(len, batches)):
        raise DifferenceError(f"The relational store wrote only {written} changes.")
    return seconds


def _statements(servers: Postgres) -> int:
    """Return how many statements the role `feed` has run."""
    query = "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE userid = 'feed'::regrole"
    return int(servers.execute(query)[0][0])


def goals(result: Result) -> list[Goal]:
    """Return the goals of this part.

    :param result: the results of the part.
    """
    return [
        Goal(f"relational store, statements for {result['changes']:,} changes", result["statements"], STATEMENTS),
        Goal(
            "relational store, speed compared with one statement per change",
            result["bulk"] / result["single"],
            SPEED,
            at_least=True,
        ),
    ]


def tables(result: Result) -> str:
    """Return the Markdown table of this part."""
    head = ["relational store, 3 ms per round trip", "changes/s", "Readplane is"]
    return table(
        head,
        [
            [
                f"Readplane: {result['changes']:,} changes in {result['statements']} statements",
                f"{result['bulk']:,.0f}",
                "",
            ],
            [
                "one statement per change",
                f"{result['single']:,.0f}",
                f"{result['bulk'] / result['single']:.0f} x as fast",
            ],
        ],
    )
