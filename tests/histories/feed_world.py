"""The simulation in which a history of the private stores is played: items, `publish`, queues, `feed` and two stores.

Fakes replace only the AWS clients, the server of the cache, the SQL of the database, and the clock. All other code is
the code that runs on AWS.

The items table does everything that DynamoDB does to a table of two Regions. It deletes expired tombstones, late. A
write from the other Region may replace a newer row. Somebody may delete a row by hand. An eventually consistent read
returns the row before the last write, always.

A queue delivers its messages in any order, and more than once. An invocation of `feed` can be stopped before each of
its calls, so that others overtake it, and killed. Its messages then come again.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from readplane.feed.commands import CommandServer
from readplane.feed.decide import floor_at
from readplane.feed.fed_stores import CacheStore, DatabaseStore
from readplane.feed.handler import Feed
from readplane.feed.item_rows import ItemRows
from readplane.feed.messages import MessageFeeder
from readplane.model.change import Change, is_expired
from readplane.model.collection import Collection
from readplane.model.keys import item_key
from readplane.publish.handler import FeedQueue, Publish, PublishSettings
from readplane.stores.items import DynamoItems
from readplane.stores.key_queue import STORES, StoreName, print_message
from readplane.stores.rows import change_of
from readplane.telemetry import Telemetry
from tests.fakes.dynamodb import MemoryDynamo
from tests.fakes.expressions import Item
from tests.fakes.sandbox import Clock, GatedClient, Invocation
from tests.unit.feed.support import ENTRY_MS, MemoryResp, MemoryWriter, memory_entries
from tests.unit.support import NOW_MS, MemoryDocuments, MemoryRows, change

COLLECTION = "products"
IDS = ("a", "b")
DAY_MS = 86_400_000
HORIZON_MS = 30 * DAY_MS
FUNCTION_MS = 120_000
"""The time in milliseconds after which Lambda ends an invocation of `feed`."""


class Silent(Telemetry):
    """A replacement for the product's telemetry that prints nothing."""

    def __init__(self) -> None:
        super().__init__("feed", "model")

    def event(self, code: str, message: str, **fields: Any) -> None:
        pass


class ItemsTable(MemoryDynamo):
    """A fake of the items table. Every write, and every delete by :meth:`remove`, adds a record to ``stream``."""

    def __init__(self) -> None:
        super().__init__("items")
        self.stream: list[tuple[Item | None, Item | None]] = []
        self.stale = lambda _pk: True

    def remove(self, pk: str) -> None:
        """Delete a row, as DynamoDB or an operator does."""
        self._previous[pk] = self.items.get(pk)
        self.stream.append((self.items.pop(pk), None))

    def replicate(self, pk: str, item: Item) -> None:
        """Replace a row with a write from the other Region, whatever its version is."""
        self._write(pk, item)

    def row(self, pk: str) -> Change | None:
        """Return the item in a row, or ``None`` if there is no row."""
        item = self.items.get(pk)
        return change_of(item) if item is not None else None

    def _write(self, pk: str, item: Item) -> None:
        self.stream.append((self.items.get(pk), item))
        super()._write(pk, item)


class GuardedRows(MemoryWriter):
    """The database. ``went_down`` lists the keys of the rows whose version went down although no horizon had passed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.went_down: list[str] = []
        self._clock = clock

    def write(self, change: Change) -> None:
        stored = self.rows.get(change.key)
        # Don't raise an error here. `feed` would take it for an error of the database.
        if stored is not None and floor_at(self._clock.ms, HORIZON_MS) <= stored.version > change.version:
            self.went_down.append(change.key)
        super().write(change)


class Message(NamedTuple):
    """A message of a queue. ``sent_ms`` is when `publish` sent it."""

    body: str
    sent_ms: int


class Queue:
    """The queue of one store. ``messages`` are those that wait."""

    def __init__(self, store: StoreName, clock: Clock) -> None:
        self.messages: list[Message] = []
        self._store = store
        self._clock = clock

    def send(self, keys: Sequence[str]) -> None:
        if keys:
            self.messages.append(Message(print_message(self._store, keys), self._clock.ms))


class Run(NamedTuple):
    """An invocation of `feed` that hasn't ended, and the messages that it got."""

    store: StoreName
    invocation: Invocation
    messages: list[Message]


class FeedWorld:
    """One simulation."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.table = ItemsTable()
        self.items = DynamoItems(self.table, "items", horizon_ms=HORIZON_MS)
        self.queues = {store: Queue(store, clock) for store in STORES}
        self.writer = GuardedRows(clock)
        self.cache = MemoryResp(lambda: clock.ms)
        self.runs: dict[int, Run] = {}
        self.changes: list[Change] = []
        for store in (self.writer, self.cache):
            store.before = self._gate
        collections = {COLLECTION: Collection(COLLECTION, "public")}
        feeds = {str(store): FeedQueue(store, store, frozenset(collections)) for store in STORES}
        settings = PublishSettings("model", "items", "d", "b", "quarantine/", 30, collections, feeds)
        queues = {str(store): queue for store, queue in self.queues.items()}
        self._publish = Publish(settings, self.items, MemoryDocuments(), MemoryRows(), Silent(), queues)

    def apply(self, new: Change) -> None:
        """Apply a change, as `apply` does."""
        self.changes.append(new)
        if not is_expired(new, self.clock.ms, HORIZON_MS):
            self.items.apply(new)

    def make(self, kind: str, item_id: str, tick: int) -> Change:
        """Return a change. Of the kinds other than ``put`` and ``delete``, the same tick gives the same version.

        ``old put`` and ``old delete`` are a back office's: they were modified more than a year ago. A ``keyed post``
        has the time 0.
        """
        now_ms = self.clock.ms
        if kind == "keyed post":
            return change(item_id, ms=0, tail=tick, data=f'{{"post":{tick}}}', accepted_ms=now_ms)
        if kind.startswith("old"):
            data = None if kind == "old delete" else f'{{"old":{tick}}}'
            tail = 2 * tick + (data is None)
            return change(item_id, ms=NOW_MS - 400 * DAY_MS, tail=tail, data=data, accepted_ms=now_ms, source="shop")
        data = None if kind == "delete" else f'{{"at":{now_ms}}}'
        return change(item_id, ms=now_ms, tail=len(self.changes), data=data)

    def replicate(self, number: int) -> None:
        """Let an older write from the other Region replace the row of its item."""
        older = [entry for entry in self.changes if (row := self.table.row(entry.key)) and entry.version < row.version]
        if older:
            entry = older[number % len(older)]
            self.table.replicate(entry.key, self.items._record(entry))

    def expire(self) -> None:
        """Let DynamoDB delete every tombstone that has expired."""
        for pk in list(self.table.items):
            row = self.table.row(pk)
            expires_at = row.expires_at(HORIZON_MS) if row else None
            if expires_at is not None and expires_at * 1000 <= self.clock.ms:
                self.table.remove(pk)

    def remove(self, item_id: str) -> None:
        """Let somebody delete a row by hand."""
        pk = item_key(COLLECTION, item_id, None)
        if pk in self.table.items:
            self.table.remove(pk)

    def wait(self, ms: int) -> None:
        """Let time pass. `publish` is never hours behind, because the stream keeps its records for a day only."""
        while ms > DAY_MS // 8 and self.table.stream:
            self.publish(100)
        self.clock.ms += ms

    def publish(self, number: int) -> None:
        """Invoke `publish` with some records of the items stream."""
        batch, self.table.stream = self.table.stream[:number], self.table.stream[number:]
        records = []
        for place, (old, new) in enumerate(batch):
            images = {name: item for name, item in (("OldImage", old), ("NewImage", new)) if item is not None}
            records.append({"dynamodb": {"SequenceNumber": str(place), **images}})
        if records:
            assert self._publish({"Records": records}) == {"batchItemFailures": []}

    def feed(self, store: StoreName, slot: int, number: int, calls: float) -> None:
        """Begin an invocation of `feed` in a slot, unless one is running there. Let it make some calls.

        :param number: how many of the waiting messages it gets, the newest first if it is odd.
        """
        run = self.runs.get(slot)
        if run is None:
            queue = self.queues[store].messages
            if number % 2:
                queue.reverse()
            messages, queue[:] = queue[:number], queue[number:]
            if not messages:
                return
            work = self._work(messages)
            run = Run(store, Invocation(work, self.clock, self.clock.ms + FUNCTION_MS, immortal=False), messages)
            self.runs[slot] = run
        run.invocation.resume(calls)
        self._collect(slot)

    def kill(self, slot: int) -> None:
        """Let Lambda kill the invocation in a slot."""
        if slot in self.runs:
            self.runs[slot].invocation.kill()
            self._collect(slot)

    def duplicate(self, store: StoreName) -> None:
        """Let a queue deliver a message twice."""
        queue = self.queues[store].messages
        queue += queue[:1]

    def settle(self) -> None:
        """Bring the stores back, and let everything that waits happen."""
        self.writer.is_down, self.cache.fault = False, None
        for slot in list(self.runs):
            self.kill(slot)
        for _ in range(100):
            self.publish(3)
            for store in STORES:
                self.feed(store, 0, 10, float("inf"))
            if not self.table.stream and not any(queue.messages for queue in self.queues.values()):
                return
        raise AssertionError("the stores never settle")

    def check(self) -> None:
        """Check that both stores agree with the items table, and that no version went down on the way."""
        assert self.writer.went_down == []
        rows = {pk: row for pk in self.table.items if (row := self.table.row(pk)) is not None}
        assert self.writer.rows == rows
        floor = floor_at(self.clock.ms, HORIZON_MS)
        for item_id in IDS:
            pk = item_key(COLLECTION, item_id, None)
            entry, row = memory_entries(self.cache).get(pk), rows.get(pk)
            if entry is not None and row is not None and row.version >= floor:
                assert (entry.version, entry.text) == (row.version, row.representation() if row.data else "")
        self.clock.ms += ENTRY_MS
        assert not any(memory_entries(self.cache).get(item_key(COLLECTION, item_id, None)) for item_id in IDS)

    def _work(self, messages: list[Message]) -> Callable[[Invocation], Any]:
        records = [
            {"messageId": str(place), "body": message.body, "attributes": {"SentTimestamp": str(message.sent_ms)}}
            for place, message in enumerate(messages)
        ]

        def work(invocation: Invocation) -> Any:
            rows = ItemRows(GatedClient(self.table, invocation, "items"), "items", Silent())
            collections = frozenset([COLLECTION])
            stores = {
                "cache": CacheStore(memory_entries(self.cache), collections),
                "database": DatabaseStore(cast(Any, self.writer), collections),
            }
            feeder = MessageFeeder(rows, cast(Any, stores), HORIZON_MS, Silent())
            feed = Feed(feeder, CommandServer(rows, cast(Any, stores), None))
            return feed({"Records": records}, invocation.remaining_ms)

        return work

    def _gate(self, label: str) -> None:
        """Let the test stop the running invocation before a call to a store, which takes a millisecond."""
        if Invocation.current is not None:
            Invocation.current.gate(label)
        self.clock.ms += 1

    def _collect(self, slot: int) -> None:
        """If the invocation in a slot has ended, put the messages that come again back into the queue."""
        run = self.runs[slot]
        if not run.invocation.over:
            return
        del self.runs[slot]
        error = run.invocation.error
        if isinstance(error, Exception):
            raise error
        response = run.invocation.result
        failed = (
            range(len(run.messages))
            if response is None
            else [int(failure["itemIdentifier"]) for failure in response["batchItemFailures"]]
        )
        self.queues[run.store].messages += [run.messages[place] for place in failed]
