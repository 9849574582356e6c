"""apply and publish."""

import json
from collections.abc import Callable, Iterator
from itertools import chain, pairwise, repeat
from typing import Any
from urllib.parse import quote

import pytest

from readplane.apply.handler import Apply, ApplySettings
from readplane.apply.queue import ApplyQueue
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.model.change import Change, PoisonError
from readplane.publish.handler import Publish, PublishSettings
from readplane.stores.items import ApplyOutcome
from readplane.telemetry import Telemetry
from tests.unit.support import (
    ALICE,
    COLLECTIONS,
    NOW_MS,
    MemoryDocuments,
    MemoryItems,
    MemoryLog,
    change,
    event,
    kinesis_event,
    stream_record,
)

HORIZON_MS = 30 * 86_400_000
KEY = "log/year=2026/month=11/day=21/hour=08/demo-1-2026-11-21-08-10-00-abc.gz"
EVENT = event("log_object")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)


class MemoryNotifications:
    def __init__(self) -> None:
        self.again: list[tuple[str, int]] = []

    def again_in(self, receipt_handle: str, seconds: int) -> None:
        self.again.append((receipt_handle, seconds))


def apply_with(
    items: MemoryItems, log: MemoryLog, notifications: ApplyQueue | None = None, left_ms: Iterator[int] | None = None
) -> Callable[[Any], Any]:
    settings = ApplySettings("demo", "t", "q", "b", "quarantine/", HORIZON_MS, COLLECTIONS)
    apply = Apply(settings, items, log, notifications or MemoryNotifications(), Telemetry("apply", "demo"))
    clock = left_ms or repeat(30_000)
    return lambda event: apply(event, lambda: next(clock))


def metrics(out: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in map(json.loads, out.splitlines()):
        for group in line.get("_aws", {}).get("CloudWatchMetrics", []):
            found |= {metric["Name"]: line[metric["Name"]] for metric in group["Metrics"]}
    return found


def test_a_write_log_object_is_folded_into_the_items(capsys: pytest.CaptureFixture[str]) -> None:
    old, new, gone = change(ms=NOW_MS - 2), change(ms=NOW_MS - 1), change("p-2", data=None)
    items = MemoryItems()
    log = MemoryLog({KEY: [entry.line() for entry in (new, old, gone, new)]})
    assert apply_with(items, log)(EVENT) == {"batchItemFailures": []}
    assert items.held == {new.key: new, gone.key: gone}
    counted = metrics(capsys.readouterr().out)
    assert counted == {
        "ChangesApplied": 2,
        "ChangesSuperseded": 1,
        "ChangesDuplicate": 1,
        "RecordsHandled": 4,
    }


def test_a_repeated_delivery_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    items, log = MemoryItems(), MemoryLog({KEY: [change().line()]})
    apply_with(items, log)(EVENT)
    capsys.readouterr()
    apply_with(items, log)(EVENT)
    assert items.held == {change().key: change()}
    assert metrics(capsys.readouterr().out) == {"ChangesDuplicate": 1, "RecordsHandled": 1}


def test_handled_records_count_when_the_object_was_delivered(capsys: pytest.CaptureFixture[str]) -> None:
    apply_with(MemoryItems(), MemoryLog({KEY: [change().line()]}))(EVENT)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (handled,) = [line for line in lines if "RecordsHandled" in line]
    assert handled["_aws"]["Timestamp"] == 1_795_248_601_350
    assert handled["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Stack"]]


def test_poison_goes_to_quarantine_and_holds_up_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    good, lost = change(), change(collection="nope")
    items = MemoryItems()
    log = MemoryLog({KEY: [b"{half a li", lost.line(), good.line()]})
    assert apply_with(items, log)(EVENT) == {"batchItemFailures": []}
    assert items.held == {good.key: good}
    assert log.quarantined == [
        (b"{half a li", "unparsable", f"{KEY}:1"),
        (lost.line(), "unknown_collection", f"{KEY}:2"),
    ]
    assert items.status(lost.key, lost.change_id) == (None, "unknown_collection")
    assert metrics(capsys.readouterr().out)["ChangesQuarantined"] == 2


def test_a_damaged_object_is_quarantined_behind_what_it_still_gave() -> None:
    items, log = MemoryItems(), MemoryLog({KEY: [change().line()]})
    log.damaged.add(KEY)
    assert apply_with(items, log)(EVENT) == {"batchItemFailures": []}
    assert items.held and log.quarantined == [(b"", "unparsable", f"{KEY}:2")]


def test_expired_changes_are_quarantined_unless_they_are_settled() -> None:
    expired = change(ms=NOW_MS - HORIZON_MS - 1)
    items, log = MemoryItems(), MemoryLog({KEY: [expired.line()]})
    apply_with(items, log)(EVENT)
    assert items.held == {} and log.quarantined == [(expired.line(), "expired", f"{KEY}:1")]
    # a replay: the item has this change, or a newer one
    for settled in (expired, change()):
        items, log = MemoryItems(), MemoryLog({KEY: [expired.line()]})
        items.apply(settled)
        apply_with(items, log)(EVENT)
        assert items.held == {settled.key: settled} and log.quarantined == []


def two_objects() -> Any:
    """The recorded event with a second message, for another object, received for the 4th time."""
    two = json.loads(json.dumps(EVENT))
    second = json.loads(json.dumps(two["Records"][0]).replace("-abc.gz", "-def.gz"))
    second |= {"messageId": "second", "receiptHandle": "second-handle"}
    second["attributes"]["ApproximateReceiveCount"] = "4"
    two["Records"].append(second)
    return two


def test_only_the_message_that_failed_comes_again_and_soon(capsys: pytest.CaptureFixture[str]) -> None:
    items, notifications = MemoryItems(), MemoryNotifications()
    items.fail.add("bad")
    log = MemoryLog({KEY: [change("good").line()], KEY.replace("abc", "def"): [change("bad").line()]})
    two = two_objects()
    assert apply_with(items, log, notifications)(two) == {"batchItemFailures": [{"itemIdentifier": "second"}]}
    assert list(items.held) == ["item/products/good"]
    assert notifications.again == [("second-handle", 16)]
    out = capsys.readouterr().out
    assert '"TimeoutError"' in out and metrics(out)["ObjectsFailed"] == 1
    two["Records"][1]["attributes"]["ApproximateReceiveCount"] = "29"
    apply_with(items, log, notifications)(two)
    assert notifications.again[1] == ("second-handle", 900)
    items.fail.clear()
    assert apply_with(items, log)(two) == {"batchItemFailures": []}
    assert len(items.held) == 2


def test_a_message_whose_pause_cannot_be_set_is_still_only_reported() -> None:
    class Refusing:
        def again_in(self, receipt_handle: str, seconds: int) -> None:
            raise UnansweredError("ConnectTimeout", sent=False)

    items = MemoryItems()
    items.fail.add("bad")
    log = MemoryLog({KEY: [change("bad").line()]})
    answered = apply_with(items, log, Refusing())(EVENT)
    assert [failure["itemIdentifier"] for failure in answered["batchItemFailures"]] == [
        EVENT["Records"][0]["messageId"]
    ]


def test_no_further_object_is_begun_in_the_second_half_of_the_time() -> None:
    items, notifications = MemoryItems(), MemoryNotifications()
    log = MemoryLog({KEY: [change("one").line()], KEY.replace("abc", "def"): [change("two").line()]})
    late = apply_with(items, log, notifications, iter([30_000, 14_999]))
    assert late(two_objects()) == {"batchItemFailures": [{"itemIdentifier": "second"}]}
    assert list(items.held) == ["item/products/one"] and notifications.again == [("second-handle", 0)]


def test_s3s_test_event_is_no_object() -> None:
    test = {"Records": [{"messageId": "m", "body": json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})}]}
    assert apply_with(MemoryItems(), MemoryLog())(test) == {"batchItemFailures": []}


def test_a_redriven_object_counts_as_nothing_that_firehose_delivered(capsys: pytest.CaptureFixture[str]) -> None:
    """Else it would hide the loss of as many records from the alarm that compares the two."""
    redriven = json.loads(json.dumps(EVENT).replace(quote(KEY), "log/redrive/2026/a.jsonl"))
    items = MemoryItems()
    apply_with(items, MemoryLog({"log/redrive/2026/a.jsonl": [change().line()]}))(redriven)
    assert metrics(capsys.readouterr().out) == {"ChangesApplied": 1} and items.held


# the change stream

SHARD = "shardId-000000000006"


def sequence(number: int) -> str:
    return str(kinesis_event([b""], number)["Records"][0]["kinesis"]["sequenceNumber"])


def reported(answered: Any) -> list[str]:
    return [failure["itemIdentifier"] for failure in answered["batchItemFailures"]]


def test_records_of_the_change_stream_are_folded_into_the_items(capsys: pytest.CaptureFixture[str]) -> None:
    year = 365 * 86_400_000
    old, new, gone = (
        change("p-1", ms=NOW_MS - year - 1, accepted_ms=NOW_MS, source="shop"),
        change("p-1", ms=NOW_MS - year, accepted_ms=NOW_MS, source="shop"),
        change("p-2", ms=NOW_MS - 2 * year, accepted_ms=NOW_MS, source="shop", data=None),
    )
    items = MemoryItems()
    event = kinesis_event([entry.line() for entry in (new, old, gone, new)])
    apply = apply_with(items, MemoryLog())
    assert apply(event) == {"batchItemFailures": []}
    assert items.held == {new.key: new, gone.key: gone}, "however old upstream says they are"
    counted = metrics(capsys.readouterr().out)
    assert counted == {"ChangesApplied": 2, "ChangesSuperseded": 1, "ChangesDuplicate": 1}
    apply(event)
    assert metrics(capsys.readouterr().out) == {"ChangesSuperseded": 1, "ChangesDuplicate": 3}


def test_poison_in_the_change_stream_goes_to_quarantine_and_holds_up_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good, lost, old = change(), change(collection="nope"), change("old", ms=NOW_MS - HORIZON_MS - 1)
    items, log = MemoryItems(), MemoryLog()
    lines = [b"{half a li", lost.line(), good.line(), old.line()]
    assert apply_with(items, log)(kinesis_event(lines)) == {"batchItemFailures": []}
    assert items.held == {good.key: good}
    assert sorted(log.quarantined, key=lambda kept: kept[2]) == [
        (b"{half a li", "unparsable", f"stream/{SHARD}:{sequence(0)}"),
        (lost.line(), "unknown_collection", f"stream/{SHARD}:{sequence(1)}"),
        (old.line(), "expired", f"stream/{SHARD}:{sequence(3)}"),
    ]
    assert items.status(lost.key, lost.change_id) == (None, "unknown_collection")
    assert metrics(capsys.readouterr().out) == {"ChangesApplied": 1, "ChangesQuarantined": 3}


class Refusing(MemoryItems):
    """Items of which DynamoDB refuses some, whatever comes with them."""

    def __init__(self, *refused: str) -> None:
        super().__init__()
        self.refused = set(refused)

    def apply(self, change: Change) -> ApplyOutcome:
        if change.item_id in self.refused:
            raise RefusedError("ValidationException", 400)
        return super().apply(change)


def test_a_refused_change_stops_only_its_own_item(capsys: pytest.CaptureFixture[str]) -> None:
    items = Refusing("i7")
    lines = [change(f"i{number}").line() for number in range(250)]
    apply = apply_with(items, MemoryLog())
    assert reported(apply(kinesis_event(lines))) == [sequence(7)]
    assert len(items.held) == 249, "what stands behind it is done, in its part and in others"
    counted = metrics(capsys.readouterr().out)
    assert counted["ChangesFailed"] == 1
    items.refused.clear()
    assert reported(apply(kinesis_event(lines[7:], 7))) == []
    assert len(items.held) == 250
    assert metrics(capsys.readouterr().out) == {"ChangesApplied": 1, "ChangesDuplicate": 242}


def test_a_failed_part_stops_no_other(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("readplane.apply.handler.MAX_CHANGES", 10)
    items = MemoryItems()
    items.fail = {"i57", "i34"}
    lines = [change(f"i{number}").line() for number in range(100)]
    # Its part began at 30, and what of it was written nobody knows.
    assert reported(apply_with(items, MemoryLog())(kinesis_event(lines))) == [sequence(30)]
    done = {int(entry.item_id[1:]) for entry in items.held.values()}
    assert done >= {*range(30), *range(40, 50), *range(60, 100)}
    out = capsys.readouterr().out
    assert metrics(out)["ChangesFailed"] == 20 and '"TimeoutError"' in out and "i34" not in out


def test_lambda_starts_again_at_the_change_that_can_win() -> None:
    items = Refusing("bad")
    first, second, third = (change("bad", ms=NOW_MS + tick) for tick in range(3))
    lines = [first.line(), change("good").line(), third.line(), second.line(), third.line()]
    apply = apply_with(items, MemoryLog())
    assert reported(apply(kinesis_event(lines))) == [sequence(2)]
    items.refused.clear()
    assert reported(apply(kinesis_event(lines[2:], 2))) == []
    assert items.held[third.key] == third


def test_poison_that_cannot_be_put_away_comes_again() -> None:
    class Closed(MemoryLog):
        def quarantine(self, line: bytes, poison: PoisonError, origin: str) -> None:
            raise UnansweredError("ConnectTimeout", sent=False)

    items = MemoryItems()
    lines = [change("a").line(), b"poison", change("b").line()]
    assert reported(apply_with(items, Closed())(kinesis_event(lines))) == [sequence(1)]
    assert len(items.held) == 2
    log = MemoryLog()
    assert reported(apply_with(items, log)(kinesis_event(lines[1:], 1))) == [] and len(log.quarantined) == 1


def test_an_old_change_that_cannot_be_judged_comes_again() -> None:
    class Silent(MemoryItems):
        def get(self, key: str, *, consistent: bool = False) -> Change | None:
            raise UnansweredError("ReadTimeoutError", sent=True)

    items = Silent()
    lines = [change("a").line(), change("old", ms=NOW_MS - HORIZON_MS - 1).line(), change("b").line()]
    log = MemoryLog()
    assert reported(apply_with(items, log)(kinesis_event(lines))) == [sequence(1)]
    assert len(items.held) == 2 and log.quarantined == []


@pytest.mark.parametrize(
    ("records_in_time", "parts_in_time", "again", "done"),
    [(3, 2, None, 3), (3, 1, 2, 2), (3, 0, 0, 0), (2, 1, 2, 2), (0, 1, 0, 0)],
)
def test_nothing_of_a_batch_is_begun_in_the_second_half_of_the_time_nor_all_of_the_first_taken_to_read_it(
    records_in_time: int, parts_in_time: int, again: int | None, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("readplane.apply.handler.MAX_CHANGES", 2)
    monkeypatch.setattr("readplane.apply.handler.WORKERS", 1)
    items = MemoryItems()
    # It asks at first, before each record, and before each part.
    late_records = repeat(22_499, 3 - records_in_time)
    left = chain([30_000], repeat(22_500, records_in_time), late_records, repeat(15_000, parts_in_time), repeat(14_999))
    late = apply_with(items, MemoryLog(), left_ms=left)
    answered = reported(late(kinesis_event([change(name).line() for name in "abc"])))
    assert answered == ([] if again is None else [sequence(again)]) and len(items.held) == done


def test_a_queues_batch_and_a_shards_leave_nothing_to_each_other() -> None:
    items, notifications = MemoryItems(), MemoryNotifications()
    items.fail = {"bad"}
    log = MemoryLog({KEY: [change("bad").line(), change("one").line()]})
    apply = apply_with(items, log, notifications)
    assert reported(apply(kinesis_event([change("bad").line(), change("two").line()]))) == [sequence(0)]
    assert notifications.again == []
    assert reported(apply(EVENT)) == [EVENT["Records"][0]["messageId"]]
    assert reported(apply(kinesis_event([change("three").line()]))) == []
    assert set(items.held) >= {change("three").key} and len(notifications.again) == 1


# publish


class Publishing:
    def __init__(self) -> None:
        self.items = MemoryItems()
        self.documents = MemoryDocuments()
        settings = PublishSettings("demo", "t", "d", HORIZON_MS, COLLECTIONS)
        self.publish = Publish(settings, self.items, self.documents, Telemetry("publish", "demo"))

    def __call__(self, *records: Any) -> list[str]:
        answered = self.publish({"Records": list(records)})
        return [failure["itemIdentifier"] for failure in answered["batchItemFailures"]]


def test_a_sourced_items_document_is_what_read_answers() -> None:
    publishing = Publishing()
    sourced = change(ms=NOW_MS - 400 * 86_400_000, accepted_ms=NOW_MS, source="shop")
    assert publishing(stream_record(None, sourced, 1)) == []
    assert publishing.documents.held == {"public/products/p-1.json": sourced.representation()}


def test_documents_follow_the_items() -> None:
    publishing = Publishing()
    put, again, gone = change(ms=NOW_MS), change(ms=NOW_MS + 1, data='{"n":2.0}'), change(ms=NOW_MS + 2, data=None)
    owned = change("me", collection="profiles", owner=ALICE)
    assert publishing(stream_record(None, put, 1), stream_record(None, owned, 2)) == []
    held = publishing.documents.held
    assert held == {
        "public/products/p-1.json": put.representation(),
        f"owner/profiles/{ALICE}/me.json": owned.representation(),
    }
    publishing(stream_record(put, again, 3))
    assert json.loads(held["public/products/p-1.json"])["version"] == again.version
    publishing(stream_record(again, gone, 4))
    assert list(held) == [f"owner/profiles/{ALICE}/me.json"]


def test_a_batch_publishes_each_items_greatest_version_once() -> None:
    publishing = Publishing()
    chain = [change(ms=NOW_MS + tick) for tick in range(5)]
    publishing(*(stream_record(old, new, number) for number, (old, new) in enumerate(pairwise(chain))))
    assert publishing.documents.calls == [("public/products/p-1.json", chain[-1].version)]


def test_a_version_that_went_down_is_put_back_and_not_published(capsys: pytest.CaptureFixture[str]) -> None:
    publishing = Publishing()
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    publishing.items.held[old.key] = old
    assert publishing(stream_record(new, old, 1)) == []
    assert publishing.items.held[old.key] == new and publishing.documents.calls == []
    assert metrics(capsys.readouterr().out)["RegressionsMended"] == 1
    # somebody else was faster, or something newer came
    newer = change(ms=NOW_MS + 2)
    publishing.items.held[old.key] = newer
    assert publishing(stream_record(new, old, 2)) == []
    assert publishing.items.held[old.key] == newer


def test_a_batch_that_goes_down_twice_puts_the_greatest_version_back() -> None:
    """v5 is replaced by v1, which grows to v3, which is replaced by v2: v5 is what must come back."""
    publishing = Publishing()
    v1, v2, v3, v5 = (change(ms=NOW_MS + tick) for tick in (1, 2, 3, 5))
    publishing.items.held[v1.key] = v2
    assert publishing(stream_record(v5, v1, 1), stream_record(v1, v3, 2), stream_record(v3, v2, 3)) == []
    assert publishing.items.held == {v1.key: v5} and publishing.documents.calls == []
    # and where something greater has come since, that is published
    v9 = change(ms=NOW_MS + 9)
    publishing.items.held[v1.key] = v9
    assert publishing(stream_record(v5, v1, 1), stream_record(v1, v9, 2)) == []
    assert publishing.documents.calls == [("public/products/p-1.json", v9.version)]
    assert publishing(stream_record(None, v9, 1), stream_record(v9, v2, 2)) == []
    assert publishing.items.held == {v1.key: v9}


def test_a_removed_item_comes_back_and_an_expired_tombstone_does_not() -> None:
    publishing = Publishing()
    living, expired = change(), change("p-2", data=None, ms=NOW_MS - HORIZON_MS - 86_400_000)
    assert publishing(stream_record(living, None, 1), stream_record(expired, None, 2)) == []
    assert publishing.items.held == {living.key: living}


def test_a_failure_names_the_items_first_record_and_holds_up_no_other() -> None:
    publishing = Publishing()
    publishing.documents.fail.add("public/products/bad.json")
    bad = [change("bad", ms=NOW_MS + tick) for tick in range(2)]
    records = [
        stream_record(None, change("good"), 1),
        stream_record(None, bad[0], 2),
        stream_record(None, change("fine"), 3),
        stream_record(bad[0], bad[1], 4),
    ]
    assert publishing(*records) == ["2"]
    assert set(publishing.documents.held) == {"public/products/good.json", "public/products/fine.json"}
    publishing.documents.fail.clear()
    assert publishing(*records[1:]) == []
    assert len(publishing.documents.held) == 3


def test_markers_freshness_and_undeclared_collections_publish_nothing() -> None:
    publishing = Publishing()
    told = stream_record(None, change(), 3)
    image = {"pk": {"S": "source/shop"}, "fresh_as_of": {"S": "2026-11-21T08:00:00.000Z"}, "breaker": {"S": "closed"}}
    told["dynamodb"] |= {"OldImage": image, "NewImage": image}
    assert publishing(told) == []
    marker = stream_record(None, change(), 1)
    marker["dynamodb"]["NewImage"] = {"pk": {"S": "quarantine/x"}, "reason": {"S": "expired"}}
    assert publishing(marker, stream_record(None, change(collection="undeclared"), 2)) == []
    assert publishing.documents.held == {}
