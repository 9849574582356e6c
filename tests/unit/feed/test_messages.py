import json
import time
from collections.abc import Iterable, Iterator
from typing import Any, cast

import pytest

from readplane.aws.faults import back_off
from readplane.feed.fed_stores import CacheStore, DatabaseStore
from readplane.feed.item_rows import ItemRows
from readplane.feed.messages import MAX_ROUNDS, MessageFeeder
from readplane.model.change import Change
from readplane.stores.key_queue import MAX_KEYS, StoreName, print_message
from readplane.telemetry import Telemetry
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.feed.support import MemoryResp, MemoryWriter, memory_entries
from tests.unit.mangled_rows import row_of
from tests.unit.support import ALICE, NOW_MS, change

HORIZON_MS = 30 * 86_400_000
COLLECTIONS = frozenset(["products", "profiles"])


class Time:
    """The time of an invocation with 60 seconds. A backoff takes its maximum of this time, and none of the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = NOW_MS
        monkeypatch.setattr("time.time_ns", lambda: self.ms * 1_000_000)

    def pause(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)

    def remaining_ms(self) -> int:
        return NOW_MS + 60_000 - self.ms


class RealTime(Time):
    """The time of an invocation with one real second, for tests in which two stores are written at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self._ends = time.monotonic() + 1

    def pause(self, seconds: float) -> None:
        back_off(seconds)

    def remaining_ms(self) -> int:
        return int((self._ends - time.monotonic()) * 1000)


class Feeding:
    """`feed` with a table and both stores in memory. Call an instance with messages to get those that come again."""

    def __init__(self, clock: Time) -> None:
        self.time = clock
        self.table = MemoryDynamo()
        self.writer = MemoryWriter()
        self.cache = MemoryResp(lambda: clock.ms)
        telemetry = Telemetry("feed", "demo")
        stores: Any = {
            "cache": CacheStore(memory_entries(self.cache), COLLECTIONS),
            "database": DatabaseStore(cast(Any, self.writer), COLLECTIONS),
        }
        rows = ItemRows(self.table, "items", telemetry)
        self.feeder = MessageFeeder(rows, stores, HORIZON_MS, telemetry, pause=clock.pause)

    def put(self, *changes: Change) -> list[str]:
        """Put items into the table, and return their keys."""
        self.table.items |= {entry.key: row_of(entry) for entry in changes}
        return [entry.key for entry in changes]

    def __call__(self, *bodies: str, sent_ms: int = NOW_MS) -> list[str]:
        attributes = {"SentTimestamp": str(sent_ms), "ApproximateReceiveCount": "1"}
        records = [
            {"messageId": str(number), "body": body, "attributes": attributes} for number, body in enumerate(bodies, 1)
        ]
        return sorted(self.feeder.feed_messages(records, self.time.remaining_ms))

    def cached(self, *changes: Change) -> bool:
        """Return whether the cache has exactly the entries of these changes."""
        entries = {key.decode().partition("/")[2]: value for key, (value, _) in self.cache.values.items()}
        versions = {key: value[:36].decode() for key, value in entries.items()}
        return versions == {entry.key: entry.version for entry in changes}


@pytest.fixture
def feeding(monkeypatch: pytest.MonkeyPatch) -> Iterator[Feeding]:
    yield Feeding(Time(monkeypatch))


def both(keys: list[str]) -> list[str]:
    return [print_message("cache", keys), print_message("database", keys)]


def events(capsys: pytest.CaptureFixture[str], code: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if line["event"] == code]


def test_each_store_gets_puts_and_deletes_of_its_messages_only(feeding: Feeding) -> None:
    put, gone, owned = change("a"), change("b", data=None), change("me", collection="profiles", owner=ALICE)
    keys = feeding.put(put, gone, owned)
    assert feeding(print_message("database", keys)) == []
    assert feeding.writer.rows == {put.key: put, gone.key: gone, owned.key: owned} and feeding.cached()
    assert feeding(print_message("cache", keys)) == []
    assert feeding.cached(put, gone, owned)


def test_a_batch_with_messages_of_both_stores_writes_both(feeding: Feeding) -> None:
    first, second = change("a"), change("b")
    feeding.put(first, second)
    assert feeding(print_message("cache", [first.key]), print_message("database", [second.key])) == []
    assert feeding.cached(first) and feeding.writer.rows == {second.key: second}


@pytest.mark.parametrize(("database_is_down", "fault"), [(True, None), (False, "ReadTimeoutError")])
def test_a_store_that_is_down_fails_its_messages_only(
    database_is_down: bool, fault: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeding = Feeding(RealTime(monkeypatch))
    feeding.writer.is_down, feeding.cache.fault = database_is_down, fault
    keys = feeding.put(change("a"))
    assert feeding(*both(keys)) == ["2" if database_is_down else "1"]
    assert (
        feeding.cached(*([change("a")] if database_is_down else [])) and bool(feeding.writer.rows) != database_is_down
    )
    feeding.writer.is_down, feeding.cache.fault = False, None
    feeding.time = Time(monkeypatch)
    assert feeding(*both(keys)) == [] and feeding.cached(change("a")) and list(feeding.writer.rows) == keys


def test_a_store_that_comes_back_soon_gets_the_items_in_the_same_invocation(feeding: Feeding) -> None:
    keys = feeding.put(change("a"))
    calls = []

    def come_back(label: str) -> None:
        calls.append(label)
        feeding.writer.is_down = len(calls) < 5

    feeding.writer.before = come_back
    assert feeding(print_message("database", keys)) == [] and list(feeding.writer.rows) == keys
    assert feeding.time.ms < NOW_MS + 10_000


@pytest.mark.parametrize(
    ("store", "seconds", "code"),
    [("cache", 30, "ReadTimeoutError"), ("database", 20, "UnreachableError: 08006")],
)
def test_a_store_that_stays_down_is_tried_as_long_as_one_more_write_fits_into_the_time(
    store: StoreName, seconds: int, code: str, feeding: Feeding, capsys: pytest.CaptureFixture[str]
) -> None:
    """A statement of the database may take 30 seconds, and a command of the cache 50 milliseconds."""
    feeding.writer.is_down, feeding.cache.fault = True, "ReadTimeoutError"
    keys = feeding.put(*(change(f"p-{number}") for number in range(3)))
    calls: list[str] = []
    feeding.writer.before = feeding.cache.before = calls.append
    assert feeding(*(print_message(store, [key]) for key in keys)) == ["1", "2", "3"]
    assert seconds - 2 <= (feeding.time.ms - NOW_MS) / 1000 <= seconds + 2
    assert len(calls) < 30, "the pauses between the attempts don't grow"
    (event,) = events(capsys, "store_failed")
    assert event["store"] == store and event["error_code"] == code


def test_work_that_does_not_fit_into_the_time_comes_again(feeding: Feeding) -> None:
    changes = [change(f"p-{number}") for number in range(250)]
    keys = feeding.put(*changes)
    feeding.table.fail_call = lambda _: feeding.time.pause(19 if feeding.time.ms == NOW_MS else 2)
    bodies = [print_message("database", keys[start : start + 100]) for start in (0, 100, 200)]
    assert feeding(*bodies) == ["3"], "too little time is left for the third part"
    assert len(feeding.writer.rows) == 200


def test_a_slow_cache_gets_the_items_in_parts_so_that_some_messages_succeed(feeding: Feeding) -> None:
    keys = feeding.put(*(change(f"p-{number:04}") for number in range(1_000)))
    bodies = [print_message("cache", keys[start : start + 100]) for start in range(0, 1_000, 100)]
    feeding.cache.before = lambda _: feeding.time.pause(0.045)
    failures = feeding(*bodies)
    assert 0 < len(failures) < 10 and feeding.time.remaining_ms() > 20_000
    written = {key.decode().partition("/")[2] for key in feeding.cache.values}
    assert {
        str(number) for number in range(1, 11) if not written.issuperset(keys[number * 100 - 100 : number * 100])
    } == {*failures}


@pytest.mark.parametrize("store", ["cache", "database"])
def test_an_invocation_with_little_time_writes_too(store: StoreName, feeding: Feeding) -> None:
    feeding.time.ms = NOW_MS + 50_000
    keys = feeding.put(change("a"))
    assert feeding(print_message(store, keys)) == []


def test_the_items_are_read_consistently_and_each_once(feeding: Feeding) -> None:
    feeding.table.stale = lambda _: pytest.fail("an eventually consistent read")
    keys = feeding.put(*(change(f"p-{number}") for number in range(MAX_KEYS)))
    assert feeding(*(print_message("database", keys) for _ in range(10))) == []
    assert feeding.table.calls == {"BatchGetItem": 1} and feeding.writer.calls == [("upsert", MAX_KEYS)]


def test_a_full_batch_is_ten_reads_and_one_write(feeding: Feeding) -> None:
    keys = feeding.put(*(change(f"p-{number:04}") for number in range(1_000)))
    bodies = [print_message("database", keys[start : start + 100]) for start in range(0, 1_000, 100)]
    assert feeding(*bodies) == []
    assert feeding.table.calls == {"BatchGetItem": 10} and feeding.writer.calls == [("upsert", 1_000)]


def test_large_items_are_written_in_parts(feeding: Feeding) -> None:
    large = json.dumps({"text": "x" * 200_000})
    keys = feeding.put(*(change(f"p-{number}", data=large) for number in range(200)))
    assert feeding(print_message("database", keys[:100]), print_message("database", keys[100:])) == []
    assert feeding.writer.calls == [("upsert", 100), ("upsert", 100)]


def test_an_item_without_a_row_loses_its_entry_if_the_table_can_have_forgotten_it(feeding: Feeding) -> None:
    old, young = change("old", ms=NOW_MS - 40 * 86_400_000), change("young")
    feeding.writer.rows = {old.key: old, young.key: young}
    assert feeding(*both([old.key, young.key])) == []
    assert feeding.writer.rows == {young.key: young}, "`publish` mends the row of the young item"


def test_an_item_without_a_row_gets_an_entry_that_replaces_no_other(feeding: Feeding) -> None:
    put, gone = change("a"), change("b")
    feeding.put(put)
    assert feeding(print_message("cache", [put.key])) == []
    feeding.table.items.clear()
    assert feeding(print_message("cache", [put.key, gone.key])) == []
    assert feeding.cached(put, gone._replace(change_id="00000000-0000-0000-0000-000000000000"))


def test_a_row_that_no_version_guards_is_written_until_the_table_holds_it(feeding: Feeding) -> None:
    puts = [change(ms=NOW_MS - 400 * 86_400_000, tail=tail, accepted_ms=NOW_MS, source="shop") for tail in range(3)]
    feeding.put(puts[0])
    newer = iter(puts[1:])

    def overtake(label: str) -> None:
        for put in newer:
            feeding.put(put)
            return

    feeding.writer.before = overtake
    assert feeding(print_message("database", [puts[0].key])) == []
    assert feeding.writer.rows == {puts[2].key: puts[2]}
    assert feeding.table.calls == {"BatchGetItem": 4} and len(feeding.writer.calls) == 3


def test_a_row_that_changes_all_the_time_comes_again(feeding: Feeding) -> None:
    tails = iter(range(99))

    def overtake(label: str) -> None:
        feeding.put(change(ms=0, tail=next(tails), accepted_ms=NOW_MS))

    overtake("")
    feeding.writer.before = overtake
    assert feeding(print_message("database", [change().key])) == ["1"]
    assert len(feeding.writer.calls) == MAX_ROUNDS


def test_a_malformed_row_is_reported_and_stops_no_other(feeding: Feeding, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = change("good"), change("bad")
    keys = feeding.put(good, bad)
    del feeding.table.items[bad.key]["collection"]  # type: ignore[attr-defined]
    feeding.writer.rows = {bad.key: bad}
    assert feeding(print_message("database", keys)) == []
    assert feeding.writer.rows == {bad.key: bad, good.key: good}
    (event,) = events(capsys, "row_skipped")
    assert event["RowsSkipped"] == 1 and event["key"] == bad.key


@pytest.mark.parametrize("refusal", ["refused", "waiting"])
def test_a_row_that_the_store_cannot_hold_fails_its_message_only(
    refusal: str, feeding: Feeding, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = change("good"), change("bad", collection="profiles", owner=ALICE)
    feeding.put(good, bad)
    getattr(feeding.writer, refusal).add({"refused": "bad", "waiting": "profiles"}[refusal])
    assert feeding(print_message("database", [good.key]), print_message("database", [bad.key])) == ["2"]
    assert feeding.writer.rows == {good.key: good}
    (event,) = events(capsys, "rows_refused")
    code = {"refused": "54000", "waiting": "NotMigrated"}[refusal]
    assert (event["error_code"], event["keys"], event["rows"]) == (code, [bad.key], 1)


def test_items_of_other_collections_are_left_out(feeding: Feeding) -> None:
    keys = feeding.put(change("o", collection="orders"))
    assert feeding(*both(keys)) == [] and feeding.writer.rows == {} and feeding.cached()
    assert not feeding.table.calls


@pytest.mark.parametrize("body", ["{", '{"v":1,"store":"documents","keys":["item/products/p"]}'])
def test_a_message_that_nobody_can_serve_fails_alone(
    body: str, feeding: Feeding, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = feeding.put(change("a"))
    assert feeding(body, print_message("database", keys)) == ["1"] and list(feeding.writer.rows) == keys
    (event,) = events(capsys, "message_refused")
    assert event["message_id"] == "1" and event["KeysFailed"] == 1


def test_a_message_of_a_store_that_this_region_lacks_fails(
    feeding: Feeding, capsys: pytest.CaptureFixture[str]
) -> None:
    del cast(Any, feeding.feeder)._stores["cache"]
    keys = feeding.put(change("a"))
    assert feeding(*both(keys)) == ["1"]
    assert events(capsys, "message_refused")[0]["problem"] == "this Region has no cache"


def test_rows_that_cannot_be_read_fail_their_messages_only(feeding: Feeding) -> None:
    keys = feeding.put(*(change(f"p-{number:03}") for number in range(150)))
    calls: list[str] = []

    def fail_first(operation: str) -> str | None:
        calls.append(operation)
        return "ThrottlingException" if len(calls) == 1 else None

    feeding.table.fail_call = fail_first
    assert feeding(print_message("database", keys[:100]), print_message("database", keys[100:])) == ["1"]
    assert list(feeding.writer.rows) == keys[100:]


def test_an_error_in_the_code_of_a_store_fails_its_rows_and_says_where(
    feeding: Feeding, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(label: str) -> None:
        raise ZeroDivisionError("secret")

    feeding.writer.before = fail
    keys = feeding.put(change("a"))
    assert feeding(*both(keys)) == ["2"]
    out = capsys.readouterr().out
    (event,) = [line for line in map(json.loads, out.splitlines()) if line["event"] == "rows_not_written"]
    assert event["error"] == ["ZeroDivisionError"] and "secret" not in out


def metrics(lines: Iterable[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the metrics of each store."""
    found = {}
    for line in lines:
        (group,) = line["_aws"]["CloudWatchMetrics"]
        assert group["Dimensions"] == [["Stack"]]
        found[line["store"]] = {metric["Name"]: line[metric["Name"]] for metric in group["Metrics"]}
    return found


def test_metrics_say_what_was_fed_and_how_late(feeding: Feeding, capsys: pytest.CaptureFixture[str]) -> None:
    keys = feeding.put(change("a"), change("b"))
    feeding.writer.refused.add("b")
    feeding(*both(keys), sent_ms=NOW_MS - 1_500)
    assert metrics(events(capsys, "keys_fed")) == {
        "cache": {"KeysFed": 2, "KeysFailed": 0, "FieldsNotIndexed": 0, "FeedLag": 1.5},
        "database": {"KeysFed": 1, "KeysFailed": 1, "FieldsNotIndexed": 2, "FeedLag": 1.5},
    }


@pytest.mark.parametrize("store", ["cache", "database"])
def test_feeding_twice_changes_nothing(store: StoreName, feeding: Feeding) -> None:
    keys = feeding.put(change("a"), change("b", data=None), change("c", ms=0, accepted_ms=NOW_MS))
    feeding(print_message(store, keys))
    before = dict(feeding.writer.rows), dict(feeding.cache.values)
    assert feeding(print_message(store, keys)) == []
    assert (feeding.writer.rows, feeding.cache.values) == before
