"""apply and publish."""

import json
from itertools import pairwise
from typing import Any

import pytest

from readplane.config import ApplySettings, PublishSettings
from readplane.domain.change import Change
from readplane.handlers.apply import Apply
from readplane.handlers.publish import Publish
from readplane.stores.items import DynamoItems
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
)

HORIZON_MS = 30 * 86_400_000
KEY = "log/year=2026/month=11/day=21/hour=08/demo-1-2026-11-21-08-10-00-abc.gz"
EVENT = event("log_object")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)


def apply_with(items: MemoryItems, log: MemoryLog) -> Apply:
    settings = ApplySettings("demo", "t", "b", "quarantine/", HORIZON_MS, COLLECTIONS)
    return Apply(settings, items, log, Telemetry("apply", "demo"))


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


def test_only_the_message_that_failed_comes_again(capsys: pytest.CaptureFixture[str]) -> None:
    two = json.loads(json.dumps(EVENT))
    second = json.loads(json.dumps(two["Records"][0]).replace("-abc.gz", "-def.gz"))
    second["messageId"] = "second"
    two["Records"].append(second)
    items = MemoryItems()
    items.fail.add("bad")
    log = MemoryLog({KEY: [change("bad").line()], KEY.replace("abc", "def"): [change("good").line()]})
    assert apply_with(items, log)(two) == {
        "batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661975830a7d"}]
    }
    assert list(items.held) == ["item/products/good"]
    assert '"TimeoutError"' in capsys.readouterr().out
    items.fail.clear()
    assert apply_with(items, log)(two) == {"batchItemFailures": []}
    assert len(items.held) == 2


def test_s3s_test_event_is_no_object() -> None:
    test = {"Records": [{"messageId": "m", "body": json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})}]}
    assert apply_with(MemoryItems(), MemoryLog())(test) == {"batchItemFailures": []}


# publish


def record(old: Change | None, new: Change | None, number: int) -> Any:
    shape = DynamoItems(None, "t", horizon_ms=HORIZON_MS)
    images = {name: shape._record(image) for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
    return {
        "eventID": str(number),
        "eventName": "REMOVE" if new is None else "MODIFY" if old else "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {"SequenceNumber": str(number), "StreamViewType": "NEW_AND_OLD_IMAGES", **images},
    }


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
    assert publishing(record(None, put, 1), record(None, owned, 2)) == []
    held = publishing.documents.held
    assert held == {
        "public/products/p-1.json": put.representation(),
        f"owner/profiles/{ALICE}/me.json": owned.representation(),
    }
    publishing(record(put, again, 3))
    assert json.loads(held["public/products/p-1.json"])["version"] == again.version
    publishing(record(again, gone, 4))
    assert list(held) == [f"owner/profiles/{ALICE}/me.json"]


def test_a_batch_publishes_each_items_greatest_version_once() -> None:
    publishing = Publishing()
    chain = [change(ms=NOW_MS + tick) for tick in range(5)]
    publishing(*(record(old, new, number) for number, (old, new) in enumerate(pairwise(chain))))
    assert publishing.documents.calls == [("public/products/p-1.json", chain[-1].version)]


def test_a_version_that_went_down_is_put_back_and_not_published(capsys: pytest.CaptureFixture[str]) -> None:
    publishing = Publishing()
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    publishing.items.held[old.key] = old
    assert publishing(record(new, old, 1)) == []
    assert publishing.items.held[old.key] == new and publishing.documents.calls == []
    assert metrics(capsys.readouterr().out)["RegressionsMended"] == 1
    # somebody else was faster, or something newer came
    newer = change(ms=NOW_MS + 2)
    publishing.items.held[old.key] = newer
    assert publishing(record(new, old, 2)) == []
    assert publishing.items.held[old.key] == newer


def test_a_removed_item_comes_back_and_an_expired_tombstone_does_not() -> None:
    publishing = Publishing()
    living, expired = change(), change("p-2", data=None, ms=NOW_MS - HORIZON_MS - 86_400_000)
    assert publishing(record(living, None, 1), record(expired, None, 2)) == []
    assert publishing.items.held == {living.key: living}


def test_a_failure_names_the_items_first_record_and_holds_up_no_other() -> None:
    publishing = Publishing()
    publishing.documents.fail.add("public/products/bad.json")
    bad = [change("bad", ms=NOW_MS + tick) for tick in range(2)]
    records = [
        record(None, change("good"), 1),
        record(None, bad[0], 2),
        record(None, change("fine"), 3),
        record(bad[0], bad[1], 4),
    ]
    assert publishing(*records) == ["2"]
    assert set(publishing.documents.held) == {"public/products/good.json", "public/products/fine.json"}
    publishing.documents.fail.clear()
    assert publishing(*records[1:]) == []
    assert len(publishing.documents.held) == 3


def test_markers_and_undeclared_collections_publish_nothing() -> None:
    publishing = Publishing()
    marker = record(None, change(), 1)
    marker["dynamodb"]["NewImage"] = {"pk": {"S": "quarantine/x"}, "reason": {"S": "expired"}}
    assert publishing(marker, record(None, change(collection="undeclared"), 2)) == []
    assert publishing.documents.held == {}
