"""The simulation in which a history of a source is played: a back office, `poll`, the change stream, `apply` and items.

Fakes replace only the AWS clients, the HTTP adapter of `requests`, the clock and the random bytes. All other code is
the code that runs on AWS.
"""

import base64
import json
from collections import deque
from typing import Any

import requests

from readplane.apply.handler import Apply, ApplySettings, ApplyStores
from readplane.apply.notifications import SqsApplyQueue
from readplane.apply.objects import S3LogObjects
from readplane.apply.quarantine import S3LineQuarantine
from readplane.apply.tally import DynamoCountedObjects
from readplane.aws.faults import AwsError
from readplane.model.change import parse_line
from readplane.model.collection import Collection
from readplane.model.exact_json import parse_json, print_json
from readplane.model.keys import item_key
from readplane.poll.change_stream import KinesisChangeStream
from readplane.poll.checkpoint import Checkpoint
from readplane.poll.checkpoint_table import DynamoCheckpoints
from readplane.poll.declared_sources import DeclaredSources
from readplane.poll.errors import LeaseLostError
from readplane.poll.handler import Poll as PollFunction
from readplane.poll.poll_stores import PollStores
from readplane.poll.quarantine import S3Quarantine
from readplane.poll.source.settings import Source
from readplane.poll.sourced_items import DynamoSourcedItems
from readplane.poll.upstream.client import BackOfficeClient
from readplane.poll.upstream.response import Fetch
from readplane.stores.items_bulk import DynamoBulkItems
from readplane.stores.rows import change_of
from readplane.telemetry import Telemetry
from tests.fakes.back_office import ORIGIN, PATH, BackOffice, Fault, Row
from tests.fakes.dynamodb import MemoryDynamo
from tests.fakes.expressions import Item
from tests.fakes.sandbox import Clock, GatedClient, Invocation, KilledError, MemoryBuckets, MemoryStream, simulated
from tests.fakes.source_settings import add_defaults
from tests.histories.steps import (
    BAD_ROWS,
    BAD_TIMES,
    IDS,
    Delete,
    Deliver,
    Fail,
    FailAwsCall,
    Kill,
    Poll,
    Put,
    PutBadRow,
    RefuseRecords,
    Remove,
    Resume,
    Rewind,
    Setting,
    Step,
    Wait,
)
from tests.unit.support import NOW_MS

SOURCE = "rows"
COLLECTION = Collection("things", "public")
COLLECTIONS = {COLLECTION.name: COLLECTION}
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "number"}, "of": {"type": "string"}}}
HORIZON_DAYS = 30
HORIZON_MS = HORIZON_DAYS * 86_400_000
OUTCOMES = ("completed", "not_modified", "unfinished", "failed", "open", "running")
WHOLE_PASS = ("completed", "not_modified")
"""The outcomes of a poll that has reached the end of a pass."""
FUNCTION_MS = 60_000
"""The time in milliseconds after which Lambda ends an invocation."""
LAG_S = 5.0
"""The source's lag: each pass reads again the rows of this many seconds before the watermark.

Rows can become visible after rows with a later modification time, so `poll` could miss them without the lag.
"""


class ItemsTable(MemoryDynamo):
    """A fake of the items table. It fails the test if an item's version goes down.

    The table's index shows new items only after :meth:`refresh_index`, because a DynamoDB index lags behind its table.
    """

    def __init__(self, world: "World") -> None:
        super().__init__("items")
        self._world = world
        self.index = {}
        self.page_size = 1

    @property
    def fresh_as_of(self) -> str:
        """The ``fresh_as_of`` that `poll` last published for the source; empty if `poll` has published none."""
        return str(self.items.get(f"source/{SOURCE}", {}).get("fresh_as_of", {}).get("S", ""))

    def refresh_index(self) -> None:
        """Copy all items of the table into its index."""
        self.index = dict(self.items)

    def _write(self, pk: str, item: Item) -> None:
        stored_item = self.items.get(pk)
        if "version" in item:
            assert stored_item is None or stored_item["version"]["S"] < item["version"]["S"], (pk, stored_item, item)
        super()._write(pk, item)
        if "version" in item:
            self._world.check_written_item(item)


class RecordedFailures(Telemetry):
    """A replacement for the product's telemetry. It prints nothing and records the errors that the code reports."""

    def __init__(self) -> None:
        super().__init__("poll", "model")
        self.failures: list[BaseException] = []

    def event(self, code: str, message: str, **fields: Any) -> None:
        pass

    def failure(self, code: str, message: str, error: BaseException, **fields: str) -> None:
        self.failures.append(error)


class World:
    """One simulation. It takes the steps of one history and checks the items and the checkpoint after each step."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.clock = Clock(NOW_MS)
        self.office = BackOffice(setting.shape, lambda: self.clock.ms)
        self.faults: deque[Fault] = deque()
        self.checkpoints_table = MemoryDynamo("checkpoints", consistent_only=True)
        self.items = ItemsTable(self)
        self.stream = MemoryStream()
        self.buckets = MemoryBuckets()
        self.slots: list[Invocation | None] = [None, None]
        self.ever_deleted: set[str] = set()
        self.ever_removed: set[str] = set()
        self.outcome = ""
        self.states: dict[str, list[str | None]] = {row_id: [None] for row_id in IDS}
        """The data that each row has had, oldest first, by row id. ``None`` stands for a missing or removed row."""
        self.applied_state: dict[str, int] = {}
        """For each row, the position of its item's data in the row's list in ``states``."""
        self.undetectable_lies = 0
        """How many falsely empty pages have hidden rows in such a way that only a sweep can find them."""
        self.last_lie_ms = 0
        self.kills = 0
        self.empty_pages = 0
        self.last_answered: Invocation | None = None
        self._aws_faults: dict[int, str] = {}
        self._last_checkpoint = Checkpoint(SOURCE)
        self._last_fresh_as_of = ""
        self._apply = Apply(
            ApplySettings("model", "items", "q", "log", "quarantine/", HORIZON_DAYS, COLLECTIONS),
            ApplyStores(
                items=DynamoBulkItems(self.items, "items", horizon_ms=HORIZON_MS),
                objects=S3LogObjects(self.buckets, "log"),
                quarantine=S3LineQuarantine(self.buckets, "log", "quarantine/"),
                queue=SqsApplyQueue(self.buckets, "q"),
                counted=DynamoCountedObjects(MemoryDynamo("counted"), "counted"),
            ),
            RecordedFailures(),
        )

    # -- steps -------------------------------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        """Take one step of the history, and then check that neither the watermark nor ``fresh_as_of`` has gone back."""
        match step:
            case Put(row_id, value, late_ms):
                self.office.put(row_id, value, late_ms)
            case PutBadRow(row_id, kind):
                if self.setting.shape.versions is None and kind in BAD_TIMES:
                    kind = "invalid"
                self.office.put(row_id, "{}", raw=BAD_ROWS[kind].replace("ID", row_id))
            case Remove(row_id, late_ms):
                self.ever_removed.add(row_id)
                self.office.remove(row_id, late_ms)
            case Delete(row_id):
                if row_id in self.office.rows:
                    self.ever_deleted.add(row_id)
                self.office.delete(row_id)
            case Wait(ms):
                self.clock.ms += ms
            case Fail(fault):
                self.faults.append(fault)
            case Poll(slot, sweep, calls, immortal):
                self.poll(slot, sweep, calls, immortal)
            case Resume(slot, calls):
                self.resume(slot, calls)
            case Kill(slot):
                if invocation := self.slots[slot]:
                    self.kills += 1
                    invocation.kill()
                    self._finish(slot)
            case FailAwsCall(kind, nth):
                self._aws_faults[nth] = kind
            case RefuseRecords(refused):
                self.refuse_records(refused)
            case Deliver(number, order):
                self.deliver(number, order)
            case Rewind(ms):
                DynamoCheckpoints(self.checkpoints_table, "checkpoints").rewind(SOURCE, self.clock.ms - ms)
                self._last_checkpoint = self.checkpoint()
        self._record_states()
        self._check_progress()

    def _record_states(self) -> None:
        for row in self.office.rows.values():
            if row.raw is None and self.states[row.id][-1] != self.expected_data(row):
                self.states[row.id].append(self.expected_data(row))

    def _check_progress(self) -> None:
        assert self._last_fresh_as_of <= self.items.fresh_as_of, "the published freshness went back"
        self._last_fresh_as_of = self.items.fresh_as_of
        before, after = self._last_checkpoint, self.checkpoint()
        self._last_checkpoint = after
        assert (before.watermark_ms or 0) <= (after.watermark_ms or 0), "the watermark went back"
        assert (before.fresh_as_of_ms or 0) <= (after.fresh_as_of_ms or 0), "fresh_as_of went back"
        assert (after.fresh_as_of_ms or 0) <= self.clock.ms

    def refuse_records(self, refused: tuple[bool, ...]) -> None:
        """Let the fake Kinesis stream refuse some of the records that `poll` puts into it next.

        :param refused: whether the stream refuses the first record, the second record, and so on. It accepts the rest.
        """
        decisions = iter(refused)
        self.stream.refuse = lambda: next(decisions, False)

    def deliver(self, number: int, order: str = "in order") -> None:
        """Deliver up to ``number`` records of the change stream to `apply` in one batch.

        :param order: ``in order``, ``reversed`` or ``again``. With ``again``, the records are in order, and the first
            record also goes back to the end of the stream, so that a later batch contains it again.
        """
        batch = [self.stream.records.popleft() for _ in range(min(number, len(self.stream.records)))]
        if not batch:
            return
        if order == "reversed":
            batch.reverse()
        if order == "again":
            self.stream.records.append(batch[0])
        self.items.refresh_index()  # refresh the index before `apply` writes, so that the index lags by one delivery
        event = {"Records": [_kinesis_record(number, data) for number, (_, data) in enumerate(batch)]}
        assert self._apply(event, lambda: FUNCTION_MS) == {"batchItemFailures": []}

    def checkpoint(self) -> Checkpoint:
        """Return the source's stored checkpoint; an empty checkpoint if none is stored."""
        return DynamoCheckpoints(self.checkpoints_table, "checkpoints").get_checkpoint(SOURCE) or Checkpoint(SOURCE)

    # -- polls -------------------------------------------------------------------------------------------------------

    def poll(self, slot: int, sweep: bool = False, calls: int | None = None, immortal: bool = False) -> None:
        """Begin an invocation of `poll` if the slot is free. Then let the slot's invocation make some calls.

        :param slot: the number of the slot. Each slot runs one invocation at a time.
        :param sweep: whether the event of a new invocation requests a sweep.
        :param calls: how many calls the slot's invocation makes before it stops; ``None`` if it runs to its end.
        :param immortal: whether a new invocation can go on after its deadline.
        """
        if self.slots[slot] is None:
            deadline_ms = self.clock.ms + FUNCTION_MS
            invocation = Invocation(lambda own: self._work(own, sweep), self.clock, deadline_ms, immortal=immortal)
            invocation.faults, self._aws_faults = self._aws_faults, {}
            self.slots[slot] = invocation
        self.resume(slot, calls)

    def _work(self, invocation: Invocation, sweep: bool) -> Any:
        telemetry = RecordedFailures()
        items = GatedClient(self.items, invocation, "items")
        stores = PollStores(
            checkpoints=DynamoCheckpoints(
                GatedClient(self.checkpoints_table, invocation, "checkpoints"), "checkpoints"
            ),
            items=DynamoSourcedItems(items, "items", "by_collection", horizon_ms=HORIZON_MS),
            stream=KinesisChangeStream(GatedClient(self.stream, invocation, "stream"), "changes"),
            quarantine=S3Quarantine(GatedClient(self.buckets, invocation, "s3"), "log", "quarantine/"),
            documents={},
        )
        sources = DeclaredSources({SOURCE: self.source()}, {COLLECTION.name: SCHEMA}, COLLECTIONS)
        poll = PollFunction(sources, stores, self._fetch_of, telemetry)
        try:
            return poll({"source": SOURCE, "sweep": sweep}, invocation.remaining_ms)
        finally:
            for error in telemetry.failures:
                # Allow `poll` to report a lost lease. If DynamoDB released the lease but its response was lost, `poll`
                # repeats the call, and the repeated call finds no lease.
                if not isinstance(error, (AwsError, LeaseLostError)):
                    raise AssertionError("poll failed by its own fault") from error

    def _fetch_of(self, source: Source) -> Fetch:
        clock = self.clock
        return BackOfficeClient(
            source, clock=clock.monotonic, sleep=clock.sleep, jitter=lambda: 0.5, wall=clock.time
        ).fetch

    def resume(self, slot: int, calls: int | None) -> None:
        """Let the slot's invocation make ``calls`` more calls, or run it to its end if ``calls`` is ``None``.

        If the slot has no invocation, do nothing.
        """
        invocation = self.slots[slot]
        if invocation is None:
            return
        invocation.resume(float("inf") if calls is None else calls)
        if invocation.over:
            self._finish(slot)

    def _finish(self, slot: int) -> None:
        """Free the slot, and check that its invocation had a valid outcome or failed for an allowed reason."""
        invocation = self.slots[slot]
        assert invocation
        self.slots[slot] = None
        if invocation.error is not None:
            # An invocation may fail if one of its calls to AWS failed, because Lambda then retries the event.
            failed_by_aws = invocation.faults and isinstance(invocation.error, AwsError)
            if not isinstance(invocation.error, KilledError) and not failed_by_aws:
                raise invocation.error
            return
        self.outcome = invocation.result["outcome"]
        assert self.outcome in OUTCOMES, invocation.result
        # Skip this check for a source without modification times. For such a source `poll` compares each record with
        # its item. The item is outdated while its newest change is still in the change stream, so `poll` may decide
        # wrongly and the check could fail.
        if self.outcome in WHOLE_PASS and not self.undetectable_lies and self.setting.shape.versions:
            self._check_freshness()

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Return the back office's response to a request. This method replaces `HTTPAdapter.send`.

        The response has the first fault in ``faults``, if there is one.
        """
        invocation = Invocation.current
        assert invocation
        invocation.gate("GET")
        self.clock.ms += self.setting.latency_ms
        fault = self.faults.popleft() if self.faults else None
        if fault == "timeout":
            self.clock.ms += 10_000
        elif fault == "slow":
            self.clock.ms += 8_000
        elif fault == "repeated" and (self.last_answered is not invocation or self.office.is_first(request)):
            fault = None  # drop this fault, because no client can detect that a page is a copy from an earlier pass
        elif fault == "stray_link" and self.setting.shape.style not in ("link", "header"):
            fault = "500"
        elif fault == "empty":
            self.last_lie_ms = self.clock.ms
            self.empty_pages += 1
            # The empty page hid some rows. If the rows are sorted by time, the next pass reads the hidden rows. If they
            # are sorted by id, the next pass doesn't read them, so only a sweep can.
            self.undetectable_lies += self.setting.shape.order == "id"
        response = self.office.respond(request, fault)
        if fault is None or fault in ("fewer", "slow"):
            self.last_answered = invocation
        return response

    def source(self) -> dict[str, Any]:
        """Return the source's settings as Terraform writes them."""
        shape = self.setting.shape
        styles = {"header": "link", "scroll": "token"}
        paging: dict[str, Any] = {"style": styles.get(shape.style, shape.style)}
        if shape.style in ("link", "token", "scroll"):
            paging["next"] = "next"
        if shape.style in ("token", "scroll", "page", "offset"):
            paging["parameter"] = "token" if shape.style == "scroll" else shape.style
        versioned = shape.versions is not None
        declared = {
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
            "order": "modified" if self.setting.in_order else None,
            "lag_seconds": LAG_S,
            "timeout_seconds": 10,
            "attempts": 2,
            "max_pages": self.setting.max_pages,
            "breaker": {"failures": 2, "cooldown_seconds": 30},
            "sweep": {"schedule": "rate(1 day)", "max_deletes_percent": self.setting.max_deletes_percent},
            "staleness_budget": 300,
        }
        return add_defaults(declared)

    # -- checks ------------------------------------------------------------------------------------------------------

    def check_written_item(self, item: Item) -> None:
        """Check an item that `apply` has just written.

        The item must not go back to older data of its row. A tombstone is allowed only if a user has removed or deleted
        the row, or if the back office has sent at least two falsely empty pages. (A sweep deletes an item if its row is
        missing from two consecutive listings, and each falsely empty page can hide the row from one listing.)
        """
        row_id = item["item_id"]["S"]
        text = item["data"]["S"] if "data" in item else None
        first = self.applied_state.get(row_id, 0)
        matching = [n for n, state in enumerate(self.states[row_id]) if state == text and n >= first]
        assert matching or self.undetectable_lies or row_id in self.ever_deleted, (
            "the item goes back to an older state of its row"
        )
        self.applied_state[row_id] = matching[0] if matching else 0
        row = self.office.rows.get(row_id)
        if "data" not in item and self.empty_pages < 2 and row_id not in self.ever_deleted and row:
            assert row_id in self.ever_removed, "a deleted item's row was never removed"

    def is_quarantined(self, raw: str) -> bool:
        """Return whether the quarantine holds this record of the source.

        :param raw: the JSON text that the back office sent for the row.
        """
        record = print_json(parse_json(raw))
        entries = [json.loads(body) for (_, key), body in self.buckets.objects.items() if key.startswith("quarantine/")]
        return any(entry["record"] == record and entry["source"] == SOURCE for entry in entries)

    def expected_data(self, row: Row) -> str | None:
        """Return the data that the item of a row must have; ``None`` for a removed row."""
        return None if row.removed else print_json(parse_json(row.value))

    def _check_freshness(self) -> None:
        """Check that every row that existed at the time ``fresh_as_of`` is in the items or in the change stream."""
        checkpoint = self.checkpoint()
        fresh_ms = checkpoint.fresh_as_of_ms
        if fresh_ms is None:
            assert checkpoint.refused_limit is not None, "a complete pass makes the source fresh unless it refuses rows"
            return
        # Skip the check in two cases. First, a falsely empty page may have hidden rows since ``fresh_as_of``. Second,
        # rows may be deleted and inserted while `poll` reads numbered pages. Then `poll` can miss a row unnoticed.
        if fresh_ms <= self.last_lie_ms or (self.setting.shape.style == "page" and self.ever_deleted):
            return
        newest = {item["pk"]["S"]: change_of(item) for item in self.items.items.values() if "version" in item}
        for _, data in self.stream.records:
            change = parse_line(data, COLLECTIONS)
            if change.key not in newest or newest[change.key].version < change.version:
                newest[change.key] = change
        for row in self.office.rows.values():
            if row.raw is None and self.office.touched[row.id] < fresh_ms and row.id not in self.ever_deleted:
                stored_item = newest.get(item_key(COLLECTION.name, row.id, None))
                assert (stored_item.data if stored_item else None) == self.expected_data(row), (row, stored_item)

    def check_items(self, *, without_deleted: bool) -> None:
        """Check that the items equal the rows of the back office that `poll` needn't quarantine.

        :param without_deleted: whether to check also that the rows that were deleted without a trace have no items.
        """
        items = {item["item_id"]["S"]: change_of(item) for item in self.items.items.values() if "version" in item}
        for row in self.office.rows.values():
            if row.raw is None:
                item = items.pop(row.id, None)
                assert (item.data if item else None) == self.expected_data(row), (row, item)
        if without_deleted:
            assert not [item for item in items.values() if item.data is not None and self._is_good(item.item_id)]

    def living(self) -> set[str]:
        """Return the ids of the items that aren't tombstones."""
        return {item["item_id"]["S"] for item in self.items.items.values() if "data" in item}

    def may_delete(self, missing: int) -> bool:
        """Return whether a sweep is allowed to delete the items whose rows are missing.

        It is allowed to delete either all of them or none. It must delete none if the back office has no rows, or if
        the settings allow fewer deletes.

        :param missing: how many items have no row.
        """
        most = max(1, len(self.living()) * self.setting.max_deletes_percent / 100)
        return bool(self.office.rows) and missing <= most

    def _is_good(self, row_id: str) -> bool:
        return row_id not in self.office.rows or self.office.rows[row_id].raw is None


def _kinesis_record(number: int, data: bytes) -> dict[str, Any]:
    return {
        "eventSource": "aws:kinesis",
        "eventID": f"shardId-000000000000:{number}",
        "kinesis": {"sequenceNumber": str(number), "data": base64.b64encode(data).decode()},
    }


def play(setting: Setting, steps: list[Step]) -> World:
    """Play one history to its end. Check that the items then equal the back office's rows."""
    world = World(setting)
    with simulated(world.clock, world.send):
        try:
            for step in steps:
                world.do(step)
            settle(world)
        finally:
            for invocation in world.slots:
                if invocation:
                    invocation.kill()
    return world


def settle(world: World) -> None:
    """End all faults, and check that polls and sweeps without faults make the items equal the back office's rows."""
    world.faults.clear()
    world.refuse_records(())
    for slot in range(2):
        world.resume(slot, None)
    world.clock.ms += 10 * 60_000  # wait until every lease and the breaker's cooldown are over
    _settle_passes(world)
    for row in world.office.rows.values():
        if row.raw is not None:
            assert world.is_quarantined(world.office.text(row)), row
    if not world.ever_deleted and not world.undetectable_lies:
        world.check_items(without_deleted=True)
    # Delete the bad rows before the sweeps, because a sweep counts a row without an id as missing.
    for row in list(world.office.rows.values()):
        if row.raw is not None:
            world.do(Delete(row.id))
    _settle_sweeps(world)


def _settle_passes(world: World) -> None:
    whole_passes = 0
    for _ in range(60):
        world.deliver(1_000)
        world.do(Poll(0, sweep=False, calls=None, immortal=False))
        whole_passes += world.outcome in WHOLE_PASS
        if whole_passes >= 3 and not world.stream.records:
            return
        world.clock.ms += 10_000
    raise AssertionError("no poll ends a pass")


def _settle_sweeps(world: World) -> None:
    # Refresh the index, because a sweep reads from the index which items exist. Items that the index lacks would count
    # neither as missing nor towards the number of items that the sweep may delete.
    world.items.refresh_index()
    missing = world.living() - world.office.rows.keys()
    may_delete = world.may_delete(len(missing))
    # Without modification times, each main pass is a full listing, also one whose response is 304. With them, a main
    # pass is no listing, and its 304 says nothing about the sweep, which goes on by a page in each poll.
    lists_in_main_pass = world.setting.shape.versions is None
    sweeps = 0
    # Allow 200 polls. If each poll reads only one page, four sweeps and the passes before them take more than 60 polls.
    for _ in range(200):
        world.clock.ms += 10_000
        before = world.checkpoint().last_sweep_ms
        world.do(Poll(0, sweep=True, calls=None, immortal=False))
        world.deliver(1_000)
        world.items.refresh_index()
        listed = world.checkpoint().last_sweep_ms != before
        sweeps += listed or (lists_in_main_pass and world.outcome == "not_modified")
        if sweeps == 4:
            break
    else:
        raise AssertionError("no poll ends a sweep")
    world.check_items(without_deleted=may_delete)
    if not may_delete:
        assert missing <= world.living(), "a sweep deletes more than the settings allow"
