"""Tests of `apply` on the local stack: repeated and late log objects, and changes that can't be applied."""

import json
import re
from typing import Any

from readplane.model.change import MAX_DATA_BYTES
from readplane.model.keys import counted_key
from readplane.read.status import Status
from tests.local.pipeline import (
    items,
    lines_of,
    log_keys,
    new_change,
    notify,
    now_ms,
    put_object,
    quarantined,
    status,
)
from tests.local.support import Local, eventually


def test_an_object_that_comes_twice_or_late_changes_nothing(stack: Local) -> None:
    store = items(stack)
    old = new_change("late", '{"title":"old"}', ms=now_ms() - 60_000)
    new = new_change("late", '{"title":"new"}')
    first = put_object(stack, [new.line()])
    eventually(lambda: store.get_item(new.key) == new)
    late = put_object(stack, [old.line()])
    notify(stack, [first, late, first])
    probe = new_change("late-probe")
    put_object(stack, [probe.line()])
    eventually(lambda: store.get_item(probe.key) == probe)
    assert store.get_item(new.key) == new
    assert (status(store, old), status(store, new)) == (Status("superseded"), Status("applied"))


def test_a_deleted_item_is_not_resurrected_by_a_late_object(stack: Local) -> None:
    store = items(stack)
    put, gone = new_change("gone", ms=now_ms() - 5_000), new_change("gone", None, ms=now_ms() - 1_000)
    put_object(stack, [gone.line()])
    eventually(lambda: store.get_item(gone.key) == gone)
    put_object(stack, [put.line(), gone.line()])
    eventually(lambda: status(store, put) == Status("superseded"))
    assert stack.api(stack.eve)("GET", "/items/notices/gone").status_code == 404


def test_a_change_that_cannot_be_applied_is_quarantined_counted_and_delays_no_other(stack: Local) -> None:
    store = items(stack)
    good = [new_change(f"good-{number}") for number in range(3)]
    unknown = new_change("misplaced", collection="nowhere")
    large = new_change("too-large", '{"title":"' + "x" * MAX_DATA_BYTES + '"}')
    expired = new_change("expired", ms=now_ms() - 31 * 86_400_000)
    first = [b"this is no change\n", unknown.line(), good[0].line(), large.line()]
    key = put_object(stack, [*first, good[1].line(), expired.line(), b"\xff\n", good[2].line()])
    for change in good:
        eventually(lambda: store.get_item(change.key) == change)
    entries = eventually(lambda: five_entries(stack, key))
    assert {(entry["reason"], entry["origin"].removeprefix(key)) for entry in entries} == {
        ("unparsable", ":1"),
        ("unknown_collection", ":2"),
        ("too_large", ":4"),
        ("expired", ":6"),
        ("unparsable", ":7"),
    }
    by_line = {entry["origin"].rpartition(":")[2]: entry for entry in entries}
    assert by_line["4"]["line"].encode() + b"\n" == large.line() and by_line["7"]["line_base64"] == "/w=="
    # The API must report the status of a quarantined change under the change's own item. Under another item it must
    # respond 404.
    api = stack.api(stack.eve)
    status = api("GET", f"/items/notices/too-large/changes/{large.change_id}").json()
    assert status == {"status": "quarantined", "reason": "too_large"}
    status = api("GET", f"/items/notices/expired/changes/{expired.change_id}").json()
    assert status == {"status": "quarantined", "reason": "expired"}
    assert api("GET", f"/items/notices/other/changes/{expired.change_id}").status_code == 404
    counts = eventually(lambda: logged(stack, "changes_applied", key), every=0.5)
    assert {(event["ChangesApplied"], event["ChangesQuarantined"]) for event in counts} == {(3, 5)}
    handled = eventually(lambda: logged(stack, "object_handled", key), every=0.5)
    assert {event["RecordsHandled"] for event in handled} == {8}


def logged(stack: Local, code: str, key: str) -> list[dict[str, Any]]:
    """Return the log events of `apply` that have this code and are about this log object."""
    return stack.events("apply", code, key=key)


def five_entries(stack: Local, key: str) -> list[dict[str, str]] | None:
    """Return the quarantine entries of a log object if there are five; otherwise ``None``."""
    entries = [entry for entry in quarantined(stack) if entry["origin"].startswith(key)]
    return entries if len(entries) == 5 else None


def test_an_uncompressed_object_is_applied_and_a_damaged_one_is_quarantined(stack: Local) -> None:
    store = items(stack)
    before = {entry["key"] for entry in quarantined(stack)}
    plain = new_change("plain-text")
    put_object(stack, [plain.line()], packed=False)
    eventually(lambda: store.get_item(plain.key) == plain)
    put_object(stack, [b"\x1f\x8b broken"], packed=False)
    eventually(lambda: [e for e in quarantined(stack) if e["key"] not in before and "GZIP" in e["detail"]])


def test_lambda_passes_no_rows_of_counted_objects_to_publish(stack: Local) -> None:
    """The event source mapping of `publish` filters the items stream, in the order of the stream."""
    since_ms, rows = now_ms(), 500
    table: Any = stack.root().resource("dynamodb").Table(stack.outputs.items_table)
    with table.batch_writer() as batch:
        for number in range(rows):
            batch.put_item(Item={"pk": counted_key(f"log/filtered-{number}"), "expires_at": now_ms() // 1000 + 3600})
    probe = new_change("after-counted-objects")
    put_object(stack, [probe.line()])
    reader = stack.api(stack.alice)
    eventually(lambda: reader("GET", "/documents/notices/after-counted-objects").status_code == 200)
    batches = eventually(lambda: stack.events("publish", "documents_published", since_ms=since_ms))
    assert 1 <= sum(batch["records"] for batch in batches) < rows, "other tests and polls write few items meanwhile"


def test_the_write_log_holds_each_accepted_change_as_a_line_under_an_hourly_prefix(stack: Local) -> None:
    """Check the format of the write log, because replays and audits rely on it."""
    change_id = stack.api(stack.eve)("PUT", "/items/notices/logged", {"title": "kept"}).json()["change_id"]

    def find() -> tuple[str, bytes] | None:
        delivered = sorted(key for key in log_keys(stack) if stack.outputs.delivery_stream in key)
        for key in reversed(delivered[-20:]):
            for line in lines_of(stack, key):
                if change_id.encode() in line:
                    return key, line
        return None

    key, line = eventually(find)
    assert re.match(r"log/year=\d{4}/month=\d\d/day=\d\d/hour=\d\d/", key), key
    assert json.loads(line)["data"] == {"title": "kept"}
