"""Tests that `publish` tells the private stores of every item that changes, and that no store stops another."""

import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.config import VARIABLE, SettingsError, load_settings
from readplane.model.collection import Collection
from readplane.publish.handler import FeedQueue, Publish, PublishSettings, make_publish
from readplane.telemetry import Telemetry
from tests.unit.support import (
    ALICE,
    COLLECTIONS,
    NOW_MS,
    MemoryDocuments,
    MemoryItems,
    MemoryRows,
    change,
    settings_text,
    stream_record,
)

HORIZON_MS = 30 * 86_400_000
FEEDS = {
    "cache": FeedQueue("cache", "https://sqs/cache", frozenset(["products", "profiles"])),
    "database": FeedQueue("database", "https://sqs/database", frozenset(["products"])),
}
GONE = change("gone", data=None, ms=NOW_MS - HORIZON_MS - 86_400_000)


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)


class MemoryQueue:
    """A queue of keys in memory. While ``failure`` is set, sending raises it."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.failure: Exception | None = None

    def send(self, keys: Sequence[str]) -> None:
        if self.failure:
            raise self.failure
        if keys:
            self.sent.append(list(keys))


class Publishing:
    """The function `publish` with two private stores. Call an instance to get the records that come again."""

    def __init__(self, collections: dict[str, Collection] = COLLECTIONS) -> None:
        self.items, self.documents, self.rows = MemoryItems(), MemoryDocuments(), MemoryRows()
        self.queues = {"cache": MemoryQueue(), "database": MemoryQueue()}
        settings = PublishSettings("demo", "t", "d", "b", "quarantine/", 30, collections, FEEDS)
        telemetry = Telemetry("publish", "demo")
        self.publish = Publish(settings, self.items, self.documents, self.rows, telemetry, self.queues)

    def __call__(self, *records: Any) -> list[str]:
        response = self.publish({"Records": list(records)})
        return sorted(failure["itemIdentifier"] for failure in response["batchItemFailures"])

    def sent(self) -> tuple[list[list[str]], list[list[str]]]:
        return self.queues["cache"].sent, self.queues["database"].sent


def test_each_store_gets_the_keys_of_its_collections_once_whatever_changed() -> None:
    publishing = Publishing()
    put, gone, owned = change("a"), change("b", data=None), change("me", collection="profiles", owner=ALICE)
    other = change("o", collection="orders")
    records = [stream_record(None, entry, number) for number, entry in enumerate((put, gone, owned, other), 1)]
    again = stream_record(put, change("a", ms=NOW_MS + 1), 5)
    assert publishing(*records, again) == []
    assert publishing.sent() == ([sorted([put.key, gone.key, owned.key])], [[put.key, gone.key]])


def test_a_mended_item_is_not_sent_because_its_write_comes_back_through_the_stream() -> None:
    publishing = Publishing()
    old, new = change(), change(ms=NOW_MS + 1)
    publishing.items.by_key[old.key] = old
    assert publishing(stream_record(new, old, 1)) == []
    assert publishing.sent() == ([], [])
    assert publishing(stream_record(old, new, 2)) == []
    assert publishing.sent() == ([[new.key]], [[new.key]])


def test_an_undeclared_collection_is_not_sent_even_if_a_store_names_it() -> None:
    publishing = Publishing({})
    gone = change("b", data=None)
    assert (
        publishing(stream_record(None, change("a"), 1), stream_record(None, gone, 2), stream_record(GONE, None, 3))
        == []
    )
    assert publishing.sent() == ([], [])


def test_the_stores_hear_of_an_expired_tombstone_that_dynamodb_has_deleted() -> None:
    publishing = Publishing()
    assert publishing(stream_record(GONE, None, 1)) == []
    assert publishing.sent() == ([[GONE.key]], [[GONE.key]])
    assert publishing.documents.calls == [] and publishing.items.by_key == {}


def test_an_item_put_again_with_a_smaller_version_right_after_is_published() -> None:
    """The tombstone has the greater version, but DynamoDB has forgotten it. The put is what the table holds now."""
    publishing = Publishing()
    old_record = change("gone", ms=NOW_MS - 400 * 86_400_000, accepted_ms=NOW_MS, source="shop")
    assert publishing(stream_record(GONE, None, 1), stream_record(None, old_record, 2)) == []
    assert publishing.documents.texts == {"public/documents/products/gone": old_record.representation()}
    assert publishing.sent() == ([[GONE.key]], [[GONE.key]])


@pytest.mark.parametrize("store", ["cache", "database"])
def test_a_queue_that_fails_makes_its_items_come_again_and_stops_nothing_else(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    publishing = Publishing()
    publishing.queues[store].failure = TimeoutError("secret")
    put, other = change("a"), change("o", collection="orders")
    assert publishing(stream_record(None, other, 1), stream_record(None, put, 2), stream_record(GONE, None, 3)) == [
        "2",
        "3",
    ]
    assert set(publishing.documents.texts) == {"public/documents/products/a", "authenticated/documents/orders/o"}
    (fed,) = [queue.sent for name, queue in publishing.queues.items() if name != store]
    assert fed == [[put.key, GONE.key]]
    out = capsys.readouterr().out
    (event,) = [line for line in map(json.loads, out.splitlines()) if line["event"] == "keys_not_sent"]
    assert event["store"] == store and "secret" not in out


def test_documents_that_fail_do_not_stop_the_keys() -> None:
    publishing = Publishing()
    publishing.documents.fail.add("public/documents/products/a")
    put = change("a")
    assert publishing(stream_record(None, put, 1)) == ["1"]
    assert publishing.sent() == ([[put.key]], [[put.key]])


def test_documents_that_hang_do_not_delay_the_keys() -> None:
    publishing = Publishing()
    sent, put_document = threading.Event(), publishing.documents.put_document
    send = publishing.queues["database"].send

    def send_and_say(keys: Sequence[str]) -> None:
        send(keys)
        sent.set()

    def wait_for_the_keys(key: str, text: str, version: str, cache_control: str) -> None:
        assert sent.wait(10), "the keys wait for the documents"
        put_document(key, text, version, cache_control)

    publishing.queues["database"].send = send_and_say  # type: ignore[method-assign]
    publishing.documents.put_document = wait_for_the_keys  # type: ignore[method-assign]
    assert publishing(*(stream_record(None, change(f"p-{number}"), number) for number in range(50))) == []


VERSIONS = st.integers(0, 3)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.none() | VERSIONS, st.none() | VERSIONS, st.booleans()), max_size=8)
)
def test_every_item_that_a_batch_leaves_with_another_row_is_sent_or_mended(
    steps: list[tuple[str, int | None, int | None, bool]],
) -> None:
    publishing = Publishing()
    records, changed = [], set()
    for number, (item_id, old, new, deletes) in enumerate(steps):
        before, after = (
            None if tick is None else change(item_id, ms=NOW_MS + tick, data=None if deletes else "{}")
            for tick in (old, new)
        )
        if before or after:
            records.append(stream_record(before, after, number))
            changed.add(f"item/products/{item_id}")
    assert publishing(*records) == []
    sent = {key for keys in publishing.queues["cache"].sent for key in keys}
    assert publishing.sent()[0] == publishing.sent()[1]
    assert sent | publishing.items.by_key.keys() >= changed


GOOD: dict[str, Any] = {
    "name": "demo",
    "items_table": "t",
    "documents_bucket": "d",
    "log_bucket": "b",
    "quarantine_prefix": "quarantine/",
    "horizon_days": 30,
    "collections": {"products": {"read": "public"}},
}


def test_the_settings_name_the_queue_of_each_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, settings_text(GOOD))
    assert load_settings(PublishSettings).feeds == {}
    feeds = {"cache": {"queue_url": "q", "collections": ["products"]}}
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | {"feeds": feeds}))
    assert load_settings(PublishSettings).feeds == {"cache": FeedQueue("cache", "q", frozenset(["products"]))}


def test_a_store_that_does_not_exist_is_refused_at_init(monkeypatch: pytest.MonkeyPatch) -> None:
    feeds = {"search": {"queue_url": "q", "collections": ["products"]}}
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | {"feeds": feeds}))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with pytest.raises(SettingsError, match="no other stores than cache, database: search"):
        make_publish()
