"""Histories of a source: whatever goes wrong on the way, in the end the items are what the back office says.

Each history is a back office whose users write, faults of everything between it and the items, and polls that are
stopped, killed and interleaved at any of their calls. Hypothesis makes them, and cuts one that fails down to the few
steps it takes; the same code runs in all of them as on AWS, above the clients of AWS and `requests`' adapter.
"""

import base64
import json
from collections import deque
from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from readplane.apply.handler import Apply, ApplySettings
from readplane.apply.objects import S3LogObjects
from readplane.apply.queue import SqsApplyQueue
from readplane.aws.faults import AwsError
from readplane.model.change import parse_line
from readplane.model.collection import Collection, item_key
from readplane.model.exact_json import parse_json, print_json
from readplane.model.schema import compile_schemas
from readplane.poll.change_stream import KinesisChangeStream
from readplane.poll.checkpoint import Checkpoint
from readplane.poll.checkpoint_table import DynamoCheckpoints
from readplane.poll.errors import LeaseLostError
from readplane.poll.handler import Poll as PollFunction
from readplane.poll.handler import PollSettings
from readplane.poll.lease import Fetch, PollStores
from readplane.poll.quarantine import S3Quarantine
from readplane.poll.source.settings import Source
from readplane.poll.sourced_items import DynamoSourcedItems
from readplane.poll.upstream.client import BackOfficeClient
from readplane.stores.items import change_of
from readplane.stores.items_bulk import DynamoBulkItems
from readplane.telemetry import Telemetry
from tests.fakes.back_office import ORIGIN, PATH, BackOffice, Fault, Row, Shape, Style
from tests.fakes.dynamodb import FakeDynamo, Item
from tests.fakes.sandbox import Clock, FakeBuckets, FakeStream, GatedClient, Killed, Run, world_of
from tests.fakes.table import FakeTable
from tests.unit.support import NOW_MS

SOURCE = "rows"
COLLECTION = Collection("things", "public")
COLLECTIONS = {COLLECTION.name: COLLECTION}
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "number"}, "of": {"type": "string"}}}
VALIDATORS = compile_schemas({COLLECTION.name: SCHEMA})
HORIZON_MS = 30 * 86_400_000
POLL_SETTINGS = PollSettings(
    "model", "items", "by_collection", "checkpoints", "changes", "log", "quarantine/", (), HORIZON_MS, {}, COLLECTIONS
)
OUTCOMES = ("completed", "not_modified", "unfinished", "failed", "open", "running")
WHOLE = ("completed", "not_modified")
IDS = ("a", "b", "c", "d", "e")
VALUES = ('{"n":1}', '{"n":1.0}', '{"n":2}', '{"n":3,"of":"\\u00e9"}')
FUNCTION_MS = 60_000
HISTORIES = 800
"""Told in any run; in a long one more."""
LAG_S = 5.0
LATE_MS = 2_000
"""A transaction is seen this much later than it is stamped, at most: with resolution and skew still within the lag."""

POISONS: Mapping[str, str] = MappingProxyType(
    {
        "invalid": '{"id":"ID","modified":MODIFIED,"removed":false,"value":{"n":"many"}}',
        "no object": '{"id":"ID","modified":MODIFIED,"removed":false,"value":[1]}',
        "no id": '{"id":null,"modified":MODIFIED,"removed":false,"value":{"n":1,"of":"ID"}}',
        "no time": '{"id":"ID","modified":"yesterday","removed":false,"value":{"n":1}}',
        "future": '{"id":"ID","modified":"2199-01-01T00:00:00Z","removed":false,"value":{"n":1}}',
    }
)
TIMED = ("no time", "future")


class Setting(NamedTuple):
    """What stays the same through a history."""

    shape: Shape = Shape()
    max_pages: int = 100
    latency_ms: int = 5
    """Of the back office's answers."""
    max_deletes_percent: int = 100


class Put(NamedTuple):
    id: str
    value: str
    late_ms: int


class Poison(NamedTuple):
    id: str
    kind: str


class Remove(NamedTuple):
    id: str
    late_ms: int


class Delete(NamedTuple):
    id: str


class Wait(NamedTuple):
    ms: int


class Fail(NamedTuple):
    fault: Fault


class Poll(NamedTuple):
    """Begin an invocation, or leave the one that runs there; let it make so many calls (``None``: all)."""

    slot: int
    sweep: bool
    calls: int | None
    immortal: bool
    """Its sandbox is frozen rather than cut off when its time is over."""


class Go(NamedTuple):
    slot: int
    calls: int | None


class Kill(NamedTuple):
    slot: int


class Trouble(NamedTuple):
    """Of the n-th call to AWS of the next poll."""

    kind: str
    nth: int


class Refuse(NamedTuple):
    """Kinesis refuses these of the next records."""

    which: tuple[bool, ...]


class Deliver(NamedTuple):
    """So many records to `apply`; the youngest first, or with the first of them twice."""

    number: int
    order: str


class Rewind(NamedTuple):
    ms: int


Step = Put | Poison | Remove | Delete | Wait | Fail | Poll | Go | Kill | Trouble | Refuse | Deliver | Rewind


class Items(FakeDynamo):
    """The items table, which notices a version that goes back, and whose index is behind the table."""

    def __init__(self, world: "World") -> None:
        super().__init__("items")
        self._world = world
        self._index: dict[str, Item] = {}
        self._told = FakeTable("items")

    @property
    def fresh_as_of(self) -> str:
        """What is published."""
        told: str = self._told.items.get(f"source/{SOURCE}", {}).get("fresh_as_of", {}).get("S", "")
        return told

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        if operation == "Query":
            return self._query(**parameters)
        if operation == "PutItem" and parameters["Item"]["pk"]["S"].startswith("source/"):
            return self._told.call(operation, **parameters)
        return super().call(operation, **parameters)

    def refresh_index(self) -> None:
        self._index = dict(self.items)

    def _query(self, **query: Any) -> dict[str, Any]:
        partition = query["ExpressionAttributeValues"][":partition"]
        after = query.get("ExclusiveStartKey", {}).get("item_id", {}).get("S", "")
        found = [item for item in self._index.values() if item.get("list_key") == partition]
        found = sorted((item for item in found if item["item_id"]["S"] > after), key=lambda item: item["item_id"]["S"])
        answer: dict[str, Any] = {"Items": found[:1]}
        if len(found) > 1:
            answer["LastEvaluatedKey"] = {"pk": found[0]["pk"], "item_id": found[0]["item_id"], "list_key": partition}
        return answer

    def _write(self, pk: str, item: Item) -> None:
        known = self.items.get(pk)
        if "version" in item:
            assert known is None or known["version"]["S"] < item["version"]["S"], (pk, known, item)
        super()._write(pk, item)
        if "version" in item:
            self._world.note_item(item)


class Silent(Telemetry):
    """Telemetry that prints nothing, and keeps what failed."""

    def __init__(self) -> None:
        super().__init__("poll", "model")
        self.failures: list[BaseException] = []

    def event(self, code: str, message: str, **fields: Any) -> None:
        pass

    def failure(self, code: str, message: str, error: BaseException, **fields: str) -> None:
        self.failures.append(error)


class World:
    """A back office, a source on it, and all that lies between it and the items."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.clock = Clock(NOW_MS)
        self.office = BackOffice(setting.shape, lambda: self.clock.ms)
        self.faults: deque[Fault] = deque()
        self.table = FakeTable("checkpoints")
        self.items = Items(self)
        self.stream = FakeStream()
        self.buckets = FakeBuckets()
        self.slots: list[Run | None] = [None, None]
        self.ever_deleted: set[str] = set()
        self.ever_removed: set[str] = set()
        self.outcome = ""
        self.states: dict[str, list[str | None]] = {row_id: [None] for row_id in IDS}
        """What each row has been, one after the other."""
        self.shown: dict[str, int] = {}
        self.lies = 0
        """Answers that only a sweep can find out."""
        self.lied_ms = 0
        self.killed = 0
        self.empty = 0
        self.answered: Run | None = None
        self._trouble: dict[int, str] = {}
        self._told = Checkpoint(SOURCE)
        self._fresh_as_of = ""
        self._apply = Apply(
            ApplySettings("model", "items", "q", "log", "quarantine/", HORIZON_MS, COLLECTIONS),
            DynamoBulkItems(self.items, "items", horizon_ms=HORIZON_MS),
            S3LogObjects(self.buckets, "log", "quarantine/"),
            SqsApplyQueue(self.buckets, "q"),
            Silent(),
        )

    # -- steps -------------------------------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        """Take one step, and see that nothing that must never be is."""
        match step:
            case Put(row, value, late):
                self.office.put(row, value, late)
            case Poison(row, kind):
                if self.setting.shape.versions is None and kind in TIMED:
                    kind = "invalid"
                self.office.put(row, "{}", raw=POISONS[kind].replace("ID", row))
            case Remove(row, late):
                self.ever_removed.add(row)
                self.office.remove(row, late)
            case Delete(row):
                if row in self.office.rows:
                    self.ever_deleted.add(row)
                self.office.delete(row)
            case Wait(ms):
                self.clock.ms += ms
            case Fail(fault):
                self.faults.append(fault)
            case Poll(slot, sweep, calls, immortal):
                self.poll(slot, sweep, calls, immortal)
            case Go(slot, calls):
                self.go(slot, calls)
            case Kill(slot):
                if run := self.slots[slot]:
                    self.killed += 1
                    run.kill()
                    self.ended(slot)
            case Trouble(kind, nth):
                self._trouble[nth] = kind
            case Refuse(which):
                self.refuse(which)
            case Deliver(number, order):
                self.deliver(number, order)
            case Rewind(ms):
                DynamoCheckpoints(self.table, "checkpoints").rewind(SOURCE, self.clock.ms - ms)
                self._told = self.checkpoint()
        for known in self.office.rows.values():
            if known.raw is None and self.states[known.id][-1] != self.wanted(known):
                self.states[known.id].append(self.wanted(known))
        assert self._fresh_as_of <= self.items.fresh_as_of, "less fresh than was told before"
        self._fresh_as_of = self.items.fresh_as_of
        told, self._told = self._told, self.checkpoint()
        assert (told.watermark_ms or 0) <= (self._told.watermark_ms or 0), "the watermark went back"
        assert (told.fresh_as_of_ms or 0) <= (self._told.fresh_as_of_ms or 0), "fresh_as_of went back"
        assert (self._told.fresh_as_of_ms or 0) <= self.clock.ms

    def refuse(self, which: tuple[bool, ...]) -> None:
        answers = iter(which)
        self.stream.refuse = lambda: next(answers, False)

    def deliver(self, number: int, order: str = "in order") -> None:
        """Give records to `apply`."""
        taken = [self.stream.records.popleft() for _ in range(min(number, len(self.stream.records)))]
        if not taken:
            return
        if order == "reversed":
            taken.reverse()
        if order == "again":
            self.stream.records.append(taken[0])
        self.items.refresh_index()  # it is behind by a delivery
        answer = self._apply({"Records": [_kinesis(n, data) for n, (_, data) in enumerate(taken)]}, lambda: FUNCTION_MS)
        assert answer == {"batchItemFailures": []}

    def checkpoint(self) -> Checkpoint:
        return DynamoCheckpoints(self.table, "checkpoints").get(SOURCE) or Checkpoint(SOURCE)

    # -- polls -------------------------------------------------------------------------------------------------------

    def poll(self, slot: int, sweep: bool = False, calls: int | None = None, immortal: bool = False) -> None:
        """Begin an invocation where none runs, and let it make so many calls."""
        if self.slots[slot] is None:
            deadline = self.clock.ms + FUNCTION_MS
            run = Run(lambda run: self._work(run, sweep), self.clock, deadline, immortal=immortal)
            run.faults, self._trouble = self._trouble, {}
            self.slots[slot] = run
        self.go(slot, calls)

    def _work(self, run: Run, sweep: bool) -> Any:
        telemetry = Silent()
        stores = PollStores(
            checkpoints=DynamoCheckpoints(GatedClient(self.table, run, "checkpoints"), "checkpoints"),
            items=DynamoSourcedItems(
                GatedClient(self.items, run, "items"), "items", "by_collection", horizon_ms=HORIZON_MS
            ),
            stream=KinesisChangeStream(GatedClient(self.stream, run, "stream"), "changes"),
            quarantine=S3Quarantine(GatedClient(self.buckets, run, "s3"), "log", "quarantine/"),
            documents={},
        )
        poll = PollFunction(POLL_SETTINGS, VALIDATORS, stores, self._upstream, telemetry)
        try:
            return poll({"source": self.source(), "sweep": sweep}, run.remaining_ms)
        finally:
            for error in telemetry.failures:
                # Where only the answer was lost, the lease is given back already.
                if not isinstance(error, (AwsError, LeaseLostError)):
                    raise AssertionError("poll trips over itself") from error

    def _upstream(self, source: Source) -> Fetch:
        clock = self.clock
        return BackOfficeClient(
            source, clock=clock.monotonic, sleep=clock.sleep, jitter=lambda: 0.5, wall=clock.time
        ).fetch

    def go(self, slot: int, calls: int | None) -> None:
        run = self.slots[slot]
        if run is None:
            return
        run.go_on(float("inf") if calls is None else calls)
        if run.over:
            self.ended(slot)

    def ended(self, slot: int) -> None:
        """See how an invocation ended."""
        run = self.slots[slot]
        assert run
        self.slots[slot] = None
        if run.error is not None:
            # Lambda's own retries bring the event again after a failure of AWS.
            if not isinstance(run.error, Killed) and not (run.faults and isinstance(run.error, AwsError)):
                raise run.error
            return
        self.outcome = run.result["outcome"]
        assert self.outcome in OUTCOMES, run.result
        # A record without a time is compared with its item, so what is on its way is told from it once it has arrived.
        if self.outcome in WHOLE and not self.lies and self.setting.shape.versions:
            self.check_freshness()

    def wire(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        """The back office, as `requests` reaches it."""
        run = Run.current
        assert run
        run.gate("GET")
        self.clock.ms += self.setting.latency_ms
        fault = self.faults.popleft() if self.faults else None
        if fault == "timeout":
            self.clock.ms += 10_000
        elif fault == "slow":
            self.clock.ms += 8_000
        elif fault == "repeated" and (self.answered is not run or self.office.is_first(request)):
            fault = None  # a whole page out of another walk is a lie that nobody can tell
        elif fault == "stray_link" and self.setting.shape.style not in ("link", "header"):
            fault = "500"
        elif fault == "empty":
            self.lied_ms = self.clock.ms
            self.empty += 1
            # By time, what is behind an empty page is asked for again; by name it is not.
            self.lies += self.setting.shape.order == "id"
        response = self.office.respond(request, fault)
        if fault is None or fault in ("fewer", "slow"):
            self.answered = run
        return response

    def source(self) -> dict[str, Any]:
        """The settings of the source."""
        shape = self.setting.shape
        styles = {"header": "link", "scroll": "token"}
        paging: dict[str, Any] = {"style": styles.get(shape.style, shape.style)}
        if shape.style in ("link", "token", "scroll"):
            paging["next"] = "next"
        if shape.style in ("token", "scroll", "page", "offset"):
            paging["parameter"] = "token" if shape.style == "scroll" else shape.style
        versioned = shape.versions is not None
        return {
            "name": SOURCE,
            "mode": "changes",
            "collection": COLLECTION.name,
            "url": f"{ORIGIN}{PATH}?since={{cursor}}" if versioned else f"{ORIGIN}{PATH}",
            "records": "@" if shape.style == "none" else "rows",
            "id": "id",
            "version": {"expression": "modified", "format": shape.versions} if versioned else None,
            "deleted": "removed",
            "translation": "value",
            "paging": paging,
            "lag_seconds": LAG_S,
            "timeout_seconds": 10,
            "attempts": 2,
            "max_pages": self.setting.max_pages,
            "breaker": {"failures": 2, "cooldown_seconds": 30},
            "sweep": {"schedule": "rate(1 day)", "max_deletes_percent": self.setting.max_deletes_percent},
            "staleness_budget": 300,
        }

    def note_item(self, item: Item) -> None:
        """See that an item that becomes a tombstone may be one."""
        row_id = item["item_id"]["S"]
        states = self.states[row_id]
        text = item["data"]["S"] if "data" in item else None
        at = [n for n, state in enumerate(states) if state == text and n >= self.shown.get(row_id, 0)]
        assert at or self.lies or row_id in self.ever_deleted, "the item goes back to an older state of its row"
        self.shown[row_id] = at[0] if at else 0
        row = self.office.rows.get(row_id)
        if "data" not in item and self.empty < 2 and row_id not in self.ever_deleted and row:
            assert row_id in self.ever_removed, "an item is deleted that was always there"

    def quarantined(self, raw: str) -> bool:
        """Whether quarantine holds a record."""
        wanted = print_json(parse_json(raw))
        entries = [json.loads(body) for (_, key), body in self.buckets.objects.items() if key.startswith("quarantine/")]
        return any(entry["record"] == wanted and entry["source"] == SOURCE for entry in entries)

    # -- what must be ------------------------------------------------------------------------------------------------

    def wanted(self, row: Row) -> str | None:
        """An item's data, as its row has it."""
        return None if row.removed else print_json(parse_json(row.value))

    def check_freshness(self) -> None:
        """Whatever the source held at ``fresh_as_of`` is in the items, or on its way there."""
        fresh_ms = self.checkpoint().fresh_as_of_ms
        assert fresh_ms is not None
        # Where rows go and come back while pages are counted, none may look moved, and one be left out.
        if fresh_ms <= self.lied_ms or (self.setting.shape.style == "page" and self.ever_deleted):
            return
        newest = {item["pk"]["S"]: change_of(item) for item in self.items.items.values() if "version" in item}
        for _, data in self.stream.records:
            change = parse_line(data, COLLECTIONS)
            if change.key not in newest or newest[change.key].version < change.version:
                newest[change.key] = change
        for row in self.office.rows.values():
            if row.raw is None and self.office.touched[row.id] < fresh_ms and row.id not in self.ever_deleted:
                known = newest.get(item_key(COLLECTION.name, row.id, None))
                assert (known.data if known else None) == self.wanted(row), (row, known)

    def check_items(self, gone: bool) -> None:
        """Each row is an item, and nothing else is; ``gone``: nor what was deleted without a word."""
        items = {item["item_id"]["S"]: change_of(item) for item in self.items.items.values() if "version" in item}
        for row in self.office.rows.values():
            if row.raw is None:
                known = items.pop(row.id, None)
                assert (known.data if known else None) == self.wanted(row), (row, known)
        if gone:
            assert not [item for item in items.values() if item.data is not None and self.is_good(item.item_id)]

    def living(self) -> set[str]:
        return {item["item_id"]["S"] for item in self.items.items.values() if "data" in item}

    def may_go(self, missing: int) -> bool:
        """Whether a sweep may delete so many items: not all, nor more than the source's settings allow."""
        most = max(1, len(self.living()) * self.setting.max_deletes_percent / 100)
        return bool(self.office.rows) and missing <= most

    def is_good(self, row_id: str) -> bool:
        return row_id not in self.office.rows or self.office.rows[row_id].raw is None


def _kinesis(number: int, data: bytes) -> dict[str, Any]:
    return {
        "eventSource": "aws:kinesis",
        "eventID": f"shardId-000000000000:{number}",
        "kinesis": {"sequenceNumber": str(number), "data": base64.b64encode(data).decode()},
    }


def settle(world: World) -> None:
    """The faults stop, and polls go on; nobody writes any more."""
    world.faults.clear()
    world.refuse(())
    for slot in range(2):
        world.go(slot, None)
    world.clock.ms += 10 * 60_000  # leases and breakers included
    whole = 0
    for _ in range(60):
        world.deliver(1_000)
        world.do(Poll(0, False, None, False))
        whole += world.outcome in WHOLE
        if whole >= 3 and not world.stream.records:
            break
        world.clock.ms += 10_000
    else:
        raise AssertionError("no poll comes to an end")
    for row in world.office.rows.values():
        if row.raw is not None:
            assert world.quarantined(world.office.text(row)), row
    if not world.ever_deleted and not world.lies:
        world.check_items(gone=True)
    # What has no id can't be told from what is missing; the operators of the back office mend it.
    for row in list(world.office.rows.values()):
        if row.raw is not None:
            world.do(Delete(row.id))
    # What a sweep may delete is judged by what it sees: an index that is behind shows fewer items, and fewer missing.
    world.items.refresh_index()
    missing = world.living() - world.office.rows.keys()
    may_go = world.may_go(len(missing))
    sweeps = 0
    for _ in range(200):  # of a page at a time, each behind a pass of several polls, it takes more than 60
        world.clock.ms += 10_000
        before = world.checkpoint().swept_ms
        world.do(Poll(0, True, None, False))
        world.deliver(1_000)
        world.items.refresh_index()
        sweeps += world.checkpoint().swept_ms != before or world.outcome == "not_modified"
        if sweeps == 4:
            break
    else:
        raise AssertionError("no sweep comes to an end")
    world.check_items(gone=may_go)
    if not may_go:
        assert missing <= world.living(), "more is deleted than the settings allow"


def histories() -> st.SearchStrategy[tuple[Setting, list[Step]]]:
    """Settings, rows to begin with, and chapters, each a few steps that have to do with one another."""
    ids = st.sampled_from(IDS)
    late = st.sampled_from([0, 0, 0, 1, 999, LATE_MS])
    slot = st.sampled_from([0, 0, 1])
    calls = st.integers(1, 14)
    put: st.SearchStrategy[Step] = st.builds(Put, ids, st.sampled_from(VALUES), late)
    write: st.SearchStrategy[Step] = st.one_of(
        put,
        put,
        put,
        st.builds(Remove, ids, late),
        st.builds(Delete, ids),
        st.builds(Poison, ids, st.sampled_from(sorted(POISONS))),
    )
    wait: st.SearchStrategy[Step] = st.builds(Wait, st.sampled_from([1, 300, 1_000, 6_000, 40_000, 100_000]))
    poll: st.SearchStrategy[Step] = st.builds(
        Poll, slot, st.booleans(), st.none() | calls, st.sampled_from([False, False, True])
    )
    go: st.SearchStrategy[Step] = st.builds(Go, slot, st.none() | calls)
    deliver: st.SearchStrategy[Step] = st.builds(
        Deliver, st.sampled_from([1, 3, 100]), st.sampled_from(["in order", "reversed", "again"])
    )
    fail: st.SearchStrategy[Step] = st.builds(Fail, st.sampled_from(get_args(Fault)))
    trouble: st.SearchStrategy[Step] = st.one_of(
        st.builds(Trouble, st.sampled_from(["lost", "throttled", "unsent"]), st.integers(1, 12)),
        st.builds(Refuse, st.lists(st.booleans(), min_size=1, max_size=4).map(tuple)),
    )
    anything = st.one_of(write, write, wait, deliver, go, poll)

    def chapter(*steps: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
        return st.tuples(*steps).map(list)

    chapters = st.one_of(
        chapter(write, poll),
        chapter(write, write, poll, write, go),
        chapter(poll, write, go, write, go),
        chapter(poll, anything, poll, go),
        chapter(poll, st.builds(Kill, slot), anything),
        chapter(poll, wait, poll, deliver),
        chapter(fail, poll, deliver),
        chapter(fail, fail, poll, go),
        chapter(trouble, write, poll),
        chapter(poll, deliver, anything),
        chapter(write, wait, poll),
        chapter(st.builds(Rewind, st.sampled_from([0, 10_000, 1_000_000])), write, poll),
    )
    shape = st.builds(
        Shape,
        style=st.sampled_from(get_args(Style)),
        order=st.sampled_from(["modified", "id"]),
        page_size=st.integers(2, 3),
        versions=st.sampled_from(["rfc3339", "unix_ms", "unix_s", None]),
        validator=st.sampled_from([None, "etag", "last_modified"]),
        resolution_ms=st.sampled_from([1, 1_000]),
        skew_ms=st.sampled_from([0, 1_500, -1_500]),
        relative_links=st.booleans(),
    ).map(_sound)
    setting = st.builds(
        Setting,
        shape=shape,
        max_pages=st.sampled_from([100, 1, 3]),
        latency_ms=st.sampled_from([5, 900, 3_000]),
        max_deletes_percent=st.sampled_from([100, 100, 50]),
    )
    first = st.lists(put, max_size=8)
    told = st.sampled_from([2, 6, 10]).flatmap(lambda most: st.lists(chapters, min_size=most // 2, max_size=most))
    return st.tuples(setting, st.builds(lambda one, more: [*one, *chain.from_iterable(more)], first, told))


def _sound(shape: Shape) -> Shape:
    return shape._replace(resolution_ms=1_000) if shape.versions == "unix_s" else shape


def play(setting: Setting, steps: list[Step]) -> World:
    """Tell one history to its end."""
    world = World(setting)
    with world_of(world.clock, world.wire):
        try:
            for step in steps:
                world.do(step)
            settle(world)
        finally:
            for run in world.slots:
                if run:
                    run.kill()
    return world


ALL = Poll(0, sweep=False, calls=None, immortal=False)
SWEEP = Poll(0, sweep=True, calls=None, immortal=False)
ARRIVES = Deliver(100, "in order")
ONE, OTHER = VALUES[0], VALUES[2]
LAST: list[Step] = [*[Fail("slow")] * 3, Fail("empty")]
"""For the last of four pages: two of what changed, two of everything."""
THREE: list[Step] = [Put("a", ONE, 0), Put("b", ONE, 0), Put("c", ONE, 0)]

FOUND: dict[str, tuple[Setting, list[Step]]] = {
    "a row is removed while a sweep is about to read it, and its item is still on its way": (
        Setting(),
        [Put("a", ONE, 0), SWEEP._replace(calls=3), Remove("a", 0)],
    ),
    "of two polls the one that gave its lease back first tells last how fresh the source is": (
        Setting(),
        [Put("a", ONE, 0), ALL._replace(calls=5), ALL._replace(slot=1), Go(0, None)],
    ),
    "two rows of a numbered page move behind the one on the next, and it still ends as it did": (
        Setting(Shape("page"), max_pages=1),
        [*THREE, Wait(40_000), ALL, Put("b", OTHER, 0), Wait(1), Put("a", OTHER, 0), Wait(1), ALL],
    ),
    "a first page is what it was, and the second isn't": (
        Setting(Shape(validator="etag")),
        [*THREE, ALL, ALL, Put("d", ONE, 0), ALL],
    ),
    "a page is full, and what its entity tag names doesn't change when its Link header names another": (
        Setting(Shape("header", page_size=3, validator="etag")),
        [*THREE, ALL, ALL, Put("d", ONE, 0), ALL],
    ),
    "a numbered page comes twice": (
        Setting(Shape("page")),
        [*THREE, Put("d", ONE, 0), Put("e", ONE, 0), Wait(40_000), Fail("slow"), Fail("repeated"), ALL],
    ),
    "a row has lost its id when a sweep looks for it": (
        Setting(),
        [*THREE, ALL, ARRIVES, Put("b", OTHER, 0), ALL, ARRIVES, Wait(10_000), Poison("a", "no id"), SWEEP, SWEEP],
    ),
    "a listing ends before its end, once": (
        Setting(Shape(order="id")),
        [*THREE, ALL, ARRIVES, Put("b", OTHER, 0), ALL, ARRIVES, Wait(10_000), *LAST, SWEEP],
    ),
    "too much is missing": (
        Setting(max_deletes_percent=50),
        [*THREE, ALL, ARRIVES, Put("b", OTHER, 0), ALL, ARRIVES, Wait(10_000), Delete("a"), Delete("c")],
    ),
    "every listing is empty": (
        Setting(Shape(versions=None)),
        [*THREE, ALL, ARRIVES, Put("b", OTHER, 0), ALL, ARRIVES, Wait(10_000), Fail("empty"), ALL, Fail("empty"), ALL],
    ),
    "a row is committed late, behind what an unfinished pass has read": (
        Setting(max_pages=1),
        [*THREE[:2], Wait(300), THREE[2], ALL, Put("d", ONE, 999), Wait(40_000), Put("e", ONE, 0), ALL, ALL],
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_went_wrong_once(name: str) -> None:
    """Histories that showed a fault, of `poll` or of one that was made to be found."""
    play(*FOUND[name])


@settings(max_examples=max(HISTORIES, 2 * settings().max_examples))
@given(histories())
def test_in_the_end_the_items_are_what_the_back_office_says(history: tuple[Setting, list[Step]]) -> None:
    play(*history)


@pytest.mark.parametrize("poll", [ALL, SWEEP])
@pytest.mark.parametrize("first, second, wait", [(ONE, OTHER, 1), (OTHER, ONE, 1), (ONE, OTHER, 40_000)])
def test_a_poll_can_be_killed_before_any_of_its_calls_and_another_goes_on(
    first: str, second: str, wait: int, poll: Poll
) -> None:
    """Every place of one poll, and not only those that chance comes to; within one timestamp or not."""
    setting = Setting(Shape(page_size=10, resolution_ms=1_000))
    steps: list[Step] = [*(Put(row, first, 0) for row in IDS), Wait(wait)]
    calls = 0
    while True:
        calls += 1
        more: list[Step] = [Put("a", second, 0), Kill(0), Put("b", second, 0), Wait(100_000), ALL]
        if not play(setting, [*steps, poll._replace(calls=calls), *more]).killed:
            break
    assert calls > 4


def test_two_polls_may_take_turns_at_any_of_their_calls() -> None:
    """One stops at its n-th call for as long as its lease lasts, and goes on when another has polled."""
    steps: list[Step] = [Put(row, ONE, 0) for row in IDS]
    for calls in range(1, 20):
        frozen = SWEEP._replace(calls=calls, immortal=True)
        more: list[Step] = [Put("a", OTHER, 0), Wait(FUNCTION_MS), Put("b", OTHER, 0), SWEEP._replace(slot=1)]
        play(Setting(), [*steps, frozen, *more, Go(0, None)])


def test_while_one_polls_another_does_nothing() -> None:
    world = World(Setting())
    with world_of(world.clock, world.wire):
        for step in (*THREE, ALL._replace(calls=2), ALL._replace(slot=1)):
            world.do(step)
        assert world.outcome == "running" and not world.stream.records
        settle(world)


def test_a_row_that_comes_back_while_a_sweep_deletes_it_is_there_without_another_sweep() -> None:
    """Its time may be before the sweep's: the tombstone must be of the time of what it deletes."""
    world = World(Setting())
    with world_of(world.clock, world.wire):
        steps = [*THREE, ALL, ARRIVES, Put("b", OTHER, 0), ALL, ARRIVES, Wait(10_000), Delete("a"), SWEEP]
        for step in (*steps, Wait(10_000), SWEEP, Put("a", OTHER, LATE_MS), ARRIVES, ALL, ARRIVES):
            world.do(step)
        assert json.loads(world.items.items["item/things/a"]["data"]["S"]) == json.loads(OTHER)
        settle(world)
