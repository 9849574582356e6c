"""From the write log to the items: duplicates, late objects, poison."""

import json
import re
from typing import Any

from readplane.model.change import MAX_DATA_BYTES
from readplane.read.status import Status
from tests.local.pipeline import items, lines_of, log_keys, made, notify, now_ms, put_object, quarantined, shown, status
from tests.local.support import Local, eventually


def test_objects_delivered_twice_and_late_change_nothing(stack: Local) -> None:
    store = items(stack)
    old = made("late", '{"title":"old"}', ms=now_ms() - 60_000)
    new = made("late", '{"title":"new"}')
    first = put_object(stack, [new.line()])
    eventually(lambda: store.get(new.key) == new)
    late = put_object(stack, [old.line()])
    notify(stack, [first, late, first])
    probe = made("late-probe")
    put_object(stack, [probe.line()])
    eventually(lambda: store.get(probe.key) == probe)
    assert store.get(new.key) == new
    assert (status(store, old), status(store, new)) == (Status("superseded"), Status("applied"))


def test_a_deleted_item_is_not_resurrected_by_a_late_object(stack: Local) -> None:
    store = items(stack)
    put, gone = made("gone", ms=now_ms() - 5_000), made("gone", None, ms=now_ms() - 1_000)
    put_object(stack, [gone.line()])
    eventually(lambda: store.get(gone.key) == gone)
    put_object(stack, [put.line(), gone.line()])
    eventually(lambda: status(store, put) == Status("superseded"))
    assert stack.api(stack.eve)("GET", "/items/notices/gone").status_code == 404


def test_poison_is_kept_whole_counted_told_and_holds_up_nothing(stack: Local) -> None:
    store = items(stack)
    good = [made(f"beside-poison-{number}") for number in range(3)]
    unknown = made("poison", collection="nowhere")
    large = made("poison-large", '{"title":"' + "x" * MAX_DATA_BYTES + '"}')
    expired = made("poison-expired", ms=now_ms() - 31 * 86_400_000)
    first = [b"this is no change\n", unknown.line(), good[0].line(), large.line()]
    key = put_object(stack, [*first, good[1].line(), expired.line(), b"\xff\n", good[2].line()])
    for change in good:
        eventually(lambda: store.get(change.key) == change)
    found = eventually(lambda: five(stack, key))
    assert {(entry["reason"], entry["origin"].removeprefix(key)) for entry in found} == {
        ("unparsable", ":1"),
        ("unknown_collection", ":2"),
        ("too_large", ":4"),
        ("expired", ":6"),
        ("unparsable", ":7"),
    }
    kept = {entry["origin"].rpartition(":")[2]: entry for entry in found}
    assert kept["4"]["line"].encode() + b"\n" == large.line() and kept["7"]["line_base64"] == "/w=="
    # The status route tells the owner of the change, and only a change of that very item.
    api = stack.api(stack.eve)
    told = api("GET", f"/items/notices/poison-large/changes/{large.change_id}").json()
    assert told == {"status": "quarantined", "reason": "too_large"}
    told = api("GET", f"/items/notices/poison-expired/changes/{expired.change_id}").json()
    assert told == {"status": "quarantined", "reason": "expired"}
    assert api("GET", f"/items/notices/other/changes/{expired.change_id}").status_code == 404
    # counted
    counts = eventually(lambda: told_of(stack, "changes_applied", key), every=0.5)
    assert {(event["ChangesApplied"], event["ChangesQuarantined"]) for event in counts} == {(3, 5)}
    handled = eventually(lambda: told_of(stack, "object_handled", key), every=0.5)
    assert {event["RecordsHandled"] for event in handled} == {8}


def told_of(stack: Local, code: str, key: str) -> list[dict[str, Any]]:
    shown(stack)
    return stack.events("apply", code, key=key)


def five(stack: Local, key: str) -> list[dict[str, str]] | None:
    found = [entry for entry in quarantined(stack) if entry["origin"].startswith(key)]
    return found if len(found) == 5 else None


def test_a_damaged_object_gives_what_it_can(stack: Local) -> None:
    store = items(stack)
    before = {entry["key"] for entry in quarantined(stack)}
    plain = made("plain-text")
    put_object(stack, [plain.line()], packed=False)
    eventually(lambda: store.get(plain.key) == plain)
    put_object(stack, [b"\x1f\x8b broken"], packed=False)
    eventually(lambda: [e for e in quarantined(stack) if e["key"] not in before and "GZIP" in e["detail"]])


def test_the_write_log_keeps_what_was_accepted(stack: Local) -> None:
    """Hourly prefix, one line per change: what a replay or an audit reads."""
    change_id = stack.api(stack.eve)("PUT", "/items/notices/logged", {"title": "kept"}).json()["change_id"]

    def find() -> tuple[str, bytes] | None:
        ours = sorted(key for key in log_keys(stack) if stack.outputs.delivery_stream in key)
        for key in reversed(ours[-20:]):
            for line in lines_of(stack, key):
                if change_id.encode() in line:
                    return key, line
        return None

    key, line = eventually(find)
    assert re.match(r"log/year=\d{4}/month=\d\d/day=\d\d/hour=\d\d/", key), key
    assert json.loads(line)["data"] == {"title": "kept"}
