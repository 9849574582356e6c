"""apply in bulk: whatever comes in whatever order, with whatever going wrong, the newest change of each item stays."""

import gzip
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readplane.apply import handler as handler
from readplane.apply.handler import AHEAD, WORKERS, Apply, ApplySettings
from readplane.apply.objects import S3LogObjects
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.model.change import Change, PoisonError, Window
from readplane.stores import items_bulk
from readplane.stores.items import ApplyOutcome, DynamoItems
from readplane.stores.items_bulk import MAX_CHANGES, STATEMENTS, TRIES, DynamoBulkItems
from readplane.telemetry import Telemetry
from tests.fakes.dynamodb import MAX_STATEMENT, FakeDynamo
from tests.unit.support import ALICE, COLLECTIONS, NOW_MS, MemoryItems, MemoryLog, change, event, kinesis_event

HORIZON_MS = 30 * 86_400_000
KEY = "log/year=2026/month=11/day=21/hour=08/demo-1-2026-11-21-08-10-00-abc.gz"
EVENT = event("log_object")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)
    monkeypatch.setattr(items_bulk, "_PAUSE", 0.0)


def store(fake: FakeDynamo) -> DynamoBulkItems:
    return DynamoBulkItems(fake, "items", horizon_ms=HORIZON_MS)


def records(changes: Sequence[Change]) -> dict[str, Any]:
    """The table as it must be in the end: of each item the newest change, as `apply` alone would have put it."""
    fake = FakeDynamo()
    single = DynamoItems(fake, "items", horizon_ms=HORIZON_MS)
    for entry in sorted(changes, key=lambda entry: entry.version):
        single.apply(entry)
    return fake.items


class NoNotifications:
    def again_in(self, receipt_handle: str, seconds: int) -> None:
        """Nothing to steer."""


def applying(items: Any, *objects: Sequence[Change]) -> Callable[[], dict[str, Any]]:
    """Something that runs apply on the next of these objects, and gives back what it failed to do."""
    log = MemoryLog({KEY: []})
    settings = ApplySettings("demo", "t", "q", "b", "quarantine/", HORIZON_MS, COLLECTIONS)
    function = Apply(settings, items, log, NoNotifications(), Telemetry("apply", "demo"))
    following = iter(objects)

    def run() -> dict[str, Any]:
        log.objects[KEY] = [entry.line() for entry in next(following)]
        answer = function(EVENT, lambda: 30_000)
        assert log.quarantined == []
        return answer

    return run


def metrics(out: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in map(json.loads, out.splitlines()):
        for group in line.get("_aws", {}).get("CloudWatchMetrics", []):
            found.update({metric["Name"]: line[metric["Name"]] for metric in group["Metrics"]})
    return found


def made(item: int, tick: int, gone: bool, owned: bool) -> Change:
    data = None if gone else json.dumps({"t": tick, "text": "ü" * (tick % 3)})
    if owned:
        return change(f"i{item}", ms=NOW_MS + tick, data=data, collection="profiles", owner=ALICE)
    return change(f"i{item}", ms=NOW_MS + tick, data=data)


changes = st.builds(made, st.integers(0, 7), st.integers(0, 9), st.booleans(), st.booleans())


def unique(history: list[Change]) -> list[Change]:
    """One content per version, as in life."""
    first: dict[tuple[str, str], Change] = {}
    return [first.setdefault((entry.key, entry.version), entry) for entry in history]


histories = st.lists(changes, max_size=40).map(unique)
faults = st.lists(
    st.sampled_from(
        [None, None, None, "ThrottlingError", "TransactionConflict", "InternalServerError", "somebody else", "fatal"]
    ),
    min_size=1,
    max_size=12,
)
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Trouble:
    """Faults in an endless row, which let everything pass once the test has had enough of them."""

    def __init__(self, drawn: list[str | None], fake: FakeDynamo, others: list[Change]) -> None:
        self.left = 4 * TRIES
        self.codes = cycle(drawn)
        self.other = DynamoItems(fake, "items", horizon_ms=HORIZON_MS)
        self.others = others
        fake.fail_statement = self.statement
        fake.fail_call = self.call
        fake.leave = lambda pk: self.next() is not None
        fake.stale = lambda pk: self.next() is not None

    def next(self) -> str | None:
        self.left -= 1
        return next(self.codes) if self.left > 0 else None

    def statement(self, pk: str) -> str | None:
        code = self.next()
        if code == "somebody else":
            for entry in self.others:
                if entry.key == pk:
                    self.other.apply(entry)
            return None
        return "AccessDenied" if code == "fatal" else code

    def call(self, operation: str) -> str | None:
        return "InternalServerError" if self.next() == "fatal" and operation != "PutItem" else None


@relaxed
@given(st.lists(histories, min_size=1, max_size=3), histories, faults, st.integers(1, 9), st.integers(3, 6))
def test_the_newest_change_of_each_item_stays(
    capsys: pytest.CaptureFixture[str],
    objects: list[list[Change]],
    others: list[Change],
    drawn: list[str | None],
    width: int,
    part: int,
) -> None:
    """Several objects of several windows of several parts, a second writer in between, and faults of every kind."""
    everything = unique([entry for entries in [*objects, others] for entry in entries])
    contents = {(entry.key, entry.version): entry for entry in everything}
    objects = [[contents[entry.key, entry.version] for entry in entries] for entries in objects]
    others = [contents[entry.key, entry.version] for entry in others]
    fake = FakeDynamo()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Window, "MAX_CHANGES", width)
        patch.setattr(handler, "MAX_CHANGES", part)
        Trouble(drawn, fake, others)
        for entries in objects:
            run = applying(store(fake), *[entries] * 99)
            capsys.readouterr()
            while run()["batchItemFailures"]:  # it comes again until it is done
                capsys.readouterr()
            counted = metrics(capsys.readouterr().out)
            told = sum(counted[name] for name in ("ChangesApplied", "ChangesSuperseded", "ChangesDuplicate"))
            assert told == counted["RecordsHandled"] == len(entries)
    for entry in others:
        store(fake).apply(entry)
    assert fake.items == records(everything)


class Shard:
    """Lambda's side of the change stream: batches in their order, each again from where it was told."""

    def __init__(self, apply: Callable[[Any], Any], lines: list[bytes], batch: int) -> None:
        self.apply = apply
        self.lines = lines
        self.batch = batch
        self.event = kinesis_event(lines)["Records"]
        self.numbers = {record["kinesis"]["sequenceNumber"]: place for place, record in enumerate(self.event)}

    def run(self, tries: int | None = None) -> list[bytes]:
        """Go through the stream; give back what was given up after so many tries of one batch in vain, if any was."""
        start, tried = 0, 0
        while start < len(self.event):
            records = self.event[start : start + self.batch]
            told = self.apply({"Records": records})["batchItemFailures"]
            again = min((self.numbers[failure["itemIdentifier"]] for failure in told), default=start + len(records))
            assert start <= again <= start + len(records)
            tried = tried + 1 if again == start else 0
            start = again
            if tried == tries:
                return self.lines[start : start + self.batch]
        return []


@relaxed
@given(histories, histories, faults, st.integers(1, 20), st.integers(3, 6))
def test_the_newest_change_of_each_item_stays_by_the_change_stream_too(
    history: list[Change], others: list[Change], drawn: list[str | None], batch: int, part: int
) -> None:
    everything = unique([*history, *others])
    contents = {(entry.key, entry.version): entry for entry in everything}
    lines = [contents[entry.key, entry.version].line() for entry in history]
    others = [contents[entry.key, entry.version] for entry in others]
    fake, log = FakeDynamo(), MemoryLog()
    poison = [b"poison %d" % number for number in range(len(lines) // 7)]
    for number, line in enumerate(poison):
        lines.insert(number * 5, line)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "MAX_CHANGES", part)
        Trouble(drawn, fake, others)
        settings = ApplySettings("demo", "t", "q", "b", "quarantine/", HORIZON_MS, COLLECTIONS)
        function = Apply(settings, store(fake), log, NoNotifications(), Telemetry("apply", "demo"))
        assert Shard(lambda event: function(event, lambda: 30_000), lines, batch).run() == []
    for entry in others:
        store(fake).apply(entry)
    assert fake.items == records(everything)
    assert {line for line, _, _ in log.quarantined} == set(poison)


@relaxed
@given(histories, st.sets(st.integers(0, 7), max_size=3), st.integers(1, 20), st.integers(1, 3), st.integers(3, 6))
def test_an_item_that_is_never_taken_holds_up_no_other(
    history: list[Change], stuck: set[int], batch: int, tries: int, part: int
) -> None:
    """Lambda gives a batch up after some tries and keeps it whole: only the stuck item's changes are behind then."""
    refused = {f"item/products/i{number}" for number in stuck}

    class Stuck(FakeDynamo):
        def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
            if operation == "PutItem" and parameters["Item"]["pk"]["S"] in refused:
                raise RefusedError("ValidationException", 400)
            return super().call(operation, **parameters)

    fake = Stuck()
    fake.fail_statement = lambda pk: "ValidationError" if pk in refused else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "MAX_CHANGES", part)
        settings = ApplySettings("demo", "t", "q", "b", "quarantine/", HORIZON_MS, COLLECTIONS)
        function = Apply(settings, store(fake), MemoryLog(), NoNotifications(), Telemetry("apply", "demo"))
        lines = [entry.line() for entry in history]
        kept: list[bytes] = []
        while lines:
            shard = Shard(lambda event: function(event, lambda: 30_000), lines, batch)
            given_up = shard.run(tries)
            kept += given_up
            lines = lines[lines.index(given_up[0]) + len(given_up) :] if given_up else []
    assert fake.items == records([entry for entry in history if entry.key not in refused])
    newest = {entry.key: entry for entry in sorted(history, key=lambda entry: entry.version) if entry.key in refused}
    assert {entry.line() for entry in newest.values()} <= set(kept), "nothing is lost"


@relaxed
@given(histories, histories)
def test_bulk_and_single_leave_and_tell_the_same(before: list[Change], after: list[Change]) -> None:
    contents = {(entry.key, entry.version): entry for entry in [*before, *after]}
    after = list({entry.key: contents[entry.key, entry.version] for entry in after}.values())
    in_bulk, singly = FakeDynamo(), FakeDynamo()
    outcomes: Counter[ApplyOutcome] = Counter()
    for entry in contents.values():
        if entry in before:
            store(in_bulk).apply(entry)
            store(singly).apply(entry)
    outcomes.update(store(singly).apply(entry) for entry in after)
    in_bulk.calls.clear()
    assert store(in_bulk).apply_all(after) == outcomes
    assert in_bulk.items == singly.items
    if len(after) > 2:
        assert sum(in_bulk.calls.values()) <= 2 and not in_bulk.calls["PutItem"]


def many(count: int, ms: int = NOW_MS, size: int = 10, letter: str = "y") -> list[Change]:
    return [change(f"i{number}", ms=ms, data='{"x":"' + letter * size + '"}') for number in range(count)]


def test_a_change_costs_a_twentieth_of_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeDynamo()
    old, new = many(5000), many(5000, NOW_MS + 1)
    for lines, expected in ((old, {"ChangesApplied": 5000}), (new, {"ChangesApplied": 5000})):
        fake.calls.clear()
        assert applying(store(fake), lines)() == {"batchItemFailures": []}
        assert metrics(capsys.readouterr().out) == {**expected, "RecordsHandled": 5000}
        assert fake.calls == {"BatchGetItem": 50, "BatchExecuteStatement": 200}
    # what has no effect is only read
    fake.calls.clear()
    applying(store(fake), old)()
    assert fake.calls == {"BatchGetItem": 50}
    assert metrics(capsys.readouterr().out)["ChangesSuperseded"] == 5000
    assert fake.items == records(new)


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
def test_calls_by_the_number_of_changes(count: int, calls: dict[str, int]) -> None:
    fake = FakeDynamo()
    applying(store(fake), many(count))()
    assert fake.calls == calls and fake.items == records(many(count))


def test_a_change_that_comes_many_times_in_an_object_is_written_once() -> None:
    fake = FakeDynamo()
    lines = [change(f"i{number % 5}", ms=NOW_MS + number) for number in range(5000)]
    applying(store(fake), lines)()
    assert fake.calls == {"BatchGetItem": 1, "BatchExecuteStatement": 1}
    assert fake.items == records(lines)


@pytest.mark.parametrize(("letter", "size", "calls"), [("y", 100_000, 4), ("€", 20_000, 5), ("😀", 20_000, 8)])
def test_requests_are_bounded_in_bytes(letter: str, size: int, calls: int) -> None:
    class Measuring(FakeDynamo):
        largest = 0

        def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
            self.largest = max(self.largest, len(json.dumps(parameters)))
            return super().call(operation, **parameters)

    fake, lines = Measuring(), many(40, size=size, letter=letter)
    assert store(fake).apply_all(lines) == {"applied": 40}
    assert 0.9 * items_bulk.BATCH_BYTES < fake.largest < 1.3 * items_bulk.BATCH_BYTES
    assert fake.items == records(lines) and fake.calls["BatchExecuteStatement"] == calls


def test_parts_are_bounded_in_bytes() -> None:
    class Measuring(MemoryItems):
        largest = 0

        def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
            self.largest = max(self.largest, sum(len(entry.data or "") for entry in changes))
            return super().apply_all(changes)

    items, lines = Measuring(), many(40, size=250_000)
    applying(items, lines)()
    assert 0.9 * items_bulk.BATCH_BYTES < items.largest <= items_bulk.BATCH_BYTES
    assert len(items.held) == 40


def test_statements_stay_within_their_limit() -> None:
    class Longest(FakeDynamo):
        length = 0

        def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
            told = [len(entry["Statement"]) for entry in parameters.get("Statements", [])]
            self.length = max(self.length, *told, 0)
            return super().call(operation, **parameters)

    fake = Longest("t" * 255)
    items = DynamoBulkItems(fake, "t" * 255, horizon_ms=HORIZON_MS)
    for tick in range(4):
        entries = [made(number, tick, tick % 2 == 1, True) for number in range(3)]
        assert items.apply_all(entries) == {"applied": 3}
    assert 0 < fake.length < MAX_STATEMENT / 8
    assert fake.calls == {"BatchGetItem": 4, "BatchExecuteStatement": 4}


def test_large_items_are_read_in_many_rounds() -> None:
    """BatchGetItem gives no more than 16 MB, and 1 MB of one partition: a round that gives something is no failure."""
    fake = FakeDynamo()
    store(fake).apply_all(many(100))
    fake.calls.clear()
    fake.leave = lambda pk: pk != f"item/products/i{fake.calls['BatchGetItem'] - 1}"
    assert store(fake).apply_all(many(100)) == {"duplicate": 100}
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
def test_only_what_aws_put_off_is_sent_again(code: str) -> None:
    fake = FakeDynamo()
    off = [f"item/products/i{number}" for number in range(5)]
    fake.fail_statement = lambda pk: code if pk in off and not off.remove(pk) else None  # type: ignore[func-returns-value]
    assert store(fake).apply_all(many(25)) == {"applied": 25}
    assert fake.calls == {"BatchGetItem": 1, "BatchExecuteStatement": 2}


def test_a_read_that_is_out_of_date_costs_a_call_and_no_change() -> None:
    fake = FakeDynamo()
    fake.stale = lambda pk: True
    first, second, third = (many(10, NOW_MS + tick) for tick in range(3))
    for entries in (first, second):
        assert store(fake).apply_all(entries) == {"applied": 10}  # the second time the read sees nothing yet
    assert store(fake).apply_all(third[:5] + first[5:]) == {"applied": 5, "duplicate": 5}  # and now the first
    assert fake.items == records(third[:5] + second[5:])
    assert fake.calls == {"BatchGetItem": 3, "BatchExecuteStatement": 3, "PutItem": 15}
    # gone meanwhile, as a tombstone is whose time is over
    fake.items.clear()
    assert store(fake).apply_all(third) == {"applied": 10} and fake.items == records(third)


def test_what_stays_throttled_fails_after_some_tries() -> None:
    fake = FakeDynamo()
    fake.fail_statement = lambda pk: "ThrottlingError" if pk == "item/products/i7" else None
    with pytest.raises(UnansweredError):
        store(fake).apply_all(many(25))
    assert fake.calls["BatchExecuteStatement"] == TRIES and len(fake.items) == 24
    fake.fail_statement, fake.leave = None, lambda pk: True
    fake.calls.clear()
    with pytest.raises(UnansweredError):
        store(fake).apply_all(many(25))
    assert fake.calls == {"BatchGetItem": TRIES}


@pytest.mark.parametrize("code", ["ConditionalCheckFailed", "DuplicateItem", "ValidationError"])
def test_where_a_statement_is_refused_the_single_put_decides(code: str) -> None:
    fake = FakeDynamo()
    fake.fail_statement = lambda pk: code
    assert store(fake).apply_all(many(30)) == {"applied": 30}
    assert fake.calls == {"BatchGetItem": 1, "BatchExecuteStatement": 2, "PutItem": 30} and len(fake.items) == 30


@pytest.mark.parametrize("code", ["AccessDenied", "ResourceNotFound", "ItemCollectionSizeLimitExceeded"])
def test_a_statement_that_can_never_pass_fails_the_object(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeDynamo()
    fake.fail_statement = lambda pk: code
    with pytest.raises(RefusedError) as caught:
        store(fake).apply_all(many(3))
    assert caught.value.code == code
    assert applying(store(fake), many(3))()["batchItemFailures"]
    assert metrics(capsys.readouterr().out) == {"ObjectsFailed": 1} and fake.items == {}


def test_pauses_are_spread_from_nothing_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(items_bulk, "_PAUSE", 0.05)
    monkeypatch.setattr(time, "sleep", slept.append)
    for _ in range(200):
        items_bulk._pause(0)
    assert 0 <= min(slept) < 0.01 < 0.04 < max(slept) <= 0.05
    items_bulk._pause(30)
    assert slept[-1] <= 2


def test_two_appliers_at_once_leave_the_newest() -> None:
    fake = FakeDynamo()
    lines = [made(number % 300, number % 7, number % 3 == 0, False) for number in range(3000)]
    runs = [applying(store(fake), lines), applying(store(fake), lines[::-1])]
    threads = [threading.Thread(target=run) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.items == records(lines)


class Blocking(MemoryItems):
    """Items that take nothing until they may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        assert self.may.wait(30)
        return super().apply_all(changes)


def test_parsing_waits_for_writing() -> None:
    """However large the object is, only a few parts of it are in memory."""
    read = 0

    class Counted(MemoryLog):
        def lines(self, key: str) -> Iterator[bytes]:
            nonlocal read
            for line in super().lines(key):
                read += 1
                yield line

    items = Blocking()
    log = Counted({KEY: [entry.line() for entry in many(20_000)]})
    settings = ApplySettings("demo", "t", "q", "b", "quarantine/", HORIZON_MS, COLLECTIONS)
    function = Apply(settings, items, log, NoNotifications(), Telemetry("apply", "demo"))
    thread = threading.Thread(target=function, args=(EVENT, lambda: 30_000))
    thread.start()
    deadline = time.monotonic() + 30
    while read < Window.MAX_CHANGES and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    assert Window.MAX_CHANGES <= read <= AHEAD * MAX_CHANGES + Window.MAX_CHANGES
    items.may.set()
    thread.join(30)
    assert read == len(items.held) == 20_000


def test_after_a_failure_nothing_is_written_any_more(capsys: pytest.CaptureFixture[str]) -> None:
    """The message is reported failed: whatever wrote on would do so in a sandbox that may be frozen."""

    class Failing(Blocking):
        def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
            if any(entry.item_id == "i0" for entry in changes):
                threading.Timer(1, self.may.set).start()  # the others under way end when all has failed
                raise TimeoutError
            return super().apply_all(changes)

    items = Failing()
    assert applying(items, many(10_000))()["batchItemFailures"]
    held = len(items.held)
    assert held <= WORKERS * MAX_CHANGES, "what no thread had begun is not begun any more"
    time.sleep(0.2)
    assert len(items.held) == held
    assert metrics(capsys.readouterr().out) == {"ObjectsFailed": 1}


@pytest.mark.parametrize("damage", [0, 10])
def test_the_objects_connection_is_given_back(damage: int) -> None:
    """Also where the object ends too early."""
    packed = gzip.compress(b"".join(entry.line() for entry in many(10)))
    body = io.BytesIO(packed[: len(packed) - damage])

    class OneObject:
        def call(self, operation: str, /, **parameters: Any) -> Any:
            return {"Body": body}

    try:
        assert len(list(S3LogObjects(OneObject(), "bucket", "quarantine/").lines("log/a"))) == 10
        assert not damage
    except PoisonError:
        assert damage
    assert body.closed


def test_the_fake_refuses_what_aws_would() -> None:
    fake = FakeDynamo()

    def refused(operation: str, **parameters: Any) -> str:
        with pytest.raises(RefusedError) as caught:
            fake.call(operation, **parameters)
        return caught.value.code

    keys = [{"pk": {"S": str(number)}} for number in range(MAX_CHANGES + 1)]
    for wrong in (keys, [keys[0], keys[0]], []):
        request = {"items": {"Keys": wrong, "ProjectionExpression": "pk"}}
        assert refused("BatchGetItem", RequestItems=request) == "ValidationException"
    entry = {"Statement": """INSERT INTO "items" VALUE {'pk':?}""", "Parameters": [{"S": "1"}]}
    assert refused("BatchExecuteStatement", Statements=[entry] * 2) == "ValidationException"
    several = [{**entry, "Parameters": [{"S": str(number)}]} for number in range(STATEMENTS + 1)]
    assert refused("BatchExecuteStatement", Statements=several) == "ValidationException"
    assert refused("GetItem", TableName="other", Key=keys[0]) == "ResourceNotFoundException"
    told = fake.call(
        "BatchExecuteStatement", Statements=[{**entry, "Statement": "INSERT"}, *several[2:4], several[3]][:3]
    )
    assert [answer.get("Error", {}).get("Code") for answer in told["Responses"]] == ["ValidationError", None, None]
    told = fake.call("BatchExecuteStatement", Statements=several[3:4])
    assert told["Responses"][0]["Error"]["Code"] == "DuplicateItem"
    assert list(islice(fake.items, 2)) == ["2", "3"]
