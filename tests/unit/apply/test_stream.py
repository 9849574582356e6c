from itertools import chain, repeat

import pytest

from readplane.aws.faults import RefusedError, UnansweredError
from readplane.model.change import Change, PoisonError
from readplane.stores.items import ApplyOutcome
from tests.unit.apply.support import HORIZON_MS, apply_with, failures, metrics, sequence
from tests.unit.support import NOW_MS, MemoryItems, MemoryLog, change, kinesis_event

SHARD = "shardId-000000000006"


def test_records_of_the_change_stream_are_folded_into_the_items(capsys: pytest.CaptureFixture[str]) -> None:
    """Apply changes whose versions are a year old or older.

    None of the changes is expired, because their age counts from when Readplane accepted them, which is just now.
    """
    year = 365 * 86_400_000
    old, new, gone = (
        change("p-1", ms=NOW_MS - year - 1, accepted_ms=NOW_MS, source="shop"),
        change("p-1", ms=NOW_MS - year, accepted_ms=NOW_MS, source="shop"),
        change("p-2", ms=NOW_MS - 2 * year, accepted_ms=NOW_MS, source="shop", data=None),
    )
    items = MemoryItems()
    event = kinesis_event([entry.line() for entry in (new, old, gone, new)])
    apply = apply_with(items, MemoryLog())
    assert apply(event) == {"batchItemFailures": []}
    assert items.by_key == {new.key: new, gone.key: gone}
    counted = metrics(capsys.readouterr().out)
    assert counted == {"ChangesApplied": 2, "ChangesSuperseded": 1, "ChangesDuplicate": 1}
    apply(event)
    assert metrics(capsys.readouterr().out) == {"ChangesSuperseded": 1, "ChangesDuplicate": 3}


def test_a_record_that_cannot_be_applied_goes_to_quarantine_and_stops_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good, lost, old = change(), change(collection="nope"), change("old", ms=NOW_MS - HORIZON_MS - 1)
    items, log = MemoryItems(), MemoryLog()
    lines = [b"{half a li", lost.line(), good.line(), old.line()]
    assert apply_with(items, log)(kinesis_event(lines)) == {"batchItemFailures": []}
    assert items.by_key == {good.key: good}
    assert sorted(log.quarantined, key=lambda entry: entry[2]) == [
        (b"{half a li", "unparsable", f"stream/{SHARD}:{sequence(0)}"),
        (lost.line(), "unknown_collection", f"stream/{SHARD}:{sequence(1)}"),
        (old.line(), "expired", f"stream/{SHARD}:{sequence(3)}"),
    ]
    assert items.get_change_status(lost.key, lost.change_id) == (None, "unknown_collection")
    assert metrics(capsys.readouterr().out) == {"ChangesApplied": 1, "ChangesQuarantined": 3}


class RefusingItems(MemoryItems):
    """Items in memory that refuse some changes, as DynamoDB can do. A batch with such a change fails as a whole."""

    def __init__(self, *refused: str) -> None:
        super().__init__()
        self.refused = set(refused)

    def apply(self, change: Change) -> ApplyOutcome:
        if change.item_id in self.refused:
            raise RefusedError("ValidationException", 400)
        return super().apply(change)


def test_a_refused_change_stops_only_its_own_item(capsys: pytest.CaptureFixture[str]) -> None:
    items = RefusingItems("i7")
    lines = [change(f"i{number}").line() for number in range(250)]
    apply = apply_with(items, MemoryLog())
    assert failures(apply(kinesis_event(lines))) == [sequence(7)]
    assert len(items.by_key) == 249, "all others are applied, in its batch and in later ones"
    counted = metrics(capsys.readouterr().out)
    assert counted["ChangesFailed"] == 1
    items.refused.clear()
    assert failures(apply(kinesis_event(lines[7:], 7))) == []
    assert len(items.by_key) == 250
    assert metrics(capsys.readouterr().out) == {"ChangesApplied": 1, "ChangesDuplicate": 242}


def test_a_failed_batch_stops_no_other(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("readplane.apply.stream.MAX_CHANGES", 10)
    items = MemoryItems()
    items.fail = {"i57", "i34"}
    lines = [change(f"i{number}").line() for number in range(100)]
    # The batches of the records 30-39 and 50-59 failed. Lambda must retry from record 30, because it is unknown which
    # changes of a failed batch were written.
    assert failures(apply_with(items, MemoryLog())(kinesis_event(lines))) == [sequence(30)]
    applied = {int(entry.item_id[1:]) for entry in items.by_key.values()}
    assert applied >= {*range(30), *range(40, 50), *range(60, 100)}
    out = capsys.readouterr().out
    assert metrics(out)["ChangesFailed"] == 20 and '"TimeoutError"' in out and "i34" not in out


def test_lambda_starts_again_at_the_newest_change_of_a_failed_item() -> None:
    items = RefusingItems("bad")
    first, second, third = (change("bad", ms=NOW_MS + tick) for tick in range(3))
    lines = [first.line(), change("good").line(), third.line(), second.line(), third.line()]
    apply = apply_with(items, MemoryLog())
    assert failures(apply(kinesis_event(lines))) == [sequence(2)]
    items.refused.clear()
    assert failures(apply(kinesis_event(lines[2:], 2))) == []
    assert items.by_key[third.key] == third


def test_a_record_that_cannot_be_quarantined_comes_again() -> None:
    class SilentQuarantine(MemoryLog):
        def put_line(self, line: bytes, poison: PoisonError, origin: str, *, only_new: bool = False) -> bool:
            raise UnansweredError("ConnectTimeout", sent=False)

    items = MemoryItems()
    lines = [change("a").line(), b"not a change", change("b").line()]
    assert failures(apply_with(items, SilentQuarantine())(kinesis_event(lines))) == [sequence(1)]
    assert len(items.by_key) == 2
    log = MemoryLog()
    assert failures(apply_with(items, log)(kinesis_event(lines[1:], 1))) == [] and len(log.quarantined) == 1


def test_an_old_change_comes_again_if_its_item_cannot_be_read() -> None:
    class UnreadableItems(MemoryItems):
        def get_item(self, key: str, *, consistent: bool = False) -> Change | None:
            raise UnansweredError("ReadTimeoutError", sent=True)

    items = UnreadableItems()
    lines = [change("a").line(), change("old", ms=NOW_MS - HORIZON_MS - 1).line(), change("b").line()]
    log = MemoryLog()
    assert failures(apply_with(items, log)(kinesis_event(lines))) == [sequence(1)]
    assert len(items.by_key) == 2 and log.quarantined == []


@pytest.mark.parametrize(
    ("records_in_time", "batches_in_time", "restart", "applied"),
    [(3, 2, None, 3), (3, 1, 2, 2), (3, 0, 0, 0), (2, 1, 2, 2), (0, 1, 0, 0)],
)
def test_parsing_stops_after_a_quarter_of_the_time_and_writing_after_half(
    records_in_time: int, batches_in_time: int, restart: int | None, applied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("readplane.apply.stream.MAX_CHANGES", 2)
    monkeypatch.setattr("readplane.apply.handler.WORKERS", 1)
    items = MemoryItems()
    # The answers that `apply` gets when it asks how much time remains. It asks once at the start, then before it parses
    # each of the 3 records, and then before it writes each batch.
    remaining_ms = chain(
        [30_000],
        repeat(22_500, records_in_time),
        repeat(22_499, 3 - records_in_time),
        repeat(15_000, batches_in_time),
        repeat(14_999),
    )
    late = apply_with(items, MemoryLog(), remaining_ms=remaining_ms)
    reported = failures(late(kinesis_event([change(name).line() for name in "abc"])))
    assert reported == ([] if restart is None else [sequence(restart)]) and len(items.by_key) == applied
