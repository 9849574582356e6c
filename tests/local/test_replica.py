"""The replica Region: gets the data, publishes its own documents, takes writes, mends what goes down."""

import json
from typing import Any

import pytest

from readplane.model.change import Change
from tests.local.permissions import without
from tests.local.pipeline import items, made, now_ms, put_object
from tests.local.support import Local, eventually


@pytest.fixture(scope="module", autouse=True)
def needs_replica(stack: Local) -> None:
    assert stack.outputs.replica_region, "local.tfvars must declare a replica Region"


def document(stack: Local, item_id: str, *, replica: bool) -> str | None:
    """The version of a published notice in one Region's own bucket."""
    bucket = stack.outputs.replica_documents_bucket if replica else stack.outputs.documents_bucket
    s3 = stack.root(replica=replica).client("s3")
    try:
        body = s3.get_object(Bucket=str(bucket), Key=f"authenticated/notices/{item_id}.json")["Body"]
    except s3.exceptions.NoSuchKey:
        return None
    return str(json.load(body)["version"])


def published(stack: Local, change: Change) -> None:
    for replica in (False, True):
        eventually(lambda: document(stack, change.item_id, replica=replica) == change.version)


def test_a_write_in_either_region_is_read_in_both(stack: Local) -> None:
    assert stack.outputs.documents_bucket != stack.outputs.replica_documents_bucket
    for replica in (False, True):
        writer, name = stack.api(stack.eve, replica=replica), f"from-{'replica' if replica else 'primary'}"
        answer = writer("PUT", f"/items/notices/{name}", {"title": name})
        assert answer.status_code == 202, answer.text
        change_id = answer.json()["change_id"]
        for other in (False, True):
            reader = stack.api(stack.alice, replica=other)
            eventually(lambda: reader("GET", f"/items/notices/{name}").status_code == 200)
            eventually(lambda: reader("GET", f"/documents/notices/{name}").status_code == 200)
            eventually(lambda: document(stack, name, replica=other) == change_id)
            told = reader("GET", f"/items/notices/{name}/changes/{change_id}").json()
            assert told["status"] == "applied"


def test_a_retry_in_the_other_region_makes_the_same_item(stack: Local) -> None:
    made_ids = {
        stack.api(stack.eve, replica=replica)(
            "POST", "/items/notices", {"title": "x"}, headers={"Idempotency-Key": "twice"}
        ).json()["item_id"]
        for replica in (False, True)
    }
    assert len(made_ids) == 1


@pytest.mark.parametrize("written", [False, True], ids=["written-in-primary", "written-in-replica"])
@pytest.mark.parametrize("mender", [False, True], ids=["mended-by-primary", "mended-by-replica"])
def test_publish_mends_a_version_that_went_down(stack: Local, written: bool, mender: bool) -> None:
    """By hand, as a global table would: an older change put over a newer one, without a condition, in either Region."""
    store = items(stack, replica=written)
    name = f"regression-{written}-{mender}-{now_ms()}"
    old, new = made(name, '{"title":"old"}', ms=now_ms() - 9_000), made(name, '{"title":"new"}')
    put_object(stack, [new.line()])
    eventually(lambda: store.get(new.key) == new)
    published(stack, new)
    with without(stack, "publish", "MendItems", ["dynamodb:PutItem"], replicas=[not mender]):
        stack.root(replica=written).client("dynamodb").put_item(
            TableName=stack.outputs.items_table, Item=store._record(old)
        )
        for other in (False, True):
            eventually(lambda: items(stack, replica=other).get(new.key) == new)
        eventually(lambda: mends(stack, new, replica=mender))
    published(stack, new)
    (event,) = mends(stack, new, replica=mender)
    assert event["RegressionsMended"] == 1
    assert not mends(stack, new, replica=not mender)


def mends(stack: Local, change: Change, *, replica: bool) -> list[dict[str, Any]]:
    """What one Region's `publish` says of having put this very change back."""
    return stack.events("publish", "regression_mended", replica=replica, change_id=change.change_id)


def test_publish_puts_a_removed_item_back(stack: Local) -> None:
    store = items(stack)
    change = made("removed")
    put_object(stack, [change.line()])
    eventually(lambda: store.get(change.key) == change)
    published(stack, change)
    table = stack.root().client("dynamodb")
    table.delete_item(TableName=stack.outputs.items_table, Key={"pk": {"S": change.key}})
    for replica in (False, True):
        eventually(lambda: items(stack, replica=replica).get(change.key) == change)
    eventually(lambda: [event for replica in (False, True) for event in mends(stack, change, replica=replica)])


def test_a_delete_removes_the_documents_of_both_regions(stack: Local) -> None:
    put = made("to-delete", ms=now_ms() - 1_000)
    put_object(stack, [put.line()])
    published(stack, put)
    put_object(stack, [made("to-delete", None).line()])
    for replica in (False, True):
        eventually(lambda: document(stack, "to-delete", replica=replica) is None)
