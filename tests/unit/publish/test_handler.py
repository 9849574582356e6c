import json
from itertools import pairwise
from typing import Any

import pytest

from readplane.publish.handler import Publish, PublishSettings
from readplane.telemetry import Telemetry
from tests.unit.support import ALICE, COLLECTIONS, NOW_MS, MemoryDocuments, MemoryItems, change, stream_record

HORIZON_MS = 30 * 86_400_000


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)


class Publishing:
    """The function `publish`, with its items and documents in memory.

    Call an instance with records to get the sequence numbers of the records that `publish` reports as failed.
    """

    def __init__(self) -> None:
        self.items = MemoryItems()
        self.documents = MemoryDocuments()
        settings = PublishSettings("demo", "t", "d", 30, COLLECTIONS)
        self.publish = Publish(settings, self.items, self.documents, Telemetry("publish", "demo"))

    def __call__(self, *records: Any) -> list[str]:
        response = self.publish({"Records": list(records)})
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def test_the_document_of_a_sourced_item_is_its_representation() -> None:
    publishing = Publishing()
    sourced = change(ms=NOW_MS - 400 * 86_400_000, accepted_ms=NOW_MS, source="shop")
    assert publishing(stream_record(None, sourced, 1)) == []
    assert publishing.documents.texts == {"public/products/p-1.json": sourced.representation()}


def test_documents_follow_the_items() -> None:
    publishing = Publishing()
    put, again, gone = change(ms=NOW_MS), change(ms=NOW_MS + 1, data='{"n":2.0}'), change(ms=NOW_MS + 2, data=None)
    owned = change("me", collection="profiles", owner=ALICE)
    assert publishing(stream_record(None, put, 1), stream_record(None, owned, 2)) == []
    documents = publishing.documents.texts
    assert documents == {
        "public/products/p-1.json": put.representation(),
        f"owner/profiles/{ALICE}/me.json": owned.representation(),
    }
    publishing(stream_record(put, again, 3))
    assert json.loads(documents["public/products/p-1.json"])["version"] == again.version
    publishing(stream_record(again, gone, 4))
    assert list(documents) == [f"owner/profiles/{ALICE}/me.json"]


def test_a_batch_publishes_the_greatest_version_of_each_item_once() -> None:
    publishing = Publishing()
    changes = [change(ms=NOW_MS + tick) for tick in range(5)]
    publishing(*(stream_record(old, new, number) for number, (old, new) in enumerate(pairwise(changes))))
    assert publishing.documents.calls == [("public/products/p-1.json", changes[-1].version)]


def test_a_version_that_went_down_is_mended_and_not_published(capsys: pytest.CaptureFixture[str]) -> None:
    publishing = Publishing()
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    publishing.items.by_key[old.key] = old
    assert publishing(stream_record(new, old, 1)) == []
    assert publishing.items.by_key[old.key] == new and publishing.documents.calls == []
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert line["event"] == "regression_mended" and line["RegressionsMended"] == 1


def test_mending_leaves_an_item_that_has_got_a_newer_change_in_the_meantime() -> None:
    publishing = Publishing()
    old, new, newer = change(ms=NOW_MS), change(ms=NOW_MS + 1), change(ms=NOW_MS + 2)
    publishing.items.by_key[old.key] = newer
    assert publishing(stream_record(new, old, 2)) == []
    assert publishing.items.by_key[old.key] == newer


def test_a_batch_in_which_a_version_goes_down_twice_ends_with_the_greatest() -> None:
    """In the batch, version 1 of an item replaces version 5, 3 replaces 1, and 2 replaces 3.

    `publish` must restore version 5, because it is the greatest of these versions.
    """
    publishing = Publishing()
    v1, v2, v3, v5 = (change(ms=NOW_MS + tick) for tick in (1, 2, 3, 5))
    publishing.items.by_key[v1.key] = v2
    assert publishing(stream_record(v5, v1, 1), stream_record(v1, v3, 2), stream_record(v3, v2, 3)) == []
    assert publishing.items.by_key == {v1.key: v5} and publishing.documents.calls == []
    # If a later record of the batch holds a version greater than 5, such as 9, `publish` publishes that version and
    # doesn't restore version 5.
    v9 = change(ms=NOW_MS + 9)
    publishing.items.by_key[v1.key] = v9
    assert publishing(stream_record(v5, v1, 1), stream_record(v1, v9, 2)) == []
    assert publishing.documents.calls == [("public/products/p-1.json", v9.version)]
    assert publishing(stream_record(None, v9, 1), stream_record(v9, v2, 2)) == []
    assert publishing.items.by_key == {v1.key: v9}


def test_a_removed_item_comes_back_and_an_expired_tombstone_does_not() -> None:
    publishing = Publishing()
    living, expired = change(), change("p-2", data=None, ms=NOW_MS - HORIZON_MS - 86_400_000)
    assert publishing(stream_record(living, None, 1), stream_record(expired, None, 2)) == []
    assert publishing.items.by_key == {living.key: living}


def test_a_failure_reports_the_first_record_of_its_item_and_stops_no_other() -> None:
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
    assert set(publishing.documents.texts) == {"public/products/good.json", "public/products/fine.json"}
    publishing.documents.fail.clear()
    assert publishing(*records[1:]) == []
    assert len(publishing.documents.texts) == 3


def test_markers_freshness_and_undeclared_collections_publish_nothing() -> None:
    publishing = Publishing()
    freshness = stream_record(None, change(), 3)
    image = {"pk": {"S": "source/shop"}, "fresh_as_of": {"S": "2026-11-21T08:00:00.000Z"}, "breaker": {"S": "closed"}}
    freshness["dynamodb"] |= {"OldImage": image, "NewImage": image}
    assert publishing(freshness) == []
    marker = stream_record(None, change(), 1)
    marker["dynamodb"]["NewImage"] = {"pk": {"S": "quarantine/x"}, "reason": {"S": "expired"}}
    assert publishing(marker, stream_record(None, change(collection="undeclared"), 2)) == []
    assert publishing.documents.texts == {}
