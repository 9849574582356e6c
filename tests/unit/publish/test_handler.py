import json
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from readplane.aws.boto import BotoClient
from readplane.model.collection import Collection, Visibility
from readplane.model.keys import document_key
from readplane.publish.handler import Publish, PublishSettings
from readplane.publish.quarantine import S3RowQuarantine
from readplane.stores.rows import BadRowError, change_of, is_malformed
from readplane.telemetry import Telemetry
from tests.fakes.moto_aws import REGION
from tests.unit.mangled_rows import CHANGES, mangled_rows, row_of
from tests.unit.support import (
    ALICE,
    COLLECTIONS,
    NOW_MS,
    MemoryDocuments,
    MemoryItems,
    MemoryRows,
    change,
    stream_record,
)

HORIZON_MS = 30 * 86_400_000


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)


class Publishing:
    """The function `publish`, with its items and documents in memory.

    Call an instance with records to get the sequence numbers of the records that `publish` reports as failed.
    """

    def __init__(self, collections: Mapping[str, Collection] = COLLECTIONS) -> None:
        self.items = MemoryItems()
        self.documents = MemoryDocuments()
        self.rows = MemoryRows()
        settings = PublishSettings("demo", "t", "d", "b", "quarantine/", 30, collections)
        self.publish = Publish(settings, self.items, self.documents, self.rows, Telemetry("publish", "demo"))

    def __call__(self, *records: Any) -> list[str]:
        response = self.publish({"Records": list(records)})
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def test_the_document_of_a_sourced_item_is_its_representation() -> None:
    publishing = Publishing()
    sourced = change(ms=NOW_MS - 400 * 86_400_000, accepted_ms=NOW_MS, source="shop")
    assert publishing(stream_record(None, sourced, 1)) == []
    assert publishing.documents.texts == {"public/documents/products/p-1": sourced.representation()}


def test_documents_follow_the_items() -> None:
    publishing = Publishing()
    put, again, gone = change(ms=NOW_MS), change(ms=NOW_MS + 1, data='{"n":2.0}'), change(ms=NOW_MS + 2, data=None)
    owned = change("me", collection="profiles", owner=ALICE)
    assert publishing(stream_record(None, put, 1), stream_record(None, owned, 2)) == []
    documents = publishing.documents.texts
    assert documents == {
        "public/documents/products/p-1": put.representation(),
        f"owner/documents/profiles/{ALICE}/me": owned.representation(),
    }
    publishing(stream_record(put, again, 3))
    assert json.loads(documents["public/documents/products/p-1"])["version"] == again.version
    publishing(stream_record(again, gone, 4))
    assert list(documents) == [f"owner/documents/profiles/{ALICE}/me"]


def test_a_document_for_every_signed_in_user_lets_the_edge_keep_it() -> None:
    collection = Collection("products", "authenticated", cache_ttl=60, edge_ttl=300)
    publishing = Publishing({"products": collection})
    publishing(stream_record(None, change(), 1))
    assert publishing.documents.cache_controls == {"authenticated/documents/products/p-1": "max-age=300"}


def test_a_batch_publishes_the_greatest_version_of_each_item_once() -> None:
    publishing = Publishing()
    changes = [change(ms=NOW_MS + tick) for tick in range(5)]
    publishing(*(stream_record(old, new, number) for number, (old, new) in enumerate(pairwise(changes))))
    assert publishing.documents.calls == [("public/documents/products/p-1", changes[-1].version)]


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
    assert publishing.documents.calls == [("public/documents/products/p-1", v9.version)]
    assert publishing(stream_record(None, v9, 1), stream_record(v9, v2, 2)) == []
    assert publishing.items.by_key == {v1.key: v9}


def test_a_removed_item_comes_back_and_an_expired_tombstone_does_not() -> None:
    publishing = Publishing()
    living, expired = change(), change("p-2", data=None, ms=NOW_MS - HORIZON_MS - 86_400_000)
    assert publishing(stream_record(living, None, 1), stream_record(expired, None, 2)) == []
    assert publishing.items.by_key == {living.key: living}


def test_a_failure_reports_the_first_record_of_its_item_and_stops_no_other() -> None:
    publishing = Publishing()
    publishing.documents.fail.add("public/documents/products/bad")
    bad = [change("bad", ms=NOW_MS + tick) for tick in range(2)]
    records = [
        stream_record(None, change("good"), 1),
        stream_record(None, bad[0], 2),
        stream_record(None, change("fine"), 3),
        stream_record(bad[0], bad[1], 4),
    ]
    assert publishing(*records) == ["2"]
    assert set(publishing.documents.texts) == {"public/documents/products/good", "public/documents/products/fine"}
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


def row_record(old: Any, new: Any, number: int) -> Any:
    """Return a record of the items stream with the given images, which may be malformed."""
    record = stream_record(None, change(), number)
    images = {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
    record["dynamodb"] = {"SequenceNumber": str(number), **images}
    return record


def metric_sums(out: str) -> Counter[str]:
    """Return the sum of each metric in the log lines. Check that its only dimension is the stack."""
    sums: Counter[str] = Counter()
    for line in map(json.loads, out.splitlines()):
        for group in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert group["Dimensions"] == [["Stack"]] and line["Stack"] == "demo"
            sums.update({metric["Name"]: line[metric["Name"]] for metric in group["Metrics"]})
    return sums


NO_COLLECTION = {
    name: value for name, value in row_of(change("bad", data='{"pin":4711}')).items() if name != "collection"
}


def test_a_malformed_row_is_quarantined_whole_and_stops_no_other_record(capsys: pytest.CaptureFixture[str]) -> None:
    publishing = Publishing()
    records = [
        stream_record(None, change("good"), 1),
        row_record(None, NO_COLLECTION, 2),
        stream_record(None, change("fine"), 3),
    ]
    assert publishing(*records) == []
    assert set(publishing.documents.texts) == {"public/documents/products/good", "public/documents/products/fine"}
    assert publishing.rows.rows == [NO_COLLECTION]
    out = capsys.readouterr().out
    assert metric_sums(out) == {"RowsSkipped": 1, "DocumentsPublished": 2}
    (event,) = [line for line in map(json.loads, out.splitlines()) if line["event"] == "row_quarantined"]
    assert event["key"] == NO_COLLECTION["pk"]["S"] and "collection" in event["detail"]
    assert "4711" not in out, "the log holds no data"


def test_a_row_that_cannot_be_quarantined_comes_again() -> None:
    publishing = Publishing()
    publishing.rows.failure = TimeoutError()
    records = [stream_record(None, change("good"), 1), row_record(None, NO_COLLECTION, 2)]
    assert publishing(*records) == ["2"] and list(publishing.documents.texts) == ["public/documents/products/good"]
    publishing.rows.failure = None
    assert publishing(*records) == [] and publishing.rows.rows == [NO_COLLECTION]


def test_a_malformed_row_that_has_replaced_an_item_is_mended_and_a_good_change_after_it_is_published() -> None:
    publishing = Publishing()
    good, newer = change("bad"), change("bad", ms=NOW_MS + 1)
    assert publishing(row_record(row_of(good), NO_COLLECTION, 1)) == []
    assert publishing.items.by_key == {good.key: good} and publishing.documents.calls == []
    assert publishing(row_record(NO_COLLECTION, row_of(newer), 2), row_record(NO_COLLECTION, None, 3)) == []
    assert publishing.documents.calls == [("public/documents/products/bad", newer.version)]
    assert publishing.rows.rows == [NO_COLLECTION], "an old image was quarantined when it was new"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.none() | mangled_rows(*CHANGES), st.none() | mangled_rows(*CHANGES)), max_size=6))
@example([(None, NO_COLLECTION)])
@example([(NO_COLLECTION, None)])
def test_no_malformed_row_fails_a_batch_or_publishes_anything(
    capsys: pytest.CaptureFixture[str], images: list[tuple[Any, Any]]
) -> None:
    capsys.readouterr()
    publishing = Publishing()
    records = [row_record(old, new, number) for number, (old, new) in enumerate(images, 1)]
    last = change("last")
    assert publishing(*records, stream_record(None, last, 99)) == []
    malformed = [new for _, new in images if new is not None and is_malformed(new)]
    assert sorted(map(str, publishing.rows.rows)) == sorted(map(str, malformed))
    assert metric_sums(capsys.readouterr().out)["RowsSkipped"] == len(malformed)
    good = [change_of(new) for _, new in images if new is not None and not is_malformed(new)]
    allowed = {
        (document_key(COLLECTIONS[entry.collection].read, entry.collection, entry.item_id, entry.owner), version)
        for entry in (*good, last)
        for version in ("removed", entry.version)
    }
    assert set(publishing.documents.calls) <= allowed
    assert publishing.documents.texts["public/documents/products/last"] == last.representation()


@pytest.mark.usefixtures("aws")
def test_a_quarantined_row_is_kept_whole_and_once_however_often_it_comes() -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    quarantine = S3RowQuarantine(BotoClient("s3"), "bucket", "quarantine/")
    error = BadRowError(NO_COLLECTION["pk"]["S"], "missing or malformed: collection")
    for row in (NO_COLLECTION, dict(reversed(NO_COLLECTION.items()))):
        quarantine.put_row(row, error)
    (listed,) = s3.list_objects_v2(Bucket="bucket")["Contents"]
    assert listed["Key"].startswith("quarantine/malformed_row/")
    assert json.load(s3.get_object(Bucket="bucket", Key=listed["Key"])["Body"]) == {
        "reason": "malformed_row",
        "detail": "missing or malformed: collection",
        "origin": "items/item/products/bad",
        "row": NO_COLLECTION,
    }


def collections(read: Visibility, *, moved: bool) -> dict[str, Collection]:
    return {"products": Collection("products", read, moved=moved)}


def test_a_collection_that_never_moved_takes_one_call_for_each_item() -> None:
    publishing = Publishing()
    put, gone, owned = change(), change("p-2", data=None), change("me", collection="profiles", owner=ALICE)
    assert publishing(*(stream_record(None, new, number) for number, new in enumerate((put, gone, owned)))) == []
    assert sorted(publishing.documents.calls) == [
        (f"owner/documents/profiles/{ALICE}/me", owned.version),
        ("public/documents/products/p-1", put.version),
        ("public/documents/products/p-2", "removed"),
    ]


@pytest.mark.parametrize(("read", "other"), [("public", "authenticated"), ("authenticated", "public")])
def test_a_moved_collection_removes_the_former_document_before_it_writes_the_new_one(
    read: Visibility, other: str
) -> None:
    publishing = Publishing(collections(read, moved=True))
    put, gone = change(), change("p-1", ms=NOW_MS + 1, data=None)
    publishing(stream_record(None, put, 1))
    publishing(stream_record(put, gone, 2))
    assert publishing.documents.calls == [
        (f"{other}/documents/products/p-1", "removed"),
        (f"{read}/documents/products/p-1", put.version),
        (f"{other}/documents/products/p-1", "removed"),
        (f"{read}/documents/products/p-1", "removed"),
    ]


def test_nothing_is_written_if_the_former_document_cannot_be_removed() -> None:
    publishing = Publishing(collections("authenticated", moved=True))
    publishing.documents.texts["public/documents/products/p-1"] = "old"
    publishing.documents.fail_removal = {"public/documents/products/p-1"}
    assert publishing(stream_record(None, change(), 7)) == ["7"]
    assert list(publishing.documents.texts) == ["public/documents/products/p-1"]
    publishing.documents.fail_removal = set()
    assert publishing(stream_record(None, change(), 7)) == []
    assert list(publishing.documents.texts) == ["authenticated/documents/products/p-1"]


def test_an_owners_document_has_no_former_place() -> None:
    publishing = Publishing({"profiles": Collection("profiles", "owner", moved=True)})
    publishing(stream_record(None, change("me", collection="profiles", owner=ALICE), 1))
    assert len(publishing.documents.calls) == 1


def test_a_document_deleted_while_its_collection_was_private_is_not_public_again() -> None:
    """The collection is public, then authenticated, then public again. In between, clients delete and change items."""
    deleted, changed = change("deleted"), change("changed")
    public = Publishing(collections("public", moved=False))
    public(stream_record(None, deleted, 1), stream_record(None, changed, 2))
    assert set(public.documents.texts) == {"public/documents/products/deleted", "public/documents/products/changed"}
    private = Publishing(collections("authenticated", moved=True))
    private.documents = private.publish._documents = public.documents
    gone = change("deleted", ms=NOW_MS + 1, data=None)
    private(stream_record(deleted, gone, 3), stream_record(changed, change("changed", ms=NOW_MS + 1), 4))
    assert list(public.documents.texts) == ["authenticated/documents/products/changed"]
    again = Publishing(collections("public", moved=True))
    again.documents = again.publish._documents = public.documents
    again(stream_record(gone, None, 5), stream_record(None, change("new"), 6))
    assert {key for key in public.documents.texts if key.startswith("public/")} == {"public/documents/products/new"}


PLACES = {"public/documents/products/p-1", "authenticated/documents/products/p-1"}


@pytest.mark.parametrize("deletes_by_hand", [True, False])
def test_a_deleted_item_of_an_undeclared_collection_loses_its_documents_and_does_not_come_back(
    deletes_by_hand: bool,
) -> None:
    publishing = Publishing({})
    publishing.documents.texts |= dict.fromkeys(PLACES, "old")
    new = None if deletes_by_hand else change(ms=NOW_MS + 1, data=None)
    assert publishing(stream_record(change(), new, 1)) == []
    assert publishing.items.by_key == {} and publishing.documents.texts == {}
    owned = change("me", collection="profiles", owner=ALICE)
    assert publishing(stream_record(owned, None, 2)) == []
    assert publishing.documents.calls[2:] == [(f"owner/documents/profiles/{ALICE}/me", "removed")]


def test_an_item_of_an_undeclared_collection_is_neither_mended_nor_published(
    capsys: pytest.CaptureFixture[str],
) -> None:
    publishing = Publishing({})
    old, new = change(), change(ms=NOW_MS + 1)
    assert publishing(stream_record(new, old, 1), stream_record(None, change("p-2"), 2)) == []
    assert publishing.items.by_key == {} and publishing.documents.calls == []
    assert capsys.readouterr().out.count("collection_not_declared") == 2
