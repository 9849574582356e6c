"""A back office with one list, the source that `poll` reads from it, and the rules of its freshness."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from readplane.aws.faults import AwsError
from readplane.model.keys import item_key
from readplane.model.timestamp import ms_of
from readplane.poll.change_stream import KinesisChangeStream
from readplane.poll.checkpoint_table import DynamoCheckpoints
from readplane.poll.declared_sources import DeclaredSources
from readplane.poll.errors import BackOfficeError
from readplane.poll.handler import Poll
from readplane.poll.poll_stores import PollStores
from readplane.poll.quarantine import S3Quarantine
from readplane.poll.runtime import Runtime
from readplane.poll.sourced_items import DynamoSourcedItems
from readplane.poll.upstream.request import BackOfficeRequest
from readplane.poll.upstream.response import BackOfficeResponse
from tests.fakes.dynamodb import MemoryDynamo
from tests.fakes.source_settings import add_defaults
from tests.reliability.aws import ChangeStream, table_name
from tests.reliability.machine import HORIZON_MS

if TYPE_CHECKING:
    from tests.reliability.world import World

SOURCE, THINGS = "things-source", "things"
POLL_MS = 60_000
OUTAGE_MS = 600_000
"""The longest outage of the back office."""

PAGE = 4
BUDGET_S = 60
EVALUATED, BREACHING = 5, 3
"""The alarm on a source's staleness (terraform/modules/monitoring/alarms.tf) fires if the metric is above the budget or
missing, in so many (the second number) of the last minutes (the first number)."""

PATIENCE_MS = 60_000 * (BREACHING + 1)
"""How much longer than the budget a row's change may be missing before the alarm must fire."""
SETTINGS = {
    "name": SOURCE,
    "mode": "changes",
    "collection": THINGS,
    "url": "https://office.example/rows?since={cursor}",
    "records": "rows",
    "id": "id",
    "version": {"expression": "modified", "format": "unix_ms"},
    "deleted": "removed",
    "translation": "value",
    "paging": {"style": "token", "next": "next", "parameter": "token"},
    "lag_seconds": 5,
    "timeout_seconds": 10,
    "attempts": 1,
    "staleness_budget": BUDGET_S,
    "breaker": {"failures": 3, "cooldown_seconds": 30},
}


class SourceWorld:
    """The back office, the invocations of `poll`, and what must hold for them. `poll` runs in the first Region."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._stack = world.stacks[0]
        self._rows: dict[str, dict[str, Any]] = {}
        self._touched: dict[str, int] = {}
        self._fresh_as_of_ms: dict[int, int] = {}
        self._unread: dict[str, int] = {}
        self.down_until_ms = 0
        machine, stack = world.machine, self._stack
        self._checkpoints = MemoryDynamo("checkpoints", consistent_only=True)
        kinesis = ChangeStream(stack.change_stream, world.faults, world.profile, world.invariants.log_line)
        runtime = Runtime(stack.region.clock, lambda: machine.now_ms / 1000, machine.random.randbytes)
        checkpoints = DynamoCheckpoints(stack.client(self._checkpoints, "checkpoints"), "checkpoints")
        checkpoints.pause = machine.pause
        self._stores = PollStores(
            checkpoints=checkpoints,
            items=self._items_of(stack.tables_of("poll").live),
            stream=KinesisChangeStream(stack.client(kinesis, "kinesis"), "changes", runtime, machine.pause),
            quarantine=S3Quarantine(stack.s3, "log", "quarantine/"),
            documents={},
        )
        from tests.reliability.world import COLLECTIONS

        self._sources = DeclaredSources({SOURCE: add_defaults(SETTINGS)}, {}, COLLECTIONS)
        self._runtime = runtime

    def _items_of(self, generation: int) -> DynamoSourcedItems:
        client = self._stack.items_client(generation)
        items = DynamoSourcedItems(client, table_name(generation), "by_collection", horizon_ms=HORIZON_MS)
        items.pause = self._world.machine.pause
        return items

    # -- the history -------------------------------------------------------------------------------------------------

    def plan(self, start_ms: int, end_ms: int) -> None:
        """Plan the polls and what the back office's users do."""
        machine, draw = self._world.machine, self._world.machine.random
        ms = start_ms
        while ms < end_ms:
            ms += draw.choice([100, 500, 3_000])
            machine.at(ms, self._change_row)
        for poll_ms in range(start_ms, end_ms, 6_000):
            machine.at(poll_ms + draw.randrange(1_000), self.poll, self._stack.region)
        if self._world.profile.losses:
            machine.at(draw.randrange(start_ms, end_ms), self._go_down)
            # The schedule goes on while the back office is down, and nobody writes any more.
            for poll_ms in range(end_ms, end_ms + OUTAGE_MS, 20_000):
                machine.at(poll_ms, self.poll, self._stack.region)
        for minute_ms in range(start_ms, end_ms + OUTAGE_MS, 60_000):
            machine.at(minute_ms, self._measure, self._stack.region)

    def settle(self) -> None:
        """Let `poll` read everything that it has missed."""
        machine = self._world.machine
        for number in range(5):
            machine.after(OUTAGE_MS + 70_000 * number, self.poll, self._stack.region)

    def _go_down(self) -> None:
        """Let the back office answer nothing for a while."""
        self.down_until_ms = self._world.machine.now_ms + self._world.machine.random.randrange(10_000, OUTAGE_MS)
        self._world.machine.note("office down")

    def _measure(self) -> None:
        """Invoke `poll` to measure the staleness, as another schedule does."""
        world = self._world
        if world.machine.random.random() < 0.9:
            self._invoke({"freshness": True}, "poll-freshness")

    def poll(self) -> None:
        """Invoke `poll`, as the schedule does."""
        self._invoke({"source": SOURCE}, "poll")

    def _invoke(self, event: dict[str, Any], name: str) -> None:
        stores = self._stores._replace(items=self._items_of(self._stack.tables_of("poll").live))
        poll = Poll(self._sources, stores, lambda _: self._fetch, self._stack.telemetry, self._runtime)

        def work(remaining_ms: Callable[[], int]) -> Any:
            try:
                return poll(event, remaining_ms)
            except AwsError:  # the invocation fails, and the schedule invokes `poll` again
                return "failed"

        self._world.machine.invoke(self._stack.region, name, POLL_MS, work, self._world.faults.crashes)

    def _change_row(self) -> None:
        machine, draw = self._world.machine, self._world.machine.random
        row_id = draw.choice("abcdefgh")
        removed = row_id in self._rows and draw.random() < 0.25
        value = {"n": self._world.next_number()}
        self._rows[row_id] = {"id": row_id, "modified": machine.now_ms, "removed": removed, "value": value}
        self._touched[row_id] = machine.now_ms
        machine.note(f"office {row_id} {removed}")

    def _fetch(
        self,
        request: BackOfficeRequest,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        """Answer a request of `poll` with a page of the list, sorted by modification time."""
        world = self._world
        world.machine.begin_call("office", world.faults.latency_ms())
        fault = world.faults.draw()
        if world.machine.now_ms < self.down_until_ms:
            raise BackOfficeError("connect", "no connection", retryable=True)
        if fault == "throttled":
            raise BackOfficeError("status", "HTTP status 503", status=503, retry_after=20.0, retryable=True)
        if fault:
            raise BackOfficeError("timeout", "no response in time", retryable=True)
        query = parse_qs(urlsplit(request.url).query)
        since = int(query.get("since", ["0"])[0])
        rows = [row for row in self._rows.values() if row["modified"] >= since]
        if "token" in query:  # it names the last row of the page before, so a row that moves hides no other row
            rows = [row for row in rows if _position(row) > query["token"][0]]
        rows.sort(key=_position)
        more = _position(rows[PAGE - 1]) if len(rows) > PAGE else None
        body = json.dumps({"rows": rows[:PAGE], "next": more}).encode()
        return BackOfficeResponse(200, body, {"Content-Type": "application/json"}, request.url)

    # -- the rules ---------------------------------------------------------------------------------------------------

    def check_freshness(self) -> None:
        """Check the freshness that `poll` has just published: it never goes back, and never says more than is true."""
        require = self._world.invariants.require
        fresh_ms = self._published_ms()
        if fresh_ms is None:
            return
        generation = self._stack.live_generation
        require(fresh_ms >= self._fresh_as_of_ms.get(generation, 0), "the freshness of a source goes back")
        self._fresh_as_of_ms[generation] = fresh_ms
        newest = self._world.invariants.newest
        for row_id, row in self._rows.items():
            if self._touched[row_id] + self._stack.region.skew_ms < fresh_ms:
                change = newest.get(item_key(THINGS, row_id, None))
                require(self._agrees(row, change), "a source counts as fresh, but a row's change isn't on the stream")

    def check_now(self) -> None:
        """Check that a row that isn't read in time makes the alarm on the source's staleness fire."""
        now_ms, newest = self._world.machine.now_ms, self._world.invariants.newest
        for row_id, row in self._rows.items():
            if self._agrees(row, newest.get(item_key(THINGS, row_id, None))):
                self._unread.pop(row_id, None)
            else:  # since when the row has been newer than its item
                self._unread.setdefault(row_id, self._touched[row_id])
        late = [ms for ms in self._unread.values() if ms < now_ms - BUDGET_S * 1000 - PATIENCE_MS]
        self._world.invariants.require(not late or self._is_alarm_on(), "a source is stale, and its alarm doesn't fire")

    def _is_alarm_on(self) -> bool:
        """Return whether the alarm on the source's staleness fires, for which missing metrics are a fault, too."""
        now_ms = self._world.machine.now_ms
        points = [(int(now_ms - ms) // 60_000, value) for ms, value in self._stack.telemetry.staleness]
        minutes = [[value for minute, value in points if minute == number] for number in range(EVALUATED)]
        return sum(not values or max(values) > BUDGET_S for values in minutes) >= BREACHING

    def check_end(self) -> None:
        """Check that the items are the rows of the back office, and that the source is fresh."""
        newest = self._world.invariants.newest
        for row_id, row in self._rows.items():
            change = newest.get(item_key(THINGS, row_id, None))
            self._world.invariants.require(self._agrees(row, change), f"the item of the row {row_id} is out of date")
        if self._rows:
            fresh_ms = self._published_ms() or 0
            age_ms = self._stack.region.clock() - fresh_ms
            self._world.invariants.require(age_ms < HORIZON_MS, "the source never becomes fresh")

    def _published_ms(self) -> int | None:
        record = self._stack.replica.items.get(f"source/{SOURCE}", {})
        return ms_of(record["fresh_as_of"]["S"]) if "fresh_as_of" in record else None

    def _agrees(self, row: dict[str, Any], change: Any) -> bool:
        if row["removed"]:
            return change is None or change.data is None
        return change is not None and change.data is not None and json.loads(change.data) == row["value"]


def _position(row: dict[str, Any]) -> str:
    """Return the position of a row in the list, which is sorted by modification time."""
    return f"{row['modified']}.{row['id']}"
