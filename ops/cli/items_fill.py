"""Folds the log into an items table that is being made: the core of `rebuild items fill`.

The changes are folded in memory, so an item that was changed often is written once. They are written when they fill the
memory, or after a minute. The position advances only to an object whose changes are all written. If the process dies,
the objects after that one come again, which is harmless, because the newest change of an item wins.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, wait
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ops.cli.items_poison import PoisonHandler
from ops.console import CommandError
from ops.walk import PREFIXES, LogObject, Prefix, TimeRange, log_objects
from readplane.apply.objects import LogObjects
from readplane.aws.client import Client
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.clock import now_ms
from readplane.model.change import TOMBSTONE_MARGIN_MS, Change, PoisonError, is_expired, parse_line
from readplane.model.collection import Collection as DeclaredCollection
from readplane.model.window import Window
from readplane.stores.items import ApplyOutcome, size_in_bytes
from readplane.stores.items_bulk import MAX_CHANGES, BulkItems, DynamoBulkItems, sent_bytes
from readplane.stores.rows import FILLED
from readplane.stores.table import TableRecord, split_into_batches

if TYPE_CHECKING:  # import it only for mypy, because the benchmarks fill a table without the packages of the commands
    from ops.cli.target import Target

WORKERS = 8
"""How many threads write, and how many read. More are no faster, because they share one processor."""

MAX_PENDING_BATCHES = 2 * WORKERS
"""The maximum number of batches of changes that wait for a thread."""

READ_AHEAD = 8
"""The number of objects that are read at once. Most objects are small, so most of the time goes into waiting for S3."""

AHEAD_BYTES = 4 * 1024 * 1024
"""How many bytes of an object's lines are read ahead. The rest follows when the object's turn has come."""

READ_ATTEMPTS = 4
"""How often an object is read if the connection breaks."""

LINES_STEP = 1000
"""After how many lines the fill says that it goes on, and looks whether it must stop."""

WRITE_SECONDS = 60.0
"""After so many seconds the changes in memory are written even if there are few, so that a position is saved."""

ROW_BYTES = 400
"""About how many bytes a row of the items table has besides the data: the names of its attributes, and their texts."""

UNIT_BYTES = 1024
"""The size of a row that DynamoDB writes for one write unit."""


class ListedObject(NamedTuple):
    """An object in the log of a Region.

    region: the Region
    prefix: whose changes the object holds: `log` for those of clients, `stream` for those of back offices
    entry: the object as S3 lists it
    """

    region: str
    prefix: Prefix
    entry: LogObject

    def position(self, number: int) -> dict[str, Any]:
        """Return the position of a job that is done with this object in its walk `number`."""
        return {"pass": number, "region": self.region, "prefix": self.prefix, "key": self.entry.key}


class Bounds(NamedTuple):
    """How much is folded in memory before it is written.

    changes: the maximum number of items
    characters: the maximum number of characters of their data
    """

    changes: int = 100_000
    characters: int = 64 * 1024 * 1024


DEFAULT_BOUNDS = Bounds()


class Steps(Protocol):
    """What the fill needs of a job (ops/jobs.py)."""

    def advance(self, position: Any, **counts: int) -> None:
        """Save a position, and add to the job's counts."""

    def pace(self, steps: int = 1) -> None:
        """Wait until so many write units may be used."""

    def renew(self) -> None:
        """Say that the fill goes on. Raise an error if it must stop."""


class Restored(NamedTuple):
    """What the fill needs to know of a table that was restored from a backup.

    start_ms: every change that arrived from this time on is folded, in Unix milliseconds. The backup holds the effect
        of the earlier ones.
    horizon_ms: how long a tombstone lives at least
    """

    start_ms: int
    horizon_ms: int

    def may_revive(self, change: Change) -> bool:
        """Whether a change might bring a deleted item back.

        An object that was written lately may hold old changes, for example one that `erase finish` has written again.
        The delete of such a change's item may be in an object that isn't read, and its tombstone may be gone.
        """
        return change.age_starts_ms < self.start_ms and is_expired(change, now_ms(), self.horizon_ms)


def write_units(change: Change) -> int:
    """Return about how many write units of a table a change takes."""
    return -(-(ROW_BYTES + size_in_bytes(change.data or "")) // UNIT_BYTES)


class FilledItems(DynamoBulkItems):
    """The items table that is being made.

    A tombstone that this class writes lives one horizon and a day from now, however old its delete is. DynamoDB must
    not remove it before older changes of the item are folded, which may lie in the log of the other Region.

    The table may hold the tombstone already, for example from a restored backup. If it expires within one horizon, this
    class writes it again. Otherwise it stays, so that a second fill on the same day writes nothing.
    """

    def __init__(self, client: Client, table: str, *, horizon_ms: int, clock: Callable[[], int] = now_ms) -> None:
        super().__init__(client, table, horizon_ms=horizon_ms)
        self._now_ms = clock

    def _record(self, change: Change) -> dict[str, Any]:
        record = super()._record(change) | {FILLED: {"S": change.version}}
        if "expires_at" in record:
            earliest = (self._now_ms() + self._horizon_ms + TOMBSTONE_MARGIN_MS) // 1000
            record["expires_at"] = {"N": str(max(earliest, int(record["expires_at"]["N"])))}
        return record

    def _read_stored(self, keys: list[str]) -> dict[str, TableRecord]:
        """Read the records for `keys`. A tombstone that expires within one horizon comes without its expiry.

        So :meth:`apply_all` takes it for a malformed row, and calls :meth:`apply` for a change of the same version.
        """
        records = super()._read_stored(keys)
        for key, record in records.items():
            if self._expires_early(record):
                records[key] = {name: value for name, value in record.items() if name != "expires_at"}
        return records

    def _outcome_over(self, stored: TableRecord, change: Change) -> ApplyOutcome | None:
        """Return ``None`` also for a tombstone of the same version that expires within one horizon."""
        outcome = super()._outcome_over(stored, change)
        return None if outcome == "duplicate" and self._expires_early(stored) else outcome

    def _expires_early(self, record: TableRecord) -> bool:
        """Whether a record is a tombstone that expires within one horizon."""
        expires_at = float(record.get("expires_at", {}).get("N", "inf"))
        return expires_at * 1000 < self._now_ms() + self._horizon_ms


class Fill:
    """Folds objects of the log into a table.

    :param objects: reads the objects of each Region
    :param items: the table that is being made
    :param collections: the declared collections, by name
    :param poison: decides what happens to lines that can't be applied
    :param left_out: the names of removed collections, whose lines are left out
    :param readers: runs the reads ahead
    :param writers: runs the writes
    :param restored: what is known of a table that was restored from a backup; None for a table that was empty
    """

    def __init__(
        self,
        objects: Mapping[str, LogObjects],
        items: BulkItems,
        collections: Mapping[str, DeclaredCollection],
        poison: PoisonHandler,
        *,
        readers: Executor,
        writers: Executor,
        left_out: Collection[str] = (),
        restored: Restored | None = None,
        bounds: Bounds = DEFAULT_BOUNDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objects = objects
        self._items = items
        self._collections = collections
        self._poison = poison
        self._readers, self._writers = readers, writers
        self._left_out = frozenset(left_out)
        self._restored = restored
        self._monotonic = monotonic
        self._written_at = monotonic()
        self._window = Window()
        self._window.MAX_CHANGES, self._window.MAX_SIZE = bounds
        self._has_unwritten = False
        self._counts: Counter[str] = Counter()

    def fold(self, listed: Iterable[ListedObject], job: Steps, number: int = 1) -> None:
        """Fold objects, and write their changes. All of them are written when this method returns.

        :param number: the number of the walk through the log, for the position
        :raises CommandError: at poison that isn't known
        :raises AwsError: if S3 or DynamoDB refuses a call, or doesn't answer
        """
        found = None
        for found, lines in self._opened(listed):
            self._fold_object(found, lines, job)
            self._counts.update(objects=1, bytes=found.entry.bytes)
            if self._window.is_full() or self._monotonic() - self._written_at >= WRITE_SECONDS:
                self._write(job)
            if not self._has_unwritten:
                self._advance(job, found.position(number))
        if found is not None and self._has_unwritten:
            self._write(job)
            self._advance(job, found.position(number))

    def _advance(self, job: Steps, position: dict[str, Any]) -> None:
        counts, self._counts = self._counts, Counter()
        job.advance(position, **counts)

    def _opened(self, listed: Iterable[ListedObject]) -> Iterator[tuple[ListedObject, Iterator[bytes]]]:
        """Yield each object with its lines. The beginnings of the next objects are read meanwhile."""
        queue: deque[tuple[ListedObject, Future[Iterator[bytes]]]] = deque()
        iterator = iter(listed)
        try:
            while True:
                for found in islice(iterator, READ_AHEAD - len(queue)):
                    queue.append((found, self._readers.submit(self._read_ahead, found)))
                if not queue:
                    return
                found, ahead = queue.popleft()
                yield found, self._lines(found, ahead.result())
        finally:
            for _, ahead in queue:
                ahead.cancel()

    def _read_ahead(self, found: ListedObject) -> Iterator[bytes]:
        """Read the first lines of an object. Return an iterator of all its lines, which raises what reading raises."""
        lines = self._objects[found.region].lines(found.entry.key)
        ahead: list[bytes] = []
        size = 0
        try:
            for line in lines:
                ahead.append(line)
                size += len(line)
                if size >= AHEAD_BYTES:
                    return chain(ahead, lines)
        except Exception as error:  # noqa: BLE001 (the error belongs after the lines)
            return _then_raise(ahead, error)
        return iter(ahead)

    def _lines(self, found: ListedObject, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the lines of an object. If the connection breaks, read the object again, and skip what was yielded.

        :raises PoisonError: if the object is damaged or gone, after its readable lines
        :raises CommandError: if the object is archived
        """
        count = 0
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                for line in lines:
                    count += 1
                    yield line
                return
            except UnansweredError:
                if attempt == READ_ATTEMPTS:
                    raise
            except RefusedError as error:
                if error.code == "InvalidObjectState":
                    raise CommandError(
                        f"{found.entry.key} in {found.region} is archived. Restore the archived objects, then run the "
                        "command again."
                    ) from error
                if error.code != "NoSuchKey":
                    raise
                raise PoisonError("unparsable", "the object was deleted after it was listed") from error
            lines = islice(self._objects[found.region].lines(found.entry.key), count, None)

    def _fold_object(self, found: ListedObject, lines: Iterator[bytes], job: Steps) -> None:
        number = 0
        counts: Counter[str] = Counter()
        key = found.entry.key
        try:
            for number, line in enumerate(lines, 1):
                self._fold_line(found, line, f"{key}:{number}", counts)
                if number % LINES_STEP == 0:
                    job.renew()
                if self._window.is_full():
                    self._write(job)
        except PoisonError as poison:  # the object is damaged after line `number`
            counts[self._poison.handle(found.region, b"", poison, f"{key}:{number + 1}")] += 1
        self._counts.update(counts, lines=number)

    def _fold_line(self, found: ListedObject, line: bytes, origin: str, counts: Counter[str]) -> None:
        try:
            change = parse_line(line, self._collections)
        except PoisonError as poison:
            is_left_out = poison.change is not None and poison.change.collection in self._left_out
            if is_left_out and poison.reason == "unknown_collection":
                counts["left_out"] += 1
            else:
                counts[self._poison.handle(found.region, line, poison, origin)] += 1
        else:
            if self._restored is not None and self._restored.may_revive(change):
                counts["expired"] += 1
                return
            self._window.fold(change)
            self._has_unwritten = True

    def _write(self, job: Steps) -> None:
        """Write the changes in memory, and wait until all of them are written."""
        pending: deque[Future[Counter[ApplyOutcome]]] = deque()
        try:
            for batch in split_into_batches(self._window.take(), MAX_CHANGES, sent_bytes):
                job.pace(sum(map(write_units, batch)))
                pending.append(self._writers.submit(self._items.apply_all, batch))
                if len(pending) == MAX_PENDING_BATCHES:
                    self._counts.update(pending.popleft().result())
                job.renew()
            while pending:
                self._counts.update(pending.popleft().result())
                job.renew()
        finally:
            for future in pending:
                future.cancel()
            wait(pending)
        self._has_unwritten = False
        self._written_at = self._monotonic()


def _then_raise(lines: list[bytes], error: Exception) -> Iterator[bytes]:
    yield from lines
    raise error


def listed_objects(target: Target, span: TimeRange, position: Mapping[str, Any] | None) -> Iterator[ListedObject]:
    """Yield the objects of the log of every Region that may hold records of a time range, in order.

    :param position: the position of the last object that is done; None to begin at the first
    :raises CommandError: if the stack isn't in the Region of the position any more
    """
    parts = [(stack, prefix) for stack in target.regions() for prefix in PREFIXES]
    after = None
    if position is not None:
        names = [(stack.region, prefix) for stack, prefix in parts]
        part = (position["region"], position["prefix"])
        if part not in names:
            raise CommandError(
                f"The fill has got to {part[0]}, but the stack isn't there any more. Begin anew: --restart."
            )
        parts = parts[names.index(part) :]
        after = position["key"]
    for stack, prefix in parts:
        for entry in log_objects(target, stack, prefix, span, after):
            yield ListedObject(stack.region, prefix, entry)
        after = None
