"""Tests of applying changes in bulk: each item ends up with its newest change, despite faults and other writers."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readplane.apply import stream
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.model.change import Change
from readplane.model.window import Window
from readplane.stores import table as stores_table
from readplane.stores.items import ApplyOutcome, DynamoItems
from readplane.stores.items_bulk import MAX_CHANGES, MAX_STATEMENTS, DynamoBulkItems
from readplane.stores.table import MAX_ATTEMPTS, MAX_BATCH_BYTES
from tests.fakes.dynamodb import MAX_STATEMENT, MemoryDynamo
from tests.unit.apply.support import EVENT, KEY, apply_with
from tests.unit.stores.support import HORIZON_MS
from tests.unit.support import ALICE, NOW_MS, MemoryItems, MemoryLog, change, kinesis_event


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)
    monkeypatch.setattr(stores_table, "_BACKOFF_SECONDS", 0.0)


def bulk_items(fake: MemoryDynamo) -> DynamoBulkItems:
    return DynamoBulkItems(fake, "items", horizon_ms=HORIZON_MS)


def expected_table(changes: Sequence[Change]) -> dict[str, Any]:
    """Return the items of a table to which all changes were applied one by one, the oldest first."""
    fake = MemoryDynamo()
    items = DynamoItems(fake, "items", horizon_ms=HORIZON_MS)
    for entry in sorted(changes, key=lambda entry: entry.version):
        items.apply(entry)
    return fake.items


def apply_objects(items: Any, *objects: Sequence[Change]) -> Callable[[], dict[str, Any]]:
    """Return a function that, at each call, runs `apply` on the next of ``objects`` and returns its response.

    :param objects: the objects of the write log, each as a list of its changes.
    """
    log = MemoryLog({KEY: []})
    apply = apply_with(items, log)
    remaining = iter(objects)

    def apply_next() -> dict[str, Any]:
        log.objects[KEY] = [entry.line() for entry in next(remaining)]
        response: dict[str, Any] = apply(EVENT)
        assert log.quarantined == []
        return response

    return apply_next


def sum_metrics(out: str) -> Counter[str]:
    """Return the sum of each CloudWatch metric in the log lines of `apply`."""
    sums: Counter[str] = Counter()
    for line in map(json.loads, out.splitlines()):
        for group in line.get("_aws", {}).get("CloudWatchMetrics", []):
            sums.update({metric["Name"]: line[metric["Name"]] for metric in group["Metrics"]})
    return sums


def change_at(item: int, tick: int, deleted: bool, owned: bool) -> Change:
    data = None if deleted else json.dumps({"t": tick, "text": "ü" * (tick % 3)})
    if owned:
        return change(f"i{item}", ms=NOW_MS + tick, data=data, collection="profiles", owner=ALICE)
    return change(f"i{item}", ms=NOW_MS + tick, data=data)


changes = st.builds(change_at, st.integers(0, 7), st.integers(0, 9), st.booleans(), st.booleans())


def with_one_content_per_version(history: list[Change]) -> list[Change]:
    """Replace all changes of an item that have the same version by the first of them.

    Real changes of an item with the same version always have the same content.
    """
    first: dict[tuple[str, str], Change] = {}
    return [first.setdefault((entry.key, entry.version), entry) for entry in history]


histories = st.lists(changes, max_size=40).map(with_one_content_per_version)
faults = st.lists(
    st.sampled_from(
        [None, None, None, "ThrottlingError", "TransactionConflict", "InternalServerError", "other writer", "fatal"]
    ),
    min_size=1,
    max_size=12,
)
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Faults:
    """Makes calls to a table in memory fail. ``codes`` lists the faults to use in turn; ``None`` means no fault.

    After the last code, the first comes again. After a fixed number of codes, no call fails any more.
    """

    def __init__(self, codes: list[str | None], fake: MemoryDynamo, others: list[Change]) -> None:
        self.remaining = 4 * MAX_ATTEMPTS
        self.codes = cycle(codes)
        self.other_writer = DynamoItems(fake, "items", horizon_ms=HORIZON_MS)
        self.others = others
        fake.fail_statement = self.fail_statement
        fake.fail_call = self.fail_call
        fake.leave = lambda pk: self.next_code() is not None
        fake.stale = lambda pk: self.next_code() is not None

    def next_code(self) -> str | None:
        self.remaining -= 1
        return next(self.codes) if self.remaining > 0 else None

    def fail_statement(self, pk: str) -> str | None:
        code = self.next_code()
        if code == "other writer":
            for entry in self.others:
                if entry.key == pk:
                    self.other_writer.apply(entry)
            return None
        return "AccessDenied" if code == "fatal" else code

    def fail_call(self, operation: str) -> str | None:
        return "InternalServerError" if self.next_code() == "fatal" and operation != "PutItem" else None


@relaxed
@given(st.lists(histories, min_size=1, max_size=3), histories, faults, st.integers(1, 9), st.integers(3, 6))
def test_the_newest_change_of_each_item_stays(
    capsys: pytest.CaptureFixture[str],
    objects: list[list[Change]],
    others: list[Change],
    codes: list[str | None],
    window_size: int,
    batch_size: int,
) -> None:
    """Apply write-log objects while another writer changes the same items, and calls fail with every kind of fault.

    The window and batch sizes are so small that `apply` can need several windows per object, and several batches per
    window.
    """
    everything = with_one_content_per_version([entry for entries in [*objects, others] for entry in entries])
    contents = {(entry.key, entry.version): entry for entry in everything}
    objects = [[contents[entry.key, entry.version] for entry in entries] for entries in objects]
    others = [contents[entry.key, entry.version] for entry in others]
    fake = MemoryDynamo()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Window, "MAX_CHANGES", window_size)
        patch.setattr(stream, "MAX_CHANGES", batch_size)
        Faults(codes, fake, others)
        for entries in objects:
            apply_again = apply_objects(bulk_items(fake), *[entries] * 99)
            capsys.readouterr()
            while apply_again()["batchItemFailures"]:  # SQS redelivers the object until `apply` succeeds
                capsys.readouterr()
            counts = sum_metrics(capsys.readouterr().out)
            outcomes = sum(counts[name] for name in ("ChangesApplied", "ChangesSuperseded", "ChangesDuplicate"))
            assert outcomes == counts["RecordsHandled"] == len(entries)
    for entry in others:
        bulk_items(fake).apply(entry)
    assert fake.items == expected_table(everything)


class Shard:
    """A model of Lambda, which reads a shard of the change stream and passes batches of records to `apply` in order.

    If `apply` reports a failed record, the next batch begins at that record.
    """

    def __init__(self, apply: Callable[[Any], Any], lines: list[bytes], batch_size: int) -> None:
        self.apply = apply
        self.lines = lines
        self.batch_size = batch_size
        self.records = kinesis_event(lines)["Records"]
        self.places = {record["kinesis"]["sequenceNumber"]: place for place, record in enumerate(self.records)}

    def run(self, max_attempts: int | None = None) -> list[bytes]:
        """Pass the whole stream to `apply`, or stop at a batch that makes no progress in ``max_attempts`` attempts.

        :returns: the lines of the batch that made no progress, or an empty list if every batch did.
        """
        start, attempts = 0, 0
        while start < len(self.records):
            records = self.records[start : start + self.batch_size]
            failed = self.apply({"Records": records})["batchItemFailures"]
            end = start + len(records)
            resume_at = min((self.places[failure["itemIdentifier"]] for failure in failed), default=end)
            assert start <= resume_at <= end
            attempts = attempts + 1 if resume_at == start else 0
            start = resume_at
            if attempts == max_attempts:
                return self.lines[start : start + self.batch_size]
        return []


@relaxed
@given(histories, histories, faults, st.integers(1, 20), st.integers(3, 6))
def test_the_newest_change_of_each_item_stays_by_the_change_stream_too(
    history: list[Change], others: list[Change], codes: list[str | None], shard_batch: int, batch_size: int
) -> None:
    everything = with_one_content_per_version([*history, *others])
    contents = {(entry.key, entry.version): entry for entry in everything}
    lines = [contents[entry.key, entry.version].line() for entry in history]
    others = [contents[entry.key, entry.version] for entry in others]
    fake, log = MemoryDynamo(), MemoryLog()
    poison = [b"poison %d" % number for number in range(len(lines) // 7)]
    for number, line in enumerate(poison):
        lines.insert(number * 5, line)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "MAX_CHANGES", batch_size)
        Faults(codes, fake, others)
        assert Shard(apply_with(bulk_items(fake), log), lines, shard_batch).run() == []
    for entry in others:
        bulk_items(fake).apply(entry)
    assert fake.items == expected_table(everything)
    assert {line for line, _, _ in log.quarantined} == set(poison)


@relaxed
@given(histories, st.sets(st.integers(0, 7), max_size=3), st.integers(1, 20), st.integers(1, 3), st.integers(3, 6))
def test_an_item_that_always_fails_holds_up_no_other(
    history: list[Change], failing: set[int], shard_batch: int, max_attempts: int, batch_size: int
) -> None:
    """Let Lambda give up on a batch after ``max_attempts`` attempts, and send the whole batch to the dead letters.

    After the whole stream, only changes of the failing items may be missing from the table.
    """
    failing_keys = {f"item/products/i{number}" for number in failing}

    class RefusingDynamo(MemoryDynamo):
        def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
            if operation == "PutItem" and parameters["Item"]["pk"]["S"] in failing_keys:
                raise RefusedError("ValidationException", 400)
            return super().call(operation, **parameters)

    fake = RefusingDynamo()
    fake.fail_statement = lambda pk: "ValidationError" if pk in failing_keys else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "MAX_CHANGES", batch_size)
        apply = apply_with(bulk_items(fake), MemoryLog())
        lines = [entry.line() for entry in history]
        dead_letters: list[bytes] = []
        while lines:
            given_up = Shard(apply, lines, shard_batch).run(max_attempts)
            dead_letters += given_up
            lines = lines[lines.index(given_up[0]) + len(given_up) :] if given_up else []
    assert fake.items == expected_table([entry for entry in history if entry.key not in failing_keys])
    by_version = sorted(history, key=lambda entry: entry.version)
    newest = {entry.key: entry for entry in by_version if entry.key in failing_keys}
    assert {entry.line() for entry in newest.values()} <= set(dead_letters), "nothing is lost"


@relaxed
@given(histories, histories)
def test_bulk_and_single_writes_have_the_same_results_and_outcomes(before: list[Change], after: list[Change]) -> None:
    contents = {(entry.key, entry.version): entry for entry in [*before, *after]}
    after = list({entry.key: contents[entry.key, entry.version] for entry in after}.values())
    bulk_fake, single_fake = MemoryDynamo(), MemoryDynamo()
    outcomes: Counter[ApplyOutcome] = Counter()
    for entry in contents.values():
        if entry in before:
            bulk_items(bulk_fake).apply(entry)
            bulk_items(single_fake).apply(entry)
    outcomes.update(bulk_items(single_fake).apply(entry) for entry in after)
    deleted_again = 0
    for entry in after:
        stored = bulk_fake.items.get(entry.key, {})
        deleted_again += entry.data is None and "expires_at" in stored and stored["version"]["S"] < entry.version
    bulk_fake.calls.clear()
    assert bulk_items(bulk_fake).apply_all(after) == outcomes
    assert bulk_fake.items == single_fake.items
    if len(after) > 2:  # otherwise each change takes a PutItem; here only a tombstone over a tombstone does
        assert bulk_fake.calls["PutItem"] == deleted_again and sum(bulk_fake.calls.values()) <= 2 + deleted_again


def changes_of_items(count: int, ms: int = NOW_MS, size: int = 10, letter: str = "y") -> list[Change]:
    return [change(f"i{number}", ms=ms, data='{"x":"' + letter * size + '"}') for number in range(count)]


def test_a_change_takes_a_twentieth_of_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    fake = MemoryDynamo()
    old, new = changes_of_items(5000), changes_of_items(5000, NOW_MS + 1)
    for lines, expected in ((old, {"ChangesApplied": 5000}), (new, {"ChangesApplied": 5000})):
        fake.calls.clear()
        assert apply_objects(bulk_items(fake), lines)() == {"batchItemFailures": []}
        assert sum_metrics(capsys.readouterr().out) == {**expected, "RecordsHandled": 5000}
        assert fake.calls == {"BatchGetItem": 50, "BatchExecuteStatement": 200}
    # Apply the old changes again. They have no effect, so they cost only reads and no writes.
    fake.calls.clear()
    apply_objects(bulk_items(fake), old)()
    assert fake.calls == {"BatchGetItem": 50}
    assert sum_metrics(capsys.readouterr().out)["ChangesSuperseded"] == 5000
    assert fake.items == expected_table(new)


@pytest.mark.parametrize(
    ("count", "calls"),
    [
        (1, {"PutItem": 1}),
        (2, {"PutItem": 2}),
        (3, {"BatchGetItem": 1, "BatchExecuteStatement": 1}),
        (26, {"BatchGetItem": 1, "BatchExecuteStatement": 2}),
        (100, {"BatchGetItem": 1, "BatchExecuteStatement": 4}),
        (101, {"BatchGetItem": 1, "BatchExecuteStatement": 4, "PutItem": 1}),
    ],
)
def test_the_number_of_changes_determines_the_calls(count: int, calls: dict[str, int]) -> None:
    fake = MemoryDynamo()
    apply_objects(bulk_items(fake), changes_of_items(count))()
    assert fake.calls == calls and fake.items == expected_table(changes_of_items(count))


def test_an_item_that_changes_many_times_in_an_object_is_written_once() -> None:
    fake = MemoryDynamo()
    lines = [change(f"i{number % 5}", ms=NOW_MS + number) for number in range(5000)]
    apply_objects(bulk_items(fake), lines)()
    assert fake.calls == {"BatchGetItem": 1, "BatchExecuteStatement": 1}
    assert fake.items == expected_table(lines)


@pytest.mark.parametrize(("letter", "size", "calls"), [("y", 100_000, 4), ("€", 20_000, 5), ("😀", 20_000, 8)])
def test_a_batchs_request_has_about_a_mebibyte_at_most(letter: str, size: int, calls: int) -> None:
    class MeasuringDynamo(MemoryDynamo):
        largest = 0

        def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
            self.largest = max(self.largest, len(json.dumps(parameters)))
            return super().call(operation, **parameters)

    fake, lines = MeasuringDynamo(), changes_of_items(40, size=size, letter=letter)
    assert bulk_items(fake).apply_all(lines) == {"applied": 40}
    assert 0.9 * MAX_BATCH_BYTES < fake.largest < 1.3 * MAX_BATCH_BYTES
    assert fake.items == expected_table(lines) and fake.calls["BatchExecuteStatement"] == calls


def test_apply_passes_on_batches_of_a_mebibyte_at_most() -> None:
    class MeasuringItems(MemoryItems):
        largest = 0

        def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
            self.largest = max(self.largest, sum(len(entry.data or "") for entry in changes))
            return super().apply_all(changes)

    items, lines = MeasuringItems(), changes_of_items(40, size=250_000)
    apply_objects(items, lines)()
    assert 0.9 * MAX_BATCH_BYTES < items.largest <= MAX_BATCH_BYTES
    assert len(items.by_key) == 40


def test_statements_stay_within_their_limit() -> None:
    class MeasuringDynamo(MemoryDynamo):
        longest = 0

        def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
            lengths = [len(entry["Statement"]) for entry in parameters.get("Statements", [])]
            self.longest = max(self.longest, *lengths, 0)
            return super().call(operation, **parameters)

    fake = MeasuringDynamo("t" * 255)
    items = DynamoBulkItems(fake, "t" * 255, horizon_ms=HORIZON_MS)
    for tick in range(4):
        entries = [change_at(number, tick, tick % 2 == 1, True) for number in range(3)]
        assert items.apply_all(entries) == {"applied": 3}
    assert 0 < fake.longest < MAX_STATEMENT / 8
    assert fake.calls == {"BatchGetItem": 4, "BatchExecuteStatement": 4}


def test_large_items_are_read_with_as_many_calls_as_needed() -> None:
    """A BatchGetItem reads at most 1 MB of a partition.

    So a call that returns only some of the requested items isn't a failed attempt.
    """
    fake = MemoryDynamo()
    bulk_items(fake).apply_all(changes_of_items(100))
    fake.calls.clear()
    fake.leave = lambda pk: pk != f"item/products/i{fake.calls['BatchGetItem'] - 1}"
    assert bulk_items(fake).apply_all(changes_of_items(100)) == {"duplicate": 100}
    assert fake.calls == {"BatchGetItem": 100}


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "InternalServerError",
        "TransactionConflict",
    ],
)
def test_only_deferred_statements_are_sent_again(code: str) -> None:
    fake = MemoryDynamo()
    deferred = [f"item/products/i{number}" for number in range(5)]
    fake.fail_statement = lambda pk: code if pk in deferred and not deferred.remove(pk) else None  # type: ignore[func-returns-value]
    assert bulk_items(fake).apply_all(changes_of_items(25)) == {"applied": 25}
    assert fake.calls == {"BatchGetItem": 1, "BatchExecuteStatement": 2}


def test_a_stale_read_costs_calls_and_loses_no_change() -> None:
    fake = MemoryDynamo()
    fake.stale = lambda pk: True
    first, second, third = (changes_of_items(10, NOW_MS + tick) for tick in range(3))
    for entries in (first, second):
        assert bulk_items(fake).apply_all(entries) == {"applied": 10}  # the second read is stale and finds no items
    mixed = third[:5] + first[5:]  # the third read is stale and returns the first changes, not the second
    assert bulk_items(fake).apply_all(mixed) == {"applied": 5, "duplicate": 5}
    assert fake.items == expected_table(third[:5] + second[5:])
    assert fake.calls == {"BatchGetItem": 3, "BatchExecuteStatement": 3, "PutItem": 15}
    # Clear the table, so that the next stale read returns items that no longer exist, such as expired tombstones.
    fake.items.clear()
    assert bulk_items(fake).apply_all(third) == {"applied": 10} and fake.items == expected_table(third)


def test_lasting_throttling_raises_an_error_after_eight_attempts() -> None:
    fake = MemoryDynamo()
    fake.fail_statement = lambda pk: "ThrottlingError" if pk == "item/products/i7" else None
    with pytest.raises(UnansweredError):
        bulk_items(fake).apply_all(changes_of_items(25))
    assert fake.calls["BatchExecuteStatement"] == MAX_ATTEMPTS and len(fake.items) == 24
    fake.fail_statement, fake.leave = None, lambda pk: True
    fake.calls.clear()
    with pytest.raises(UnansweredError):
        bulk_items(fake).apply_all(changes_of_items(25))
    assert fake.calls == {"BatchGetItem": MAX_ATTEMPTS}


@pytest.mark.parametrize("code", ["ConditionalCheckFailed", "DuplicateItem", "ValidationError"])
def test_a_refused_statement_is_replaced_by_a_single_put(code: str) -> None:
    fake = MemoryDynamo()
    fake.fail_statement = lambda pk: code
    assert bulk_items(fake).apply_all(changes_of_items(30)) == {"applied": 30}
    assert fake.calls == {"BatchGetItem": 1, "BatchExecuteStatement": 2, "PutItem": 30} and len(fake.items) == 30


@pytest.mark.parametrize("code", ["AccessDenied", "ResourceNotFound", "ItemCollectionSizeLimitExceeded"])
def test_a_permanent_error_of_a_statement_fails_the_object(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    fake = MemoryDynamo()
    fake.fail_statement = lambda pk: code
    with pytest.raises(RefusedError) as refused:
        bulk_items(fake).apply_all(changes_of_items(3))
    assert refused.value.code == code
    assert apply_objects(bulk_items(fake), changes_of_items(3))()["batchItemFailures"]
    assert sum_metrics(capsys.readouterr().out) == {"ObjectsFailed": 1} and fake.items == {}


def test_two_concurrent_appliers_leave_the_newest_changes() -> None:
    fake = MemoryDynamo()
    lines = [change_at(number % 300, number % 7, number % 3 == 0, False) for number in range(3000)]
    appliers = [apply_objects(bulk_items(fake), lines), apply_objects(bulk_items(fake), lines[::-1])]
    threads = [threading.Thread(target=applier) for applier in appliers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.items == expected_table(lines)


def test_the_table_in_memory_refuses_what_aws_would() -> None:
    fake = MemoryDynamo()

    def refusal_code(operation: str, **parameters: Any) -> str:
        with pytest.raises(RefusedError) as refused:
            fake.call(operation, **parameters)
        return refused.value.code

    keys = [{"pk": {"S": str(number)}} for number in range(MAX_CHANGES + 1)]
    for bad_keys in (keys, [keys[0], keys[0]], []):
        request = {"items": {"Keys": bad_keys, "ProjectionExpression": "pk"}}
        assert refusal_code("BatchGetItem", RequestItems=request) == "ValidationException"
    entry = {"Statement": """INSERT INTO "items" VALUE {'pk':?}""", "Parameters": [{"S": "1"}]}
    assert refusal_code("BatchExecuteStatement", Statements=[entry] * 2) == "ValidationException"
    several = [{**entry, "Parameters": [{"S": str(number)}]} for number in range(MAX_STATEMENTS + 1)]
    assert refusal_code("BatchExecuteStatement", Statements=several) == "ValidationException"
    assert refusal_code("GetItem", TableName="other", Key=keys[0]) == "ResourceNotFoundException"
    response = fake.call(
        "BatchExecuteStatement", Statements=[{**entry, "Statement": "INSERT"}, *several[2:4], several[3]][:3]
    )
    assert [result.get("Error", {}).get("Code") for result in response["Responses"]] == ["ValidationError", None, None]
    response = fake.call("BatchExecuteStatement", Statements=several[3:4])
    assert response["Responses"][0]["Error"]["Code"] == "DuplicateItem"
    assert list(islice(fake.items, 2)) == ["2", "3"]
