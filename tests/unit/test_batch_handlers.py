"""apply and publish."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise, repeat
from typing import Any

import pytest

from readplane.handlers.apply import Apply, ApplySettings
from readplane.handlers.publish import Publish, PublishSettings
from readplane.stores.aws import Unanswered
from readplane.stores.notifications import Notifications
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
    items: MemoryItems, log: MemoryLog, notifications: Notifications | None = None, left_ms: Iterator[int] | None = None
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
            raise Unanswered("ConnectTimeout", sent=False)

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


def test_markers_and_undeclared_collections_publish_nothing() -> None:
    publishing = Publishing()
    marker = stream_record(None, change(), 1)
    marker["dynamodb"]["NewImage"] = {"pk": {"S": "quarantine/x"}, "reason": {"S": "expired"}}
    assert publishing(marker, stream_record(None, change(collection="undeclared"), 2)) == []
    assert publishing.documents.held == {}
