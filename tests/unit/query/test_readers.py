"""Tests of a database that has no reader, or not the right one: lists wait for it, and nothing else does."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.local.postgres import start_postgres
from readplane.stores.relational import lists
from tests.unit.query.database import Database, connections_of_query
from tests.unit.query.support import QueryService
from tests.unit.read.support import ReadService, fresh
from tests.unit.support import NOW_MS, change

ORDERS = "/items/orders"
LISTS = ({"filter": "price:ge:0"}, {"sort": "-price"}, {"q": "blue"})
SLOWEST_SECONDS = 6.0
"""The longest that a list may take if the database doesn't respond. The function's timeout is 15 s."""

TIMES = itertools.count(NOW_MS)
"""The time of each world's changes, so that the changes of a later world win."""


class World:
    """A database, and a `query` and a `read` with the same items."""

    def __init__(self, database: Database, service: QueryService | None = None) -> None:
        self.database = database
        self.query = service or database.service()
        self.read = ReadService()
        ms = next(TIMES)
        changes = [
            change(f"p-{n}", data=f'{{"price":{n},"name":"blue"}}', collection="orders", ms=ms) for n in range(3)
        ]
        database.write(changes)
        for service_with_items in (self.query, self.read):
            for entry in changes:
                service_with_items.items.apply(entry)
        self.query.items.sources["desk"] = fresh(0)._replace(fresh_as_of="2999-01-01T00:00:00.000Z")
        self.item = self.read(f"{ORDERS}/{{item_id}}", {"item_id": "p-1"})
        self.plain = self.query(ORDERS)
        assert self.item[0] == self.plain[0] == 200
        self.start = database.servers.writer.log.stat().st_size

    def lists(self) -> list[tuple[int, Any]]:
        """Return the status and the body of each list, and check that everything else is as it was."""
        responses = []
        for parameters in LISTS:
            started = time.monotonic()
            status, body, headers = self.query(ORDERS, query=parameters)
            assert time.monotonic() - started < SLOWEST_SECONDS
            if status == 503:
                assert (headers["Retry-After"], body["code"]) == ("20", "no_reader")
            else:
                assert "Readplane-Stale" not in headers, "the source is fresh, and the header says nothing of readers"
            responses.append((status, [item["id"] for item in body["items"]] if status == 200 else None))
            assert self.read(f"{ORDERS}/{{item_id}}", {"item_id": "p-1"}) == self.item
            assert self.query(ORDERS) == self.plain
        assert connections_of_query(self.database.servers.writer, self.start) == 0, "the writer serves no list"
        return responses


SERVED = [(200, ["p-0", "p-1", "p-2"]), (200, ["p-2", "p-1", "p-0"]), (200, ["p-0", "p-1", "p-2"])]
REFUSED = [(503, None)] * 3


def test_lists_are_503_while_no_reader_runs_and_come_back_with_it(database: Database) -> None:
    world = World(database)
    assert world.lists() == SERVED
    database.servers.stop_reader()
    assert world.lists() == REFUSED
    database.servers.start()
    assert world.lists() == SERVED


def test_lists_are_503_while_the_servers_are_frozen(database: Database) -> None:
    world = World(database, database.service(statement_seconds=1))
    assert world.lists() == SERVED
    database.servers.freeze()
    try:
        assert world.lists() == REFUSED
    finally:
        database.servers.thaw()
    assert world.lists() == SERVED


def test_lists_are_old_while_the_reader_is_behind_and_503_once_it_is_too_far_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is a little behind is better than none, so its lists are old up to a limit."""
    world = World(database)
    monkeypatch.setattr(lists, "MAX_LAG_SECONDS", 1.5)
    database.servers.pause_replay()
    assert world.lists() == SERVED, "the reader has everything"
    database.servers.execute("UPDATE readplane.orders SET deleted = true WHERE item_id = 'p-1'")
    assert world.lists() == SERVED, "the reader is less than a second behind"
    time.sleep(1.6)
    assert world.lists() == REFUSED
    database.servers.resume_replay()
    database.servers.wait_for_replay()
    without = [(status, [item_id for item_id in ids or () if item_id != "p-1"]) for status, ids in SERVED]
    assert world.lists() == without


def test_a_reader_that_cannot_tell_its_lag_serves_old_lists(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aurora doesn't have the functions that tell the lag, and says so with this error of PostgreSQL."""
    monkeypatch.setattr(lists, "_LAG", "CASE WHEN true THEN generate_series(1, 2) END::float8")
    monkeypatch.setattr(lists, "MAX_LAG_SECONDS", 0.0)
    world = World(database)
    database.servers.pause_replay()
    database.servers.execute("UPDATE readplane.orders SET deleted = true WHERE item_id = 'p-1'")
    time.sleep(0.2)
    assert world.lists() == SERVED, "the lists still have the deleted item"
    database.servers.resume_replay()
    database.servers.wait_for_replay()
    assert "p-1" not in {item_id for _, ids in world.lists() for item_id in ids or ()}


@pytest.fixture
def promotable(tmp_path: Path) -> Iterator[Database]:
    servers = start_postgres(tmp_path / "servers")
    with pytest.MonkeyPatch.context() as patch:
        yield Database(servers, patch)
    servers.stop()


def test_a_reader_that_becomes_a_writer_serves_no_further_list(promotable: Database) -> None:
    """The connection is older than the failover, and Aurora doesn't close it."""
    world = World(promotable)
    assert world.lists() == SERVED
    promotable.servers.promote_reader()
    promoted = promotable.servers._reader()
    assert world.lists() == REFUSED
    connections = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'query'"
    assert promotable.servers.execute(connections, reader=True) == [(0,)]
    assert promoted.alive
    allowed = promotable.service(reads_from_writer=True)
    assert allowed(ORDERS, query={"sort": "price"})[0] == 200


def test_an_endpoint_that_leads_to_the_writer_serves_lists_only_if_it_may(database: Database) -> None:
    """Aurora's reader endpoint leads to the writer if no reader is left."""
    database.write([change("p-1", data='{"price":1}', collection="orders", ms=next(TIMES))])
    port = database.servers.writer_port
    status, body, headers = database.service(port)(ORDERS, query={"sort": "price"})
    assert (status, body["code"], headers["Retry-After"]) == (503, "no_reader", "20")
    connections = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'query'"
    assert database.servers.execute(connections) == [(0,)], "the connection is closed"
    status, body, _ = database.service(port, reads_from_writer=True)(ORDERS, query={"sort": "price"})
    assert status == 200 and body["items"]


def test_a_list_whose_index_is_not_there_yet_is_a_503(database: Database) -> None:
    world = World(database)
    assert world.lists() == SERVED
    servers = database.servers
    (index,) = servers.execute("SELECT indexname::text FROM pg_indexes WHERE indexdef LIKE '%orders%price%'")[0]
    definition = servers.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", (index,))[0][0]
    servers.execute(f'DROP INDEX readplane."{index}"')
    servers.wait_for_replay()
    service = database.service()
    for parameters in ({"filter": "price:ge:0"}, {"sort": "-price"}):
        status, body, headers = service(ORDERS, query=parameters)
        assert (status, body["code"], headers["Retry-After"]) == (503, "not_migrated", "60")
    assert service(ORDERS, query={"q": "blue"})[0] == 200
    servers.execute(definition)
    servers.wait_for_replay()
    assert service(ORDERS, query={"sort": "-price"})[0] == 200


def test_a_statement_that_takes_too_long_is_a_503(database: Database) -> None:
    servers = database.servers
    world = World(database)
    with servers.connect(autocommit=False) as connection:
        connection.execute("LOCK TABLE readplane.orders IN ACCESS EXCLUSIVE MODE")
        # The next commit makes the writer send the lock to the reader.
        database.write([change("p-1", collection="notices", ms=next(TIMES))])
        status, body, headers = database.service()(ORDERS, query={"sort": "price"})
        assert (status, body["code"], headers["Retry-After"]) == (503, "too_slow", "5")
        assert world.query(ORDERS) == world.plain
    servers.wait_for_replay()
    assert world.lists() == SERVED


def test_role_query_can_write_nothing(database: Database) -> None:
    import psycopg

    for statement in (
        "DELETE FROM readplane.orders",
        "SET default_transaction_read_only = off; DELETE FROM readplane.orders",
        "CREATE TABLE readplane.x ()",
        "SET ROLE readplane_owner",
    ):
        with database.servers.connect(user="query") as connection, pytest.raises(psycopg.Error):
            connection.execute(statement)
