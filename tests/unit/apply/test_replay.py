"""Tests of replays: whatever is replayed, and however often, nothing changes and nothing is counted again."""

import copy
import json
import random
from collections import Counter
from typing import Any

import pytest

from readplane.apply.tally import DynamoCountedObjects
from readplane.config import DAY_MS
from readplane.model.timestamp import rfc3339
from readplane.stores.items_bulk import DynamoBulkItems
from readplane.telemetry import Telemetry
from tests.fakes.dynamodb import MemoryDynamo
from tests.unit.apply.support import EVENT, HORIZON_MS, KEY, MemoryCountedObjects, apply_with, failures, metrics
from tests.unit.support import NOW_MS, MemoryItems, MemoryLog, change

REPORTS = {"ChangesDuplicate", "ChangesSuperseded", "ChangesExpired"}
"""The metrics with which a replay says what it found. No alarm watches them."""


def messages(objects: list[tuple[str, int]], **marks: Any) -> Any:
    """Return an SQS event that announces objects, each by its key and its creation time in Unix milliseconds."""
    event = {"Records": [copy.deepcopy(EVENT["Records"][0]) for _ in objects]}
    for number, (message, (key, created_ms)) in enumerate(zip(event["Records"], objects, strict=True)):
        record = {"eventTime": rfc3339(created_ms), "s3": {"object": {"key": key}}}
        message |= {"messageId": f"{marks}-{number}", "body": json.dumps({"Records": [record], **marks})}
    return event


def sums(out: str) -> Counter[str]:
    """Return the sum of each metric in the lines of a log."""
    return sum((Counter(metrics(line)) for line in out.splitlines()), Counter())


class Days:
    """A stack that lives through virtual days: its items table, its write log, its quarantine, and `apply`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table, self.log = MemoryDynamo(), MemoryLog()
        self.objects: list[tuple[str, int]] = []
        items = DynamoBulkItems(self.table, "items", horizon_ms=HORIZON_MS, telemetry=Telemetry("apply", "demo"))
        self._apply = apply_with(items, self.log, counted=DynamoCountedObjects(self.table, "items"))
        self._random = random.Random(15)
        self.now_ms = NOW_MS
        monkeypatch.setattr("time.time_ns", lambda: self.now_ms * 1_000_000)

    def live(self) -> None:
        """Live one day: clients put and delete items, poison arrives, and DynamoDB deletes what has expired."""
        self.now_ms += DAY_MS
        lines = []
        for number in range(8):
            data = None if self._random.random() < 0.4 else f'{{"n":{number}}}'
            item_id = f"p-{4 * len(self.objects) + self._random.randrange(16)}"
            lines.append(change(item_id, ms=self.now_ms - number * 1000, tail=number, data=data).line())
        day = rfc3339(self.now_ms)
        lines += [f"not a change of {day}".encode(), change(f"lost-{day[:10]}", ms=self.now_ms, collection="no").line()]
        hour = f"log/year={day[:4]}/month={day[5:7]}/day={day[8:10]}/hour={day[11:13]}/object.gz"
        self.log.objects[hour] = lines
        self.objects.append((hour, self.now_ms))
        self.apply(messages(self.objects[-1:]))
        for key, row in list(self.table.items.items()):
            if int(row.get("expires_at", {"N": str(10**12)})["N"]) < self.now_ms // 1000:
                del self.table.items[key]

    def apply(self, event: Any) -> None:
        """Apply an event, in which nothing may fail."""
        assert failures(self._apply(event)) == []

    def state(self) -> tuple[dict[str, Any], list[Any]]:
        """Return all that is stored: the rows of the table and the quarantined lines."""
        return copy.deepcopy((dict(self.table.items), self.log.quarantined))


def living(rows: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of items, without markers and counted objects."""
    return {key: row for key, row in rows.items() if key.startswith("item/")}


def test_two_replays_of_sixty_days_change_nothing_and_count_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    days = Days(monkeypatch)
    for _ in range(60):
        days.live()
    live_sums = sums(capsys.readouterr().out)
    assert (live_sums["RecordsHandled"], live_sums["ChangesQuarantined"]) == (600, 120)
    before = days.state()
    for number in range(2):
        objects = random.Random(number).sample(days.objects, len(days.objects))
        days.apply(messages(objects, replay=True))
        replay_sums = sums(capsys.readouterr().out)
        assert set(replay_sums) <= REPORTS and replay_sums["ChangesExpired"] > 50
        assert days.state() == before
    days.apply(messages(days.objects))
    assert sums(capsys.readouterr().out)["ChangesQuarantined"] > 50, "without the mark, a replay fills the quarantine"
    assert days.state() != before


def test_a_replay_after_which_the_items_are_gone_brings_back_what_is_younger_than_the_horizon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    days = Days(monkeypatch)
    for _ in range(20):
        days.live()
    before = days.state()
    for key in [key for key in days.table.items if key.startswith("item/")]:
        del days.table.items[key]
    days.apply(messages(days.objects[::-1], replay=True))
    assert days.state() == before


def handled(capsys: pytest.CaptureFixture[str], key: str, counted: MemoryCountedObjects, **marks: Any) -> float | None:
    """Apply an object of one line, and return the metric `RecordsHandled`; ``None`` if there is none."""
    log = MemoryLog({key: [change().line()]})
    event = messages([(key, NOW_MS)], **marks)
    assert failures(apply_with(MemoryItems(), log, counted=counted)(event)) == []
    return metrics(capsys.readouterr().out).get("RecordsHandled")


def test_only_a_lost_object_counts_when_it_is_replayed_and_only_once(capsys: pytest.CaptureFixture[str]) -> None:
    counted = MemoryCountedObjects()
    key = "log/a.gz"
    assert handled(capsys, key, counted, replay=True) is None
    assert handled(capsys, key, counted, replay=True, lost=True, collections=["products"]) is None
    assert handled(capsys, key, counted, replay=True, lost=True) == 1
    assert handled(capsys, key, counted, replay=True, lost=True) is None
    assert handled(capsys, key, counted) is None


@pytest.mark.parametrize("key", ["stream/year=2026/a.gz", "log/redrive/2026-11-21/a", "log/import/job/1.gz"])
def test_an_object_that_the_firehose_of_the_write_log_did_not_deliver_never_counts(
    capsys: pytest.CaptureFixture[str], key: str
) -> None:
    assert handled(capsys, key, MemoryCountedObjects()) is None
    assert handled(capsys, key, MemoryCountedObjects(), replay=True, lost=True) is None


def test_a_lost_object_counts_at_its_own_time(capsys: pytest.CaptureFixture[str]) -> None:
    log = MemoryLog({KEY: [change().line()]})
    apply_with(MemoryItems(), log)(messages([(KEY, NOW_MS - DAY_MS)], replay=True, lost=True))
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    (entry,) = [line for line in lines if line["event"] == "object_handled"]
    assert entry["_aws"]["Timestamp"] == NOW_MS - DAY_MS


def test_a_replay_of_collections_leaves_out_every_other_line(capsys: pytest.CaptureFixture[str]) -> None:
    product, order = change("a"), change("b", collection="orders")
    stale = change("c", collection="orders", ms=NOW_MS - HORIZON_MS - 1)
    log = MemoryLog({KEY: [b"no change", product.line(), order.line(), stale.line(), change(collection="no").line()]})
    log.damaged.add(KEY)
    items = MemoryItems()
    apply_with(items, log)(messages([(KEY, NOW_MS)], replay=True, collections=["products"]))
    assert items.by_key == {product.key: product} and log.quarantined == [] and items.markers == {}
    assert sums(capsys.readouterr().out) == {"ChangesApplied": 1}
    apply_with(items, log)(messages([(KEY, NOW_MS)], replay=True, collections=["orders", "no"]))
    assert set(items.by_key) == {product.key, order.key}
    assert [reason for _, reason, _ in log.quarantined] == ["unknown_collection"]


def test_a_replay_finishes_what_a_killed_one_left_of_a_quarantined_change(capsys: pytest.CaptureFixture[str]) -> None:
    """`apply` put the line into quarantine and died before it wrote the marker and counted the change."""
    poison = change(collection="no")
    items, log = MemoryItems(), MemoryLog({KEY: [poison.line()]})
    apply = apply_with(items, log)
    apply(messages([(KEY, NOW_MS)], replay=True))
    items.markers.clear()
    capsys.readouterr()
    for expected in ({"ChangesQuarantined": 1}, {}):
        apply(messages([(KEY, NOW_MS)], replay=True))
        assert sums(capsys.readouterr().out) == expected
        assert len(items.markers) == len(log.quarantined) == 1


def test_an_object_that_is_rewritten_later_is_not_counted_and_fills_no_quarantine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    days = Days(monkeypatch)
    for _ in range(60):
        days.live()
    capsys.readouterr()
    before = days.state()
    days.apply(messages([(key, days.now_ms) for key, _ in days.objects]))
    # Some objects are younger than two days. The table remembers that they are counted.
    assert "RecordsHandled" not in sums(capsys.readouterr().out)
    rows, quarantined = days.state()
    assert living(rows) == living(before[0]) and set(quarantined) == set(before[1])
