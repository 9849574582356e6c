"""Applies the objects of the write log: reads their lines from S3 and writes the newest changes to the items table."""

import gzip
import io
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from typing import IO, Any, Protocol, cast

from ..aws.client import Client
from ..aws.faults import AwsError
from ..clock import now_ms
from ..model.change import Change, PoisonError
from ..model.window import Window
from ..stores.items import ApplyOutcome
from ..stores.items_bulk import MAX_CHANGES, BulkItems, sent_bytes
from ..stores.table import split_into_batches
from ..telemetry import Telemetry
from .quarantine import LineParser, Replay
from .tally import EXPIRED, CountedObjects, Delivery, Tally, count_outcomes, fold_and_count

WORKERS = 8
"""The number of threads that write changes to DynamoDB. While one thread waits 8 ms for DynamoDB's response, the others
use the CPU. Twice as many threads are no faster, because Python's global interpreter lock is then the limit."""

MAX_PENDING_BATCHES = 2 * WORKERS
"""The maximum number of batches of changes that are being written or wait for a thread. When this number is reached,
`apply` parses no further lines of the object until a batch is written."""

CHUNK_BYTES = 64 * 1024
"""How many bytes of an object are read from S3 at a time."""

UNCOUNTED = ("log/redrive/", "log/import/", "stream/")
"""The key prefixes of the objects whose records don't count as handled, because the Firehose stream of the write log
hasn't delivered them. An operator writes an object under log/redrive/ to have its lines applied again, and one under
log/import/ to load items. Objects under stream/ are the archive of the change stream, which only a replay reads."""

_GZIP = b"\x1f\x8b"
"""The two bytes with which GZIP data starts."""


class LogObjects(Protocol):
    """Reads the lines of write-log objects."""

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield the lines of one object, one at a time.

        :raises PoisonError: with the reason ``unparsable`` if the object is damaged. All lines before the damage are
            yielded first.
        """


class S3LogObjects:
    """A :class:`LogObjects` that reads the objects from the S3 bucket of the write log."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield the lines of an object. Firehose writes GZIP, but a redriven object may also be plain text."""
        body = self._client.call("GetObject", Bucket=self._bucket, Key=key)["Body"]
        try:
            start = body.read(len(_GZIP))
            stream = cast(IO[bytes], io.BufferedReader(_PrefixedStream(start, body), CHUNK_BYTES))
            for line in gzip.GzipFile(fileobj=stream) if start == _GZIP else stream:
                if not line.isspace():
                    yield line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise PoisonError("unparsable", "the object is not whole GZIP data") from error
        finally:
            body.close()


class _PrefixedStream(io.RawIOBase):
    """A stream that returns ``start``, the bytes already read from ``rest``, and then what is left of ``rest``."""

    def __init__(self, start: bytes, rest: Any) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._start or self._rest.read(len(buffer))
        self._start = b""
        buffer[: len(data)] = data
        return len(data)


class ObjectApplier:
    """Applies the changes of write-log objects, one object at a time."""

    def __init__(
        self,
        objects: LogObjects,
        items: BulkItems,
        counted: CountedObjects,
        parser: LineParser,
        pool: Executor,
        telemetry: Telemetry,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._objects = objects
        self._items = items
        self._counted = counted
        self._parser = parser
        self._pool = pool
        self._telemetry = telemetry
        self._now_ms = clock

    def apply_object(self, key: str, created_ms: int, delivery: Delivery, replay: Replay | None = None) -> None:
        """Apply all changes of a write-log object.

        :param key: the object's key in S3.
        :param created_ms: when Firehose wrote the object (Unix milliseconds).
        :param delivery: the delivery of the SQS message that announces the object.
        :param replay: how the object is replayed; ``None`` if it isn't.
        :raises ReservedError: if another delivery of the message may still count the object. The changes are applied.
        :raises AwsError: if a call to AWS fails. The whole object must then be applied again.
        """
        tally: Tally = Counter()
        window = Window()
        writer = _Writer(self._items, self._pool)
        try:
            for change in self._changes(key, tally, replay):
                fold_and_count(window, change, tally)
                if window.is_full():
                    writer.write(window.take())
            outcomes = writer.finish(window.take())
        finally:
            writer.stop()
        records = tally.pop("RecordsHandled", 0)
        tally.update(count_outcomes(outcomes))
        self._telemetry.event("changes_applied", "Changes are applied to their items.", metrics=tally, key=key)
        if replay is not None:
            self._telemetry.event(
                "object_replayed",
                "An object is replayed. Its changes that are older than the horizon and have no item are left out.",
                key=key,
                records=records,
                expired=tally[EXPIRED],
            )
        # A replay for one collection doesn't handle the lines of the others.
        counts = replay is None or (replay.is_lost and replay.collections is None)
        if counts and not key.startswith(UNCOUNTED) and self._counted.start_count(key, delivery, self._now_ms()):
            self._report_records(key, created_ms, records)

    def _report_records(self, key: str, created_ms: int, records: int) -> None:
        """Emit the metric of a reserved object, and then remember that the object is counted."""
        # An alarm compares the metric `RecordsHandled` with Firehose's own count of delivered records. So set the
        # metric's timestamp to the time when Firehose delivered the object, however late the object is applied.
        self._telemetry.event(
            "object_handled",
            "Each line of a write-log object is applied or in quarantine.",
            metrics={"RecordsHandled": records},
            timestamp_ms=created_ms,
            key=key,
        )
        try:
            self._counted.finish_count(key, self._now_ms())
        except AwsError as error:
            # Don't fail the message. Its retry would count the object twice.
            self._telemetry.failure(
                "count_not_finished",
                "An object is counted, but this isn't stored. If SQS delivers the message again, it counts twice.",
                error,
                key=key,
            )

    def _changes(self, key: str, tally: Tally, replay: Replay | None) -> Iterator[Change]:
        """Yield the changes of an object while it is read, and put lines that can't be applied in quarantine."""
        number = 0
        try:
            for number, line in enumerate(self._objects.lines(key), 1):
                change = self._parser.parse_or_quarantine(line, f"{key}:{number}", tally, replay)
                if change:
                    yield change
        except PoisonError as poison:  # the object is damaged after line `number`
            self._parser.quarantine(b"", poison, f"{key}:{number + 1}", tally, replay)
        tally["RecordsHandled"] = number


class _Writer:
    """Writes the changes of one write-log object to the items table, a few batches at a time.

    Because few batches are in memory at a time, a large object needs no more memory than a small one. If two batches
    have changes of the same item, their order doesn't matter, because the items table keeps the newest change.
    """

    def __init__(self, items: BulkItems, pool: Executor) -> None:
        self._items = items
        self._pool = pool
        self._batches: deque[Future[Counter[ApplyOutcome]]] = deque()
        self._outcomes: Counter[ApplyOutcome] = Counter()

    def write(self, changes: Iterable[Change]) -> None:
        """Start to write changes. ``changes`` must hold at most one change of each item.

        If :data:`MAX_PENDING_BATCHES` batches are pending, first wait for the oldest batch.
        """
        for batch in split_into_batches(changes, MAX_CHANGES, sent_bytes):
            if len(self._batches) == MAX_PENDING_BATCHES:
                self._outcomes.update(self._batches.popleft().result())
            self._batches.append(self._pool.submit(self._items.apply_all, batch))

    def finish(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        """Write the last changes of the object, wait for all batches, and return how often each outcome occurred."""
        batches = list(split_into_batches(changes, MAX_CHANGES, sent_bytes))
        if len(batches) == 1 and not self._batches:  # don't start a thread for one batch
            self._outcomes.update(self._items.apply_all(batches[0]))
            return self._outcomes
        self.write(changes)
        while self._batches:
            self._outcomes.update(self._batches.popleft().result())
        return self._outcomes

    def stop(self) -> None:
        """Cancel the batches that no thread has started, and wait for the batches that are being written.

        Call this even if the object failed, so that no thread is still writing when the invocation ends. After the end
        of the invocation, Lambda may freeze the sandbox, which would interrupt the write.
        """
        for batch in self._batches:
            batch.cancel()
        wait(self._batches)
