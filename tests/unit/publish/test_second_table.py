"""Tests of `publish` while there are two items tables: whose records it takes, and that a switch loses nothing."""

import json
import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ops.cli.items_fill import FilledItems
from readplane.config import DAY_MS, VARIABLE, load_settings
from readplane.model.change import Change
from readplane.publish.handler import FeedQueue, Publish, PublishSettings, SecondTable, make_publish, table_of
from readplane.stores.documents import S3Documents
from readplane.stores.items import DynamoItems
from readplane.stores.key_queue import KeyQueue
from readplane.stores.rows import FILLED, change_of
from readplane.stores.versioned_documents import S3NewerDocuments
from readplane.telemetry import Telemetry
from tests.fakes.dynamodb import MemoryDynamo
from tests.fakes.expressions import Item
from tests.reliability.aws import Buckets
from tests.reliability.machine import InlineExecutor, Machine
from tests.unit.publish.test_handler import HORIZON_MS, NO_COLLECTION, row_record
from tests.unit.support import (
    COLLECTIONS,
    NOW_MS,
    MemoryDocuments,
    MemoryItems,
    MemoryRows,
    change,
    settings_text,
    stream_record,
)

PATH = "public/documents/products/p-1"


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)


class RecordedDocuments(MemoryDocuments):
    """Documents in memory with the interface for two tables. ``writes`` lists the calls with their conditions."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[str, str, bool]] = []

    def put_newer(
        self, key: str, text: str, version: str, cache_control: str, *, rewrite: bool, may_create: Any
    ) -> None:
        self.writes.append((json.loads(text)["as_of"], version, rewrite))
        if may_create():
            self.put_document(key, text, version, cache_control)

    def remove_older(self, key: str, version: str) -> None:
        self.writes.append(("removed", version, False))
        self.remove_document(key)


class MemoryKeys:
    """A queue of keys in memory."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def send(self, keys: Sequence[str]) -> None:
        self.keys += keys


class Publishing:
    """The function `publish` with a live and a second table in memory."""

    def __init__(self, *, follows: bool, has_second: bool = True) -> None:
        self.items, self.second = MemoryItems(), MemoryItems()
        self.documents, self.rows, self.queue = RecordedDocuments(), MemoryRows(), MemoryKeys()
        feeds = {"cache": FeedQueue("cache", "q", frozenset(COLLECTIONS))}
        name = "second" if has_second else None
        settings = PublishSettings("demo", "live", "d", "b", "quarantine/", 30, COLLECTIONS, feeds, name, follows)
        second = SecondTable(self.second, self.documents) if has_second else None
        telemetry, queues = Telemetry("publish", "demo"), {"cache": self.queue}
        self.publish = Publish(settings, self.items, self.documents, self.rows, telemetry, queues, second=second)

    def __call__(self, table: str | None, *records: Any) -> list[str]:
        response = self.publish({"Records": [of_table(table, record) for record in records]})
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def of_table(table: str | None, record: Any) -> Any:
    """Return a record of the stream of a table; ``None`` for a record that doesn't name its stream."""
    if table is None:
        return record
    arn = f"arn:aws:dynamodb:eu-central-1:123456789012:table/{table}/stream/2026-11-21T08:00:00.000"
    return record | {"eventSourceARN": arn}


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("table", ["live", None])
def test_a_record_of_the_live_table_is_published_as_ever_and_compared(table: str | None, follows: bool) -> None:
    publishing = Publishing(follows=follows)
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    assert publishing(table, stream_record(old, new)) == []
    assert publishing.documents.writes == [(new.accepted_at, new.version, True)]
    assert publishing.documents.texts == {PATH: new.representation()} and publishing.queue.keys == [new.key]
    assert publishing(table, stream_record(new, old)) == [], "the version went down"
    assert publishing.items.by_key == {new.key: new} and publishing.second.by_key == {}


def test_a_late_put_does_not_create_the_document_of_an_item_that_is_deleted_by_now() -> None:
    publishing = Publishing(follows=True)
    put, gone = change(ms=NOW_MS), change(ms=NOW_MS + 1, data=None)
    publishing.items.by_key[put.key] = gone
    assert publishing("live", stream_record(None, put)) == [] and publishing.documents.texts == {}
    publishing.items.by_key[put.key] = put
    assert publishing("live", stream_record(None, put)) == [] and publishing.documents.texts != {}


@pytest.mark.parametrize("follows", [False, True])
def test_a_regression_in_the_second_table_is_mended_there(follows: bool) -> None:
    publishing = Publishing(follows=follows)
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    publishing.second.by_key[old.key] = old
    assert publishing("second", stream_record(new, old, 1), stream_record(change("p-2"), None, 2)) == []
    assert publishing.second.by_key == {new.key: new, change("p-2").key: change("p-2")}
    assert publishing.items.by_key == {} and publishing.documents.calls == [] and publishing.queue.keys == []


@pytest.mark.parametrize("follows", [False, True])
def test_a_followed_change_is_published_as_the_live_table_holds_it(follows: bool) -> None:
    publishing = Publishing(follows=follows)
    twin, live = change(accepted_ms=NOW_MS + 3), change(accepted_ms=NOW_MS + 7)
    other = change("p-2")
    publishing.items.by_key[live.key] = live
    publishing.items.by_key[other.key] = change("p-2", ms=NOW_MS + 1)
    assert publishing("second", stream_record(None, twin, 1), stream_record(None, other, 2)) == []
    assert publishing.documents.writes == [(live.accepted_at, live.version, False)]
    assert publishing.queue.keys == [live.key], "the other item has a greater version in the live table"


def filled(record: Any) -> Any:
    """Mark the new image of a record as written by `rebuild items fill`."""
    row = record["dynamodb"]["NewImage"]
    row[FILLED] = row["version"]
    return record


@pytest.mark.parametrize("follows", [False, True])
def test_what_the_fill_has_written_is_mended_but_not_followed(follows: bool) -> None:
    publishing = Publishing(follows=follows)
    publishing.publish._items = FailingItems()
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    gone, undeclared = change("bad", data=None), change("bad", collection="no", data=None)
    records = [filled(stream_record(None, each, 1)) for each in (change("bad"), gone, undeclared)]
    assert publishing("second", *records, filled(stream_record(new, old, 2))) == []
    assert publishing.second.by_key == {new.key: new}, "the fill's row of the other Region has replaced a newer one"
    assert publishing.documents.calls == [] and publishing.queue.keys == []


@pytest.mark.parametrize("follows", [False, True])
def test_a_row_that_the_fill_writes_again_hides_no_change_of_apply(follows: bool) -> None:
    publishing = Publishing(follows=follows)
    put, newer = change(), change(ms=NOW_MS + 1)
    publishing.items.by_key[put.key] = put
    records = [stream_record(None, put, 1), filled(stream_record(put, put, 2)), filled(stream_record(put, newer, 3))]
    assert publishing("second", *records) == []
    assert publishing.documents.texts == {PATH: put.representation()} and publishing.queue.keys == [put.key]


def test_a_mark_of_an_earlier_version_says_nothing() -> None:
    publishing = Publishing(follows=False)
    earlier, put = filled(stream_record(None, change())), change(ms=NOW_MS + 1)
    publishing.items.by_key[put.key] = put
    record = stream_record(change(), put)
    record["dynamodb"]["NewImage"][FILLED] = earlier["dynamodb"]["NewImage"][FILLED]
    assert publishing("second", record) == [] and publishing.queue.keys == [put.key]


def test_a_filled_row_of_the_live_table_is_published() -> None:
    publishing = Publishing(follows=True)
    assert publishing("live", filled(stream_record(None, change()))) == []
    assert publishing.documents.texts == {PATH: change().representation()}


def test_a_tombstone_that_expires_in_the_second_table_is_forgotten() -> None:
    publishing = Publishing(follows=False)
    expired = change(data=None, ms=NOW_MS - HORIZON_MS - 86_400_000)
    assert publishing("second", stream_record(expired, None)) == []
    assert publishing.queue.keys == [expired.key] and publishing.documents.calls == []


def test_a_malformed_row_of_the_second_table_is_quarantined() -> None:
    publishing = Publishing(follows=False)
    assert publishing("second", row_record(None, NO_COLLECTION, 1)) == []
    assert publishing.rows.rows == [NO_COLLECTION]


class FailingItems(MemoryItems):
    """Items of which some can't be read."""

    def get_item(self, key: str, *, consistent: bool = False) -> Change | None:
        assert consistent
        if key.endswith("/bad"):
            raise TimeoutError
        return super().get_item(key)


def test_a_row_of_the_live_table_that_cannot_be_read_comes_again_and_stops_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    publishing = Publishing(follows=True)
    publishing.publish._items = FailingItems()
    records = [stream_record(None, change("bad"), 1), stream_record(None, change("bad", ms=NOW_MS + 1), 2)]
    assert publishing("second", stream_record(None, change("good"), 0), *records) == ["1"]
    assert list(publishing.documents.texts) == ["public/documents/products/good"]
    assert publishing.queue.keys == [change("good").key]
    assert "publish_failed" in capsys.readouterr().out


@pytest.mark.parametrize("has_second", [False, True])
def test_records_of_a_table_that_the_settings_do_not_name_are_left_alone(
    has_second: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    publishing = Publishing(follows=True, has_second=has_second)
    new, old = change(ms=NOW_MS + 1), change()
    table = "third" if has_second else "second"
    records = [stream_record(new, old, 1), stream_record(None, change("p-2"), 2), row_record(None, NO_COLLECTION, 3)]
    assert publishing(table, *records) == []
    assert publishing.items.by_key == publishing.second.by_key == {} and publishing.documents.calls == []
    assert publishing.queue.keys == [] and publishing.rows.rows == []
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["event"], line["table"]) == ("table_not_known", table)


def test_without_a_second_table_no_row_is_read_and_no_document_compared() -> None:
    publishing = Publishing(follows=False, has_second=False)
    publishing.publish._items = FailingItems()
    assert (
        publishing("live", stream_record(None, change("bad"), 1), stream_record(None, change("b", data=None), 2)) == []
    )
    assert publishing.documents.writes == [] and len(publishing.documents.calls) == 2


def test_the_table_of_a_batch_is_in_the_arn_of_its_stream() -> None:
    assert table_of([of_table("demo-items-2", {})]) == "demo-items-2"
    assert table_of([{}]) is table_of([]) is table_of([{"eventSourceARN": "arn:aws:kinesis:r:1:stream/x"}]) is None


@pytest.mark.usefixtures("aws")
def test_heartbeats_count_in_each_table_that_the_settings_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = PublishSettings("demo", "live", "d", "b", "quarantine/", 30, COLLECTIONS)._asdict()
    settings |= {"collections": {}, "feeds": {}, "second_table": "second", "follows_second": True}
    monkeypatch.setenv(VARIABLE, settings_text(settings))
    assert load_settings(PublishSettings)[-2:] == ("second", True)
    publish = make_publish()
    row = {"pk": {"S": "heartbeat/eu-west-1"}, "sent_at": {"S": "2026-11-18T08:00:00Z"}}
    record = {"dynamodb": {"SequenceNumber": "1", "NewImage": row}}
    for table, is_reported in (("live", True), (None, True), ("second", True), ("third", False)):
        publish({"Records": [of_table(table, record)]}, None)
        assert ("heartbeat_received" in capsys.readouterr().out) == is_reported
    del settings["second_table"], settings["follows_second"]
    monkeypatch.setenv(VARIABLE, settings_text(settings))
    assert load_settings(PublishSettings)[-2:] == (None, False)


# -- the switch ------------------------------------------------------------------------------------------------------


class StreamedTable(MemoryDynamo):
    """A table whose stream gets one record for each write."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.stream: list[Any] = []

    def _write(self, pk: str, item: Item) -> None:
        old = self.items.get(pk)
        super()._write(pk, item)
        images = {"NewImage": item} | ({"OldImage": old} if old else {})
        self.stream.append(of_table(self.table, {"dynamodb": {"SequenceNumber": "1", **images}}))


class Switch:
    """A Region in which old and new versions of `apply`, `publish` and `feed` run side by side, in any mixture.

    Each version takes one of the tables for the live one. There is no new version before the fill has ended.

    :param old: the live table of the old version, and whether it follows the second one.
    :param new: the same of the new version.
    """

    def __init__(self, seed: int, old: tuple[str, bool], new: tuple[str, bool]) -> None:
        self.draw = random.Random(seed)
        self.tables = {name: StreamedTable(name) for name in ("1", "2")}
        self.lives = (old[0], new[0])
        self.fills: list[Change] = []
        self.bucket, self.queue = Buckets(), MemoryKeys()
        self.versions: dict[str, str] = {}
        self.bucket.on_put = self._check_document
        self.store: dict[str, str] = {}
        self.publishes = [self._make_publish(*old), self._make_publish(*new)]

    def _make_publish(self, live: str, follows: bool) -> Publish:
        items = {name: DynamoItems(table, name, horizon_ms=HORIZON_MS) for name, table in self.tables.items()}
        second = "2" if live == "1" else "1"
        feeds = {"database": FeedQueue("database", "q", frozenset(COLLECTIONS))}
        queues: dict[str, KeyQueue] = {"database": self.queue}
        return Publish(
            PublishSettings("demo", live, "d", "b", "quarantine/", 30, COLLECTIONS, feeds, second, follows),
            items[live],
            S3Documents(self.bucket, "d"),
            MemoryRows(),
            Telemetry("publish", "demo"),
            queues,
            second=SecondTable(items[second], S3NewerDocuments(self.bucket, "d")),
            make_workers=lambda: InlineExecutor(cast(Machine, SimpleNamespace(random=self.draw))),
        )

    def _check_document(self, key: str, parameters: Any) -> None:
        """Check that no older document replaces a newer one."""
        version = parameters["Metadata"]["readplane-version"] if parameters else ""
        assert not parameters or version >= self.versions.get(key, ""), "an older document replaces a newer one"
        self.versions[key] = version

    def play(self, changes: Sequence[Change], fills: Sequence[Change] = ()) -> None:
        """Apply changes one after another or at once, and publish and feed them with any delay.

        :param fills: the changes that the fill writes, too.
        """
        self.fills = list(fills)
        writes: list[list[tuple[str, Change]]] = [[("", entry)] for entry in changes]
        while True:
            steps: list[Any] = [(self._write, parts) for parts in writes[: self.draw.choice([1, 1, 3])] if parts]
            steps += [(self._publish, table.stream) for table in self.tables.values() if table.stream]
            steps += [(self._feed, self.queue.keys)] if self.queue.keys else []
            steps += [(self._fill, self.fills)] if self.fills else []
            writes = [parts for parts in writes if parts]
            if not steps and not writes:
                return
            if steps:
                step, argument = self.draw.choice(steps)
                step(argument)

    def _version(self) -> int:
        """Draw the version that serves something: 0 for the old one, 1 for the new one."""
        return 0 if self.fills else self.draw.randrange(2)

    def _fill(self, fills: list[Change]) -> None:
        FilledItems(self.tables["2"], "2", horizon_ms=HORIZON_MS, clock=lambda: NOW_MS).apply(fills.pop(0))

    def _write(self, parts: list[tuple[str, Change]]) -> None:
        """Let `apply` write a change to the next table. An empty name stands for the two writes to come."""
        name, entry = parts.pop(0)
        if not name:
            live = self.lives[self._version()]
            parts += [(live, entry), ("2" if live == "1" else "1", entry)]
            return
        DynamoItems(self.tables[name], name, horizon_ms=HORIZON_MS).apply(entry)

    def _publish(self, stream: list[Any]) -> None:
        number = self.draw.choice([1, 1, 2])
        assert self.publishes[self._version()]({"Records": stream[:number]}) == {"batchItemFailures": []}
        del stream[:number]

    def _feed(self, keys: list[str]) -> None:
        """Let `feed` compare the store with the table that its version takes for the live one."""
        row = self.tables[self.lives[self._version()]].items.get(keys.pop(0))
        if row is not None:
            self.store["p-1"] = max(change_of(row).version, self.store.get("p-1", ""))


AGES_MS = (300_000, DAY_MS // 3, 2 * DAY_MS, 9 * DAY_MS)
"""How old the changes may be. A replay and a redriven dead letter bring old ones, while new ones come."""


@pytest.mark.parametrize(
    ("old", "new"), [(("1", False), ("2", True)), (("2", True), ("1", True))], ids=["switch", "back"]
)
def test_a_switch_loses_nothing_whichever_versions_serve_which_records(
    old: tuple[str, bool], new: tuple[str, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(400):
        draw = random.Random(f"changes {seed}")
        first_ms = NOW_MS - draw.choice(AGES_MS)
        changes = [
            change(ms=first_ms + tick, accepted_ms=first_ms + tick, data=draw.choice(['{"n":1}', None]))
            for tick in range(draw.choice([2, 3]))
        ]
        region = Switch(seed, old, new)
        is_filled = not old[1] and draw.random() < 0.5  # only a building table is filled
        region.play(changes, [each for each in changes if is_filled and draw.random() < 0.5])
        newest = changes[-1]
        assert {change_of(table.items[newest.key]) for table in region.tables.values()} == {newest}
        expected = {} if newest.data is None else {PATH: newest.representation().encode()}
        assert region.bucket.objects == expected, f"seed {seed}"
        assert region.store == {"p-1": newest.version}, f"seed {seed}"
    capsys.readouterr()
