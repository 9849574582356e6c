"""Figures of bulk writes: how many statements they take, and how much faster they are than one statement per change.

What many rows in one statement save is round trips and commits. A server on the same machine has no round trip to
save, so a proxy adds 3 ms to each, as much as a database in another data center needs.
"""

import time

from readplane.model.change import Change
from readplane.stores.relational.settings import DatabaseSettings
from readplane.stores.relational.writer import RelationalWriter
from tests.unit.stores.relational.delay_proxy import delayed
from tests.unit.stores.relational.support import PRODUCTS, Stores, change

CHANGES = 10_000
"""`make bench` writes 50,000."""

SINGLE_CHANGES = 100
ROUND_TRIP_SECONDS = 0.003


def make_changes(count: int, at: int) -> list[Change]:
    other = {"colour": "red", "sold": True, "at": "2026-01-31T08:15:00Z"}
    return [change(f"p{n:06}", {"price": n / 7, "name": f"item {n}", **other}, at=at) for n in range(count)]


def statements(stores: Stores) -> int:
    """Return how many statements the role `feed` has run."""
    return int(
        stores.servers.execute("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE userid = 'feed'::regrole")[
            0
        ][0]
    )


def test_ten_thousand_changes_take_eleven_statements_and_a_twentieth_of_the_time(stores: Stores) -> None:
    settings: DatabaseSettings = stores.settings("feed")
    many, few = make_changes(CHANGES, at=1), make_changes(SINGLE_CHANGES, at=2)
    with delayed(settings.port, ROUND_TRIP_SECONDS) as proxy:
        writer = RelationalWriter(settings._replace(port=proxy.port), PRODUCTS)
        begin = time.perf_counter()
        outcome = writer.upsert(many)
        bulk_rate = CHANGES / (time.perf_counter() - begin)
        count = statements(stores)
        assert outcome.written == CHANGES
        assert count <= 11
        begin = time.perf_counter()
        for single in few:
            writer.upsert([single])
        single_rate = SINGLE_CHANGES / (time.perf_counter() - begin)
        writer.close()
    print(f"{CHANGES} changes: {count} statements, {bulk_rate:,.0f}/s; one by one {single_rate:,.0f}/s")
    print(f"bulk: {bulk_rate / single_rate:.1f} times the rate of one statement per change")
    assert bulk_rate >= 20 * single_rate
    assert stores.servers.execute("SELECT count(*) FROM readplane.products") == [(CHANGES,)]
