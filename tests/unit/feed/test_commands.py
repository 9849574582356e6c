from typing import Any, cast

import pytest

from readplane.feed.commands import (
    CommandServer,
    ForgetCommand,
    MigrateCommand,
    StatusCommand,
    VerifyCommand,
    parse_command,
)
from readplane.feed.errors import CommandError, StoreFaultError
from readplane.feed.fed_stores import CacheStore, DatabaseStore
from readplane.feed.item_rows import ItemRows
from readplane.model.change import Change
from readplane.telemetry import Telemetry
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.feed.support import MemoryResp, MemoryWriter, memory_entries
from tests.unit.mangled_rows import row_of
from tests.unit.support import ALICE, BOB, NOW_MS, change

COLLECTIONS = frozenset(["products", "profiles"])
DIFFERENCES = ("missing", "older", "newer", "extra")


@pytest.mark.parametrize(
    ("event", "command"),
    [
        ({"command": "status"}, StatusCommand()),
        ({"command": "migrate"}, MigrateCommand(dry_run=False)),
        ({"command": "migrate", "dry_run": False}, MigrateCommand(dry_run=False)),
        ({"command": "migrate", "dry_run": True}, MigrateCommand(dry_run=True)),
        ({"command": "verify", "store": "cache"}, VerifyCommand("cache", None, 1_000)),
        ({"command": "verify", "store": "database", "cursor": "x", "limit": 1}, VerifyCommand("database", "x", 1)),
        ({"command": "verify", "store": "database", "cursor": None}, VerifyCommand("database", None, 1_000)),
        ({"command": "forget", "owner": ALICE}, ForgetCommand(ALICE)),
    ],
)
def test_commands_are_parsed(event: dict[str, Any], command: object) -> None:
    assert parse_command(event) == command


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({}, "command must be"),
        ({"command": "drop"}, "command must be"),
        ({"command": None}, "command must be"),
        ({"command": ["status"]}, "command must be"),
        ({"command": "status", "store": "cache"}, "have no other members"),
        ({"command": "migrate", "password": "secret"}, "have no other members"),
        ({"command": "migrate", "dry_run": "true"}, "dry_run must be true or false"),
        ({"command": "migrate", "dry_run": 1}, "dry_run must be true or false"),
        ({"command": "verify"}, "command must be"),
        ({"command": "verify", "store": "documents"}, "store must be one of cache, database"),
        ({"command": "verify", "store": "cache", "cursor": 1}, "cursor must be null"),
        ({"command": "verify", "store": "cache", "limit": 0}, "limit must be a whole number from 1 to 1000"),
        ({"command": "verify", "store": "cache", "limit": 1_001}, "limit must be"),
        ({"command": "verify", "store": "cache", "limit": True}, "limit must be"),
        ({"command": "verify", "store": "cache", "host": "evil"}, "have no other members"),
        ({"command": "forget"}, "command must be"),
        ({"command": "forget", "owner": ""}, "owner must be the sub of a user"),
        ({"command": "forget", "owner": "a'; secret"}, "owner must be the sub of a user"),
        ({"command": "forget", "owner": None}, "owner must be the sub of a user"),
        ({"source": "shop"}, "command must be"),
    ],
)
def test_other_events_are_refused_with_what_is_wrong(event: dict[str, Any], problem: str) -> None:
    with pytest.raises(CommandError, match=problem) as refused:
        parse_command(event)
    assert "secret" not in str(refused.value) and "evil" not in str(refused.value)


class Commands:
    """The commands of `feed` with a table and both stores in memory."""

    def __init__(self) -> None:
        self.table = MemoryDynamo()
        self.writer = MemoryWriter()
        self.cache = MemoryResp(lambda: NOW_MS)
        self.entries = memory_entries(self.cache)
        self.migrations: list[bool] = []
        rows = ItemRows(self.table, "items", Telemetry("feed", "demo"))
        stores: Any = {
            "cache": CacheStore(self.entries, COLLECTIONS),
            "database": DatabaseStore(cast(Any, self.writer), COLLECTIONS),
        }
        self.server = CommandServer(rows, stores, self.migrate)

    def migrate(self, dry_run: bool) -> dict[str, Any]:
        self.migrations.append(dry_run)
        return {"steps": ["CREATE TABLE"], "done": not dry_run}

    def put(self, *changes: Change, store: str | None = None) -> None:
        for entry in changes:
            if store is None:
                self.table.items[entry.key] = row_of(entry)
            elif store == "database":
                self.writer.rows[entry.key] = entry
            else:
                self.entries.put_newer(self.entries.make_entry(entry.key, entry, NOW_MS))

    def verify(self, store: str, limit: int = 1_000) -> dict[str, Any]:
        """Verify a store to the end. Return the differences and the number of compared items, and of pages."""
        total: dict[str, Any] = {name: [] for name in DIFFERENCES} | {"compared": 0, "pages": 0}
        cursor = None
        while True:
            event = {"command": "verify", "store": store, "cursor": cursor, "limit": limit}
            page = self.server.serve(parse_command(event))
            assert page["store"] == store and page["compared"] <= limit
            for name in DIFFERENCES:
                total[name] = sorted(total[name] + page[name])
            total["compared"] += page["compared"]
            total["pages"] += 1
            cursor = page["cursor"]
            if cursor is None:
                return total


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)


@pytest.mark.parametrize("dry_run", [True, False])
def test_migrate_passes_on_whether_it_may_change_anything(dry_run: bool) -> None:
    commands = Commands()
    answer = commands.server.serve(MigrateCommand(dry_run))
    assert answer == {"steps": ["CREATE TABLE"], "done": not dry_run} and commands.migrations == [dry_run]


def test_a_region_without_the_store_says_so() -> None:
    server = CommandServer(ItemRows(MemoryDynamo(), "items", Telemetry("feed", "demo")), {}, None)
    with pytest.raises(CommandError, match="this Region has no database to migrate"):
        server.serve(MigrateCommand(dry_run=True))
    with pytest.raises(CommandError, match="this Region has no cache to verify"):
        server.serve(VerifyCommand("cache", None, 1))
    assert server.serve(StatusCommand()) == {}


def test_status_shows_each_store_even_if_another_is_down() -> None:
    commands = Commands()
    commands.put(change(), store="database")
    up = {"reachable": True, "products": {"rows": 1}}
    assert commands.server.serve(StatusCommand()) == {
        "cache": {"reachable": True, "collections": ["products", "profiles"]},
        "database": up,
    }
    commands.cache.fault = "ConnectTimeoutError"
    assert commands.server.serve(StatusCommand()) == {
        "cache": {"reachable": False, "fault": "ConnectTimeoutError"},
        "database": up,
    }


def test_verify_of_a_store_that_is_down_is_an_error() -> None:
    commands = Commands()
    commands.put(change())
    commands.writer.is_down, commands.cache.fault = True, "ReadTimeoutError"
    for store in ("cache", "database"):
        with pytest.raises(StoreFaultError):
            commands.verify(store)


OWNED = change("me", collection="profiles", owner=ALICE)


@pytest.mark.parametrize("limit", [1, 2, 3, 1_000])
def test_verify_finds_every_difference_of_the_database_on_whichever_page(limit: int) -> None:
    commands = Commands()
    same, older, newer, extra, missing = (change(name) for name in ("same", "older", "newer", "extra", "missing"))
    gone, forgotten, other = change("gone", data=None), change("forgotten", data=None), change("o", collection="orders")
    commands.put(same, change("older", ms=NOW_MS + 1), newer, missing, gone, forgotten, other, OWNED)
    commands.table.items["source/shop"] = {"pk": {"S": "source/shop"}}
    commands.put(same, older, change("newer", ms=NOW_MS + 1), extra, gone, OWNED, store="database")
    found = commands.verify("database", limit)
    assert {name: found[name] for name in DIFFERENCES} == {
        "missing": [missing.key],
        "older": [older.key],
        "newer": [newer.key],
        "extra": [extra.key],
    }
    assert found["pages"] == 1 + len(COLLECTIONS) if limit == 1_000 else found["pages"] >= 6


def test_a_cache_lacks_nothing_and_has_nothing_too_much() -> None:
    commands = Commands()
    older, newer, extra = change("older"), change("newer"), change("extra")
    commands.put(change("older", ms=NOW_MS + 1), newer, change("absent"), OWNED)
    commands.put(older, change("newer", ms=NOW_MS + 1), extra, OWNED, store="cache")
    found = commands.verify("cache", 2)
    assert {name: found[name] for name in DIFFERENCES} == {
        "missing": [],
        "older": [older.key],
        "newer": [newer.key],
        "extra": [],
    }


def test_an_entry_of_an_item_that_did_not_exist_differs_from_nothing() -> None:
    commands = Commands()
    commands.put(change())
    commands.entries.put_newer(commands.entries.make_entry(change().key, None, NOW_MS))
    assert not any(commands.verify("cache")[name] for name in DIFFERENCES)


def test_a_malformed_row_differs_from_nothing() -> None:
    commands = Commands()
    commands.put(change())
    commands.table.items[change().key] = {"pk": {"S": change().key}, "version": {"N": "5"}}
    commands.put(change(), store="database")
    assert not any(commands.verify("database")[name] for name in DIFFERENCES)


@pytest.mark.parametrize("feeds_first", [True, False])
def test_a_write_during_the_comparison_is_no_difference(feeds_first: bool) -> None:
    """`feed` writes an item between the two reads, before or after the table is read again."""
    commands = Commands()
    old, new = change(), change(ms=NOW_MS + 1)
    commands.put(old if feeds_first else new)
    commands.put(new if feeds_first else old, store="database")
    reads = []

    def write(label: str) -> None:
        reads.append(label)
        if len(reads) == 2:
            commands.put(new, store="database")

    if feeds_first:
        # The page was read before the item was put, and the store was read after that.
        commands.table.fail_call = lambda operation: commands.put(new) if operation == "BatchGetItem" else None
    commands.writer.before = write
    page = commands.server.serve(VerifyCommand("database", None, 1_000))
    assert page["compared"] == 1 and not any(page[name] for name in DIFFERENCES)


@pytest.mark.parametrize(
    "cursor",
    ["", "{", "null", "[]", '["database"]', '["cache",0,null]', '["database",3,null]', '["database",-1,null]',
     '["database",true,null]', '["database",0,7]', '["database",0,""]', '["database","0",null]', "[" * 100_000],
)  # fmt: skip
def test_a_cursor_of_no_page_is_refused(cursor: str) -> None:
    with pytest.raises(CommandError, match="cursor must be"):
        Commands().server.serve(VerifyCommand("database", cursor, 10))


def test_forget_removes_the_tombstones_of_an_owner_from_the_database() -> None:
    commands = Commands()
    commands.put(
        change("gone", data=None, collection="profiles", owner=ALICE),
        change("living", collection="profiles", owner=ALICE),
        change("gone", data=None, collection="profiles", owner=BOB),
        store="database",
    )
    forget = parse_command({"command": "forget", "owner": ALICE})
    assert commands.server.serve(forget) == {
        "cache": {"removed": 0, "left": 0},
        "database": {"removed": 1, "left": 1},
    }
    assert len(commands.writer.rows) == 2
    commands.writer.is_down = True
    with pytest.raises(StoreFaultError):
        commands.server.serve(forget)
