"""Tests of malformed rows of the items table, and of a replay of changes that are older than the horizon."""

from typing import Any

import pytest

from tests.local.pipeline import HORIZON_MS, items, new_change, notify, now_ms, put_object, quarantined
from tests.local.support import Local, eventually


def put_row(stack: Local, row: Any) -> None:
    """Write a row into the items table, as somebody could do by hand."""
    stack.root().client("dynamodb").put_item(TableName=stack.outputs.items_table, Item=row)


@pytest.mark.parametrize("missing", ["version", "collection", "data"])
def test_a_malformed_row_is_a_404_is_in_no_list_and_is_replaced_by_the_next_write(stack: Local, missing: str) -> None:
    item_id = f"malformed-{missing}"
    row = items(stack)._record(new_change(item_id))
    del row[missing]
    put_row(stack, row)
    eventually(lambda: [entry for entry in quarantined(stack) if entry.get("row") == row], within=60)
    api, path = stack.api(stack.eve), f"/items/notices/{item_id}"
    assert api("GET", path).status_code == 404
    listing = api("GET", "/items/notices?limit=200")
    assert listing.status_code == 200 and item_id not in [item["id"] for item in listing.json()["items"]]
    response = api("PUT", path, {"title": "good"})
    assert response.status_code == 202
    eventually(lambda: api("GET", path).status_code == 200)
    document = f"/documents/notices/{item_id}"
    eventually(lambda: stack.api(stack.alice)("GET", document).status_code == 200, within=60)
    api("DELETE", path)


def test_publish_puts_back_an_item_that_a_malformed_row_has_replaced(stack: Local) -> None:
    change = new_change("malformed-over-good")
    put_object(stack, [change.line()])
    eventually(lambda: items(stack).get_item(change.key) == change)
    put_row(stack, {**items(stack)._record(change), "data": {"S": "{"}})
    # `publish` may first have to work off the records of the other tests.
    eventually(lambda: items(stack).get_item(change.key) == change, within=60)
    eventually(lambda: [entry for entry in quarantined(stack) if entry.get("row", {}).get("data") == {"S": "{"}])


def test_a_replay_counts_an_expired_change_whose_item_is_gone(stack: Local) -> None:
    expired = new_change("replayed-expired", ms=now_ms() - HORIZON_MS - 86_400_000)
    key = put_object(stack, [expired.line()])

    def entries() -> list[str]:
        return [entry["key"] for entry in quarantined(stack) if entry["origin"] == f"{key}:1"]

    (entry,) = eventually(entries)
    stack.root().client("s3").delete_object(Bucket=stack.outputs.write_log_bucket, Key=entry)
    notify(stack, [key], replay=True)
    (report,) = eventually(lambda: stack.events("apply", "object_replayed", key=key))
    assert (report["records"], report["expired"]) == (1, 1)
    assert entries() == [] and items(stack).get_item(expired.key) is None
