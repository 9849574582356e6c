import json
from typing import Any

import boto3
import pytest

from readplane.apply.quarantine import S3LineQuarantine
from readplane.aws.client import make_client
from readplane.model.change import PoisonError
from tests.fakes.moto_aws import REGION
from tests.unit.apply.support import EVENT, HORIZON_MS, KEY, apply_with, failures, metrics
from tests.unit.support import NOW_MS, MemoryItems, MemoryLog, change, kinesis_event


def test_a_line_that_cannot_be_applied_goes_to_quarantine_and_stops_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good, lost = change(), change(collection="nope")
    items = MemoryItems()
    log = MemoryLog({KEY: [b"{half a li", lost.line(), good.line()]})
    assert apply_with(items, log)(EVENT) == {"batchItemFailures": []}
    assert items.by_key == {good.key: good}
    assert log.quarantined == [
        (b"{half a li", "unparsable", f"{KEY}:1"),
        (lost.line(), "unknown_collection", f"{KEY}:2"),
    ]
    assert items.get_change_status(lost.key, lost.change_id) == (None, "unknown_collection")
    assert metrics(capsys.readouterr().out)["ChangesQuarantined"] == 2


POISON = (
    b'{"half a li',
    b"\xff\xfe",
    change(collection="nope").line(),
    change("old", ms=NOW_MS - HORIZON_MS - 1).line(),
    change("large", data=json.dumps({"text": "x" * 300_000})).line(),
)
"""A line of every kind that can't be applied."""


@pytest.mark.parametrize("position", range(100))
def test_of_a_hundred_lines_with_one_bad_one_anywhere_the_other_ninety_nine_are_applied(position: int) -> None:
    poison = POISON[position % len(POISON)]
    changes = [change(f"p-{number}") for number in range(99)]
    lines = [entry.line() for entry in changes]
    lines.insert(position, poison)
    for event, origin in ((EVENT, f"{KEY}:{position + 1}"), (kinesis_event(lines), "stream/")):
        items, log = MemoryItems(), MemoryLog({KEY: lines})
        assert apply_with(items, log)(event) == {"batchItemFailures": []}
        assert items.by_key == {entry.key: entry for entry in changes}
        ((line, _, where),) = log.quarantined
        assert line == poison and where.startswith(origin)


def test_an_expired_change_goes_to_quarantine() -> None:
    expired = change(ms=NOW_MS - HORIZON_MS - 1)
    items, log = MemoryItems(), MemoryLog({KEY: [expired.line()]})
    apply_with(items, log)(EVENT)
    assert items.by_key == {} and log.quarantined == [(expired.line(), "expired", f"{KEY}:1")]


def test_a_change_with_time_0_expires_one_horizon_after_its_acceptance() -> None:
    """The version of a POST with an idempotency key has time 0, so only ``accepted_at`` says how old it is."""
    young = change(ms=0, accepted_ms=NOW_MS - HORIZON_MS)
    expired = change("p-2", ms=0, accepted_ms=NOW_MS - HORIZON_MS - 1)
    items, log = MemoryItems(), MemoryLog({KEY: [young.line(), expired.line()]})
    apply_with(items, log)(EVENT)
    assert items.by_key == {young.key: young} and log.quarantined == [(expired.line(), "expired", f"{KEY}:2")]


@pytest.mark.parametrize("data", ['{"n":2}', None], ids=["put", "delete"])
def test_a_change_with_time_0_never_replaces_a_put_or_delete(data: str | None) -> None:
    newer, retry = change(data=data, ms=NOW_MS), change(ms=0, accepted_ms=NOW_MS + 1)
    for lines in ([newer.line(), retry.line()], [retry.line(), newer.line()]):
        items, log = MemoryItems(), MemoryLog({KEY: lines})
        apply_with(items, log)(EVENT)
        assert items.by_key == {newer.key: newer} and log.quarantined == []


def test_an_expired_change_that_its_item_has_seen_is_counted_and_does_not_go_to_quarantine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    expired = change(ms=NOW_MS - HORIZON_MS - 1)
    for item, outcome in ((expired, "ChangesDuplicate"), (change(), "ChangesSuperseded")):
        lines = [expired.line(), change("p-2").line()]
        for event, records in ((EVENT, {"RecordsHandled": 2}), (kinesis_event(lines), {})):
            items, log = MemoryItems(), MemoryLog({KEY: lines})
            items.apply(item)
            assert failures(apply_with(items, log)(event)) == []
            assert items.by_key[item.key] == item and log.quarantined == []
            assert metrics(capsys.readouterr().out) == {"ChangesApplied": 1, outcome: 1, **records}


def replayed(event: Any) -> Any:
    """Return a copy of an SQS event whose messages are marked as part of a replay."""
    copy = json.loads(json.dumps(event))
    for message in copy["Records"]:
        message["body"] = json.dumps(json.loads(message["body"]) | {"replay": True})
    return copy


def test_a_replay_counts_an_expired_change_without_an_item_and_does_not_quarantine_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    expired = [change(f"p-{number}", ms=NOW_MS - HORIZON_MS - 1 - number) for number in range(3)]
    good, settled = change("good"), change("settled", ms=NOW_MS - HORIZON_MS - 1)
    items = MemoryItems()
    items.apply(settled)
    log = MemoryLog({KEY: [entry.line() for entry in (*expired, good, settled)]})
    assert apply_with(items, log)(replayed(EVENT)) == {"batchItemFailures": []}
    assert log.quarantined == [] and items.markers == {}, "a replay doesn't fill the quarantine"
    assert items.by_key == {good.key: good, settled.key: settled}
    out = capsys.readouterr().out
    assert metrics(out)["ChangesExpired"] == 3 and "ChangesQuarantined" not in out
    (report,) = [line for line in map(json.loads, out.splitlines()) if line["event"] == "object_replayed"]
    assert (report["key"], report["records"], report["expired"]) == (KEY, 5, 3)


def test_a_replay_quarantines_an_expired_change_that_is_newer_than_its_item_and_every_other_poison() -> None:
    stored, newer = change(ms=NOW_MS - HORIZON_MS - 9), change(ms=NOW_MS - HORIZON_MS - 1)
    items, log = MemoryItems(), MemoryLog({KEY: [newer.line(), b"{half a li", change(collection="nope").line()]})
    items.apply(stored)
    apply_with(items, log)(replayed(EVENT))
    assert [reason for _, reason, _ in log.quarantined] == ["expired", "unparsable", "unknown_collection"]
    assert items.by_key == {stored.key: stored}


@pytest.mark.usefixtures("aws", "either_client")
def test_a_line_is_kept_whole_and_once_however_often_it_comes() -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    quarantine = S3LineQuarantine(make_client("s3"), "bucket", "quarantine/")
    line = b'{"half": "\xff'
    for _ in range(2):
        quarantine.put_line(line + b"\n", PoisonError("unparsable", "the reason"), "log/a.gz:7")
    quarantine.put_line(b"text", PoisonError("expired", "old"), "log/a.gz:8")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket", Prefix="quarantine/")["Contents"]]
    assert [key.split("/")[1] for key in keys] == ["expired", "unparsable"]
    repeated, fresh = PoisonError("expired", "again"), PoisonError("unparsable", "a new one")
    assert not quarantine.put_line(b"text\n", repeated, "log/b.gz:1", only_new=True), "the line is kept already"
    assert [quarantine.put_line(b"new", fresh, "log/b.gz:2", only_new=True) for _ in range(2)] == [True, False]
    expired, unparsable = [json.load(s3.get_object(Bucket="bucket", Key=key)["Body"]) for key in keys]
    assert expired == {"reason": "expired", "detail": "old", "origin": "log/a.gz:8", "line": "text"}
    assert unparsable["line_base64"] == "eyJoYWxmIjogIv8=" and unparsable["detail"] == "the reason"
