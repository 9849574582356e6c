"""Tests of the whole function `feed`, with a simulated DynamoDB and a real Valkey and PostgreSQL."""

import json
import time
import uuid
from typing import Any

import boto3
import pytest

from readplane.config import VARIABLE, SettingsError
from readplane.entrypoint import CHECK, Entrypoint
from readplane.feed.errors import CommandError
from readplane.feed.handler import check_feed, make_feed
from readplane.model.change import Change
from readplane.model.keys import item_key
from readplane.stores.key_queue import print_message
from tests.unit.mangled_rows import row_of
from tests.unit.stores.support import new_table
from tests.unit.support import ALICE, NOW_MS, change, settings_text

RELATIONAL = {
    "fields": {"price": {"type": "number", "pointer": "/price"}},
    "sort": ["price"],
    "search": {"fields": ["/name"], "language": "simple"},
}
COLLECTIONS = {
    "products": {"read": "public", "relational": RELATIONAL},
    "profiles": {"read": "owner", "relational": {"fields": {}}},
    "orders": {"read": "authenticated"},
}
CACHE = {
    "engine": "valkey",
    "host": "127.0.0.1",
    "port": 1,
    "tls": False,
    "user": None,
    "iam_name": None,
    "serverless": False,
    "generation": 1,
    "collections": ["products", "orders"],
}
DATABASE = {"host": "127.0.0.1", "port": 1, "name": "readplane", "user": "feed", "tls": False}
GOOD: dict[str, Any] = {
    "name": "demo",
    "items_table": "items",
    "horizon_days": 30,
    "collections": COLLECTIONS,
    "cache": CACHE,
    "database": DATABASE,
}


class Context:
    """Lambda's context object of an invocation that has ``ms`` milliseconds from now on."""

    def __init__(self, ms: int) -> None:
        self._ends = time.monotonic() + ms / 1000

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends - time.monotonic()) * 1000)


class Stack:
    """`feed` and its table and stores."""

    def __init__(self, valkey: Any, postgres: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.valkey, self.postgres = valkey, postgres
        _, self.table = new_table()
        settings = GOOD | {
            "items_table": self.table,
            "cache": CACHE | {"port": valkey.port},
            "database": DATABASE | {"port": postgres.writer_port},
        }
        monkeypatch.setenv(VARIABLE, settings_text(settings))
        monkeypatch.setenv("READPLANE_DATABASE_PASSWORD", postgres.passwords["feed"])
        monkeypatch.setenv("READPLANE_DATABASE_OWNER_PASSWORD", postgres.passwords["readplane_owner"])
        self.handler = Entrypoint(make_feed, check_feed)

    def put(self, *changes: Change) -> list[str]:
        for entry in changes:
            boto3.client("dynamodb").put_item(TableName=self.table, Item=row_of(entry))
        return [entry.key for entry in changes]

    def __call__(self, event: Any, ms: int = 4_000) -> Any:
        return self.handler(event, Context(ms))

    def feed(self, store: Any, keys: list[str], ms: int = 4_000) -> list[str]:
        record = {
            "messageId": str(uuid.uuid4()),
            "eventSource": "aws:sqs",
            "body": print_message(store, keys),
            "attributes": {"SentTimestamp": str(NOW_MS)},
        }
        failures = self({"Records": [record]}, ms)["batchItemFailures"]
        assert failures in ([], [{"itemIdentifier": record["messageId"]}])
        return keys if failures else []

    def verify(self, store: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in ("missing", "older", "newer", "extra")}
        cursor, pages = None, 0
        while cursor or not pages:
            page = self({"command": "verify", "store": store, "cursor": cursor, "limit": 3})
            cursor, pages = page["cursor"], pages + 1
            for name, keys in found.items():
                keys += page[name]
        return found

    def rows(self, collection: str = "products") -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.postgres.execute(
            f"SELECT item_id, version, deleted, data FROM readplane.{collection} ORDER BY item_id"
        )
        return rows


@pytest.fixture
def stack(aws: Any, valkey: Any, postgres: Any, monkeypatch: pytest.MonkeyPatch) -> Stack:
    return Stack(valkey, postgres, monkeypatch)


NOTHING: dict[str, list[str]] = {"missing": [], "older": [], "newer": [], "extra": []}


def test_the_stores_follow_the_items_from_the_migration_on(stack: Stack) -> None:
    put, gone = change("a", data='{"name":"x","price":1e2,"n":1.00}'), change("b", data=None)
    owned = change("me", collection="profiles", owner=ALICE)
    keys = stack.put(put, gone, owned)
    assert stack.feed("database", keys) == keys, "there is no table yet"
    plan = stack({"command": "migrate", "dry_run": True})
    assert plan["steps"] and plan["done"] is False and stack({"command": "migrate", "dry_run": True}) == plan
    assert stack({"command": "migrate"}, 60_000)["done"] is True
    assert stack({"command": "migrate", "dry_run": True})["steps"] == []
    assert stack.verify("database")["missing"] == sorted([put.key, owned.key])
    assert stack.feed("database", keys) == [] and stack.feed("database", keys) == []
    assert stack.rows() == [("a", put.version, False, put.data), ("b", gone.version, True, None)]
    assert stack.feed("cache", keys) == []
    with stack.valkey.client() as client:
        assert client.keys() == [f"g1/{put.key}".encode(), f"g1/{gone.key}".encode()] or len(client.keys()) == 2
        value = client.get(f"g1/{put.key}")
        assert value.startswith(put.version.encode()) and value.endswith(put.representation().encode())
        assert client.pttl(f"g1/{put.key}") > 0
    assert stack.verify("database") == stack.verify("cache") == NOTHING
    status = stack({"command": "status"})
    assert status["cache"]["reachable"] is True and status["database"]["reachable"] is True
    json.dumps(status)


def test_a_forgotten_item_leaves_the_database_and_its_successor_may_be_older(stack: Stack) -> None:
    stack({"command": "migrate"}, 60_000)
    gone = change("a", data=None, ms=NOW_MS - 40 * 86_400_000)
    stack.put(gone, change("b"))
    assert stack.feed("database", [gone.key, change("b").key]) == [] and len(stack.rows()) == 2
    boto3.client("dynamodb").delete_item(TableName=stack.table, Key={"pk": {"S": gone.key}})
    assert stack.verify("database")["extra"] == [gone.key]
    assert stack.feed("database", [gone.key]) == [] and [row[0] for row in stack.rows()] == ["b"]
    stack.put(gone)
    assert stack.feed("database", [gone.key]) == []
    older = change("a", ms=NOW_MS - 400 * 86_400_000, accepted_ms=NOW_MS, source="shop")
    stack.put(older)
    assert stack.feed("database", [gone.key]) == []
    assert stack.rows()[0] == ("a", older.version, False, older.data)


def test_a_store_that_is_killed_fails_its_own_messages_and_catches_up_when_it_is_back(stack: Stack) -> None:
    stack({"command": "migrate"}, 60_000)
    first, second = stack.put(change("a")), stack.put(change("b"))
    assert stack.feed("database", first) == stack.feed("cache", first) == []
    stack.postgres.stop_writer()
    assert stack.feed("database", second, 400) == second and stack.feed("cache", second) == []
    assert stack({"command": "status"})["database"]["reachable"] is False
    stack.postgres.start()
    assert stack.feed("database", second) == [] and len(stack.rows()) == 2
    stack.valkey.kill()
    assert stack.feed("cache", first, 400) == first and stack.feed("database", first) == []
    stack.valkey.restart()
    assert stack.feed("cache", first) == []
    assert stack.verify("cache") == stack.verify("database") == NOTHING


def test_a_store_that_is_frozen_fails_its_own_messages(stack: Stack) -> None:
    stack({"command": "migrate"}, 60_000)
    keys = stack.put(change("a"))
    assert stack.feed("cache", keys) == []
    stack.valkey.freeze()
    assert stack.feed("cache", keys, 400) == keys and stack.feed("database", keys) == []
    stack.valkey.thaw()
    assert stack.feed("cache", keys) == []


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({"command": "flush"}, "command must be"),
        ({"source": "shop"}, "command must be"),
        ({}, "command must be"),
        ([], "it must be an object"),
        ("Records", "it must be an object"),
        ({"command": "verify", "store": "cache", "cursor": "x"}, "cursor must be"),
    ],
)
def test_unknown_events_are_refused(event: Any, problem: str, stack: Stack) -> None:
    with pytest.raises(CommandError, match=problem):
        stack(event)


def problems(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[str]:
    """Return the problems that the event ``CHECK`` shows. No store is there."""
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | changes))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    found: list[str] = Entrypoint(make_feed, check_feed)(CHECK, Context(1_000))["problems"]
    return found


def test_good_settings_have_no_problem_even_while_no_store_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(monkeypatch) == []
    assert problems(monkeypatch, cache=None) == []
    assert problems(monkeypatch, database=None) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"cache": None, "database": None}, "neither a cache nor a database"),
        ({"cache": CACHE | {"engine": "dax"}}, "cache.engine must be valkey"),
        ({"cache": CACHE | {"collections": ["products", "lost"]}}, "cache.collections names lost"),
        ({"collections": {"products": {"read": "public"}, "orders": {"read": "public"}}}, "no collection has a member"),
    ],
)
def test_the_check_names_what_contradicts(
    changes: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = problems(monkeypatch, **changes)
    assert problem in found


def test_wrong_settings_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as refused:
        problems(monkeypatch, cache=CACHE | {"port": "x"}, database=DATABASE | {"host": 7}, horizon_days=None)
    for path in ("cache.port", "database.host", "horizon_days"):
        assert path in str(refused.value)


def test_an_item_key_names_its_collection() -> None:
    assert item_key("products", "p", None).split("/")[1] == item_key("products", "p", ALICE).split("/")[1] == "products"
