"""Tests of the replica Region: it receives items, publishes its own documents, accepts writes, and restores items."""

import json
from typing import Any

import pytest

from readplane.model.change import Change
from tests.local.permissions import without
from tests.local.pipeline import items, new_change, now_ms, put_object
from tests.local.support import Local, eventually


@pytest.fixture(scope="module", autouse=True)
def needs_replica(stack: Local) -> None:
    assert stack.outputs.replica_region, "local.tfvars must declare a replica Region"


def document_version(stack: Local, item_id: str, *, replica: bool) -> str | None:
    """Return the version of a document of the collection `notices` in one Region; ``None`` if it doesn't exist."""
    bucket = stack.outputs.replica_documents_bucket if replica else stack.outputs.documents_bucket
    s3 = stack.root(replica=replica).client("s3")
    try:
        body = s3.get_object(Bucket=str(bucket), Key=f"authenticated/documents/notices/{item_id}")["Body"]
    except s3.exceptions.NoSuchKey:
        return None
    return str(json.load(body)["version"])


def wait_until_published(stack: Local, change: Change) -> None:
    """Wait until the documents bucket of each Region holds the document of a change."""
    for replica in (False, True):
        eventually(lambda: document_version(stack, change.item_id, replica=replica) == change.version)


def test_a_write_in_either_region_is_read_in_both(stack: Local) -> None:
    assert stack.outputs.documents_bucket != stack.outputs.replica_documents_bucket
    for replica in (False, True):
        writer, name = stack.api(stack.eve, replica=replica), f"from-{'replica' if replica else 'primary'}"
        response = writer("PUT", f"/items/notices/{name}", {"title": name})
        assert response.status_code == 202, response.text
        change_id = response.json()["change_id"]
        for other in (False, True):
            reader = stack.api(stack.alice, replica=other)
            eventually(lambda: reader("GET", f"/items/notices/{name}").status_code == 200)
            eventually(lambda: reader("GET", f"/documents/notices/{name}").status_code == 200)
            eventually(lambda: document_version(stack, name, replica=other) == change_id)
            status = reader("GET", f"/items/notices/{name}/changes/{change_id}").json()
            assert status["status"] == "applied"


@pytest.mark.parametrize("written", [False, True], ids=["written-in-primary", "written-in-replica"])
@pytest.mark.parametrize("mender", [False, True], ids=["mended-by-primary", "mended-by-replica"])
def test_publish_mends_a_version_that_went_down(stack: Local, written: bool, mender: bool) -> None:
    """Overwrite a newer change with an older one in DynamoDB, as the replication of a global table may do.

    `publish` must put the newer change back. Only the `publish` of the Region ``mender`` can do so, because the test
    removes the IAM permission for this write from the `publish` of the other Region.

    :param written: the Region in which the test writes: False for the primary Region, True for the replica Region.
    :param mender: the Region whose `publish` must put the newer change back: False for the primary Region, True for the
        replica Region.
    """
    store = items(stack, replica=written)
    name = f"regression-{written}-{mender}-{now_ms()}"
    old, new = new_change(name, '{"title":"old"}', ms=now_ms() - 9_000), new_change(name, '{"title":"new"}')
    put_object(stack, [new.line()])
    eventually(lambda: store.get_item(new.key) == new)
    wait_until_published(stack, new)
    with without(stack, "publish", "MendItems", ["dynamodb:PutItem"], replicas=[not mender]):
        stack.root(replica=written).client("dynamodb").put_item(
            TableName=stack.outputs.items_table, Item=store._record(old)
        )
        for other in (False, True):
            eventually(lambda: items(stack, replica=other).get_item(new.key) == new)
        eventually(lambda: mends(stack, new, replica=mender))
    wait_until_published(stack, new)
    (event,) = mends(stack, new, replica=mender)
    assert event["RegressionsMended"] == 1
    assert not mends(stack, new, replica=not mender)


def mends(stack: Local, change: Change, *, replica: bool) -> list[dict[str, Any]]:
    """Return the log events in which one Region's `publish` reports that it has put this change back."""
    return stack.events("publish", "regression_mended", replica=replica, change_id=change.change_id)


def test_publish_puts_a_removed_item_back(stack: Local) -> None:
    store = items(stack)
    change = new_change("removed")
    put_object(stack, [change.line()])
    eventually(lambda: store.get_item(change.key) == change)
    wait_until_published(stack, change)
    table = stack.root().client("dynamodb")
    table.delete_item(TableName=stack.outputs.items_table, Key={"pk": {"S": change.key}})
    for replica in (False, True):
        eventually(lambda: items(stack, replica=replica).get_item(change.key) == change)
    eventually(lambda: [event for replica in (False, True) for event in mends(stack, change, replica=replica)])


def test_a_delete_removes_the_documents_of_both_regions(stack: Local) -> None:
    put = new_change("to-delete", ms=now_ms() - 1_000)
    put_object(stack, [put.line()])
    wait_until_published(stack, put)
    put_object(stack, [new_change("to-delete", None).line()])
    for replica in (False, True):
        eventually(lambda: document_version(stack, "to-delete", replica=replica) is None)
